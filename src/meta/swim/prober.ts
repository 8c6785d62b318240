/**
 * Asking others whether they are there: one probe a period, directly, then by way of others (SWIM §4.1), and the same
 * for others on their behalf.
 *
 * Invariant: at most one probe is under way; only an answer that names its sequence and its target ends it.
 */
import type { NodeId, Random } from '../../base/index.js';
import { pickOne, pickSome } from './choice.js';
import type { GossipCounters } from './counters.js';
import type { Courier } from './courier.js';
import type { Settings } from './options.js';
import { ProbeOrder } from './probe-order.js';
import { isGone, type MemberState } from './record.js';
import type { Roster, Row } from './roster.js';

export type Probe = {
  readonly target: NodeId;
  readonly sequence: number;
  readonly sentMs: number;
  isIndirect: boolean;
};

/** A probe made for another node. */
type Errand = {
  readonly for: NodeId;
  readonly sequence: number;
  readonly target: NodeId;
  readonly period: number;
};

/** The dead are asked now and then: a partition ends without anybody starting anew. */
const askDeadEveryPeriods = 4;
const mostExtraPings = 3;
const mostErrands = 64;
const sequenceRange = 2 ** 32;

const isProbed = (state: MemberState): boolean => !isGone(state);

export class Prober {
  private probe: Probe | undefined;
  private readonly order: ProbeOrder;
  private readonly errands = new Map<number, Errand>();
  private sequence: number;

  constructor(
    private readonly random: Random,
    private readonly settings: Settings,
    private readonly roster: Roster,
    private readonly courier: Courier,
    private readonly inbox: string,
    private readonly counters: GossipCounters,
  ) {
    this.order = new ProbeOrder(random);
    // What still comes for an earlier life's probes must not fit this one's.
    this.sequence = random.nextU32();
  }

  /** When to stop waiting for a direct answer. */
  get dueMs(): number {
    const { probe } = this;
    if (probe === undefined || probe.isIndirect) return Number.POSITIVE_INFINITY;
    return probe.sentMs + this.settings.pingTimeoutMs;
  }

  add(nodeId: NodeId): void {
    this.order.add(nodeId);
  }

  /** The probe that nobody answered, if there is one. It is over. */
  take(): Probe | undefined {
    const { probe } = this;
    this.probe = undefined;
    return probe;
  }

  /** Probes whose turn it is, and asks again whom this node suspects, and now and then one of the dead. */
  begin(nowMs: number): void {
    for (const [sequence, errand] of this.errands) {
      if (errand.period < this.counters.periods - 1) this.errands.delete(sequence);
    }
    const target = this.order.next(
      () => this.roster.inState(isProbed),
      (nodeId) => isProbed(this.roster.get(nodeId)?.record.state ?? 'left'),
    );
    if (target !== undefined) this.start(target, nowMs);
    const isAsked = ({ record, isAccusedHere }: Row): boolean =>
      isAccusedHere && record.state === 'suspect' && record.nodeId !== target;
    const suspects = this.roster.all().filter(isAsked);
    for (const { record } of pickSome(this.random, suspects, mostExtraPings)) {
      this.ping(record.nodeId, this.nextSequence());
    }
    if (this.counters.periods % askDeadEveryPeriods !== 0) return;
    const deadNodes = this.roster.inState((state) => state === 'dead');
    const dead = pickOne(this.random, deadNodes);
    if (dead !== undefined) this.ping(dead, this.nextSequence());
  }

  private start(target: NodeId, nowMs: number): void {
    const sequence = this.nextSequence();
    this.counters.probes++;
    this.probe = { target, sequence, sentMs: nowMs, isIndirect: false };
    this.ping(target, sequence, `${this.inbox}.${sequence}`);
  }

  /** The direct probe failed: others may have a better link. The echo shows whether it is this node's own that fails. */
  askOthers(): void {
    const { probe } = this;
    if (probe === undefined || probe.isIndirect) return;
    probe.isIndirect = true;
    this.counters.probesIndirect++;
    const { target, sequence } = probe;
    const relays = this.roster.inState((state) => state === 'alive').filter((nodeId) => nodeId !== target);
    for (const relay of pickSome(this.random, relays, this.settings.relays)) {
      this.courier.send(relay, { type: 'pingRequest', sequence, target }, { about: target });
    }
    this.courier.echo();
  }

  /** NATS says that nobody listens where a ping went. */
  refused(inboxSubject: string): void {
    const { probe } = this;
    if (probe === undefined || probe.isIndirect || inboxSubject !== `${this.inbox}.${probe.sequence}`) return;
    this.counters.probesRefused++;
    this.askOthers();
  }

  askFor(nodeId: NodeId, sequence: number, target: NodeId): void {
    if (this.errands.size >= mostErrands || target === this.settings.nodeId) return;
    this.counters.probesForOthers++;
    const own = this.nextSequence();
    this.errands.set(own, { for: nodeId, sequence, target, period: this.counters.periods });
    this.ping(target, own);
  }

  acknowledged(from: NodeId, sequence: number, target: NodeId): void {
    const errand = this.errands.get(sequence);
    if (errand !== undefined && errand.target === from) {
      this.errands.delete(sequence);
      this.courier.send(errand.for, { type: 'ack', sequence: errand.sequence, target: from }, { about: from });
    }
    if (this.probe?.sequence === sequence && this.probe.target === target) this.probe = undefined;
  }

  private ping(to: NodeId, sequence: number, replyTo?: string): void {
    const head = { type: 'ping', sequence, target: undefined } as const;
    this.courier.send(to, head, replyTo === undefined ? {} : { replyTo });
  }

  private nextSequence(): number {
    this.sequence = (this.sequence + 1) % sequenceRange;
    return this.sequence;
  }
}
