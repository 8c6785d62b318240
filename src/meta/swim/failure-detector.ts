/**
 * Failure detection after SWIM (Das, Gupta, Motivala, DSN 2002), with Lifeguard's extensions where they pay: every
 * node learns of every other whether it is there, from whoever can reach it, so that one bad link condemns nobody.
 *
 * Invariants:
 * 1. There is never more than one timer, whatever the number of members.
 * 2. Nobody is suspected for a probe that failed, and no suspicion ends in death, unless this node's own link worked
 *    meanwhile: the bus was connected, something came in while the probe ran, and its own timers were on time.
 * 3. "No responders" only ends the wait for a direct answer: it may as well mean a partition between NATS servers.
 * 4. Nothing that comes in can stop the node, or make it say of itself what is not so.
 */
import type { Clock, Logger, NodeId, Random, Timer } from '../../base/index.js';
import type { Bus, BusMessage, BusSubscription } from '../../transport/index.js';
import { gossipAllSubject, gossipSubject, type NodeFacts } from '../../wire/index.js';
import { pickOne } from './choice.js';
import { type GossipCounters, noCounts } from './counters.js';
import { Courier } from './courier.js';
import { decodeMessage, type GossipMessage, type GossipType } from './message.js';
import {
  defaultSuspicionMs,
  type FailureDetectorOptions,
  type Settings,
  settingsOf,
  suspicionTimeoutMs,
} from './options.js';
import { OwnLink } from './own-link.js';
import { OwnRecord } from './own-record.js';
import { Prober } from './prober.js';
import { isGone, type MemberRecord, type MemberState } from './record.js';
import { type Learned, Roster } from './roster.js';

export type FailureDetectorParts = {
  readonly bus: Bus;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
};

export type Member = {
  readonly nodeId: NodeId;
  readonly state: MemberState;
  readonly life: number;
  readonly refutation: number;
  readonly heartbeat: number;
  /** Monotonic time of the last proof, first-hand or not, that it goes on; -Infinity: none yet. */
  readonly lastHeardMs: number;
  /** Monotonic time since when it is in its state. */
  readonly sinceMs: number;
  readonly facts: NodeFacts | undefined;
};

type MemberListener = (member: Member, before: MemberState | undefined) => void;
type MapEpochListener = (epoch: number, from: NodeId) => void;

const settlePeriods = 2;
/** Without any answer to the first hello. */
const helloEveryPeriods = 4;
/** About so many answer a hello with all they know. */
const helloAnswers = 4;

export class FailureDetector {
  readonly counters: GossipCounters = noCounts();
  private readonly settings: Settings;
  private readonly bus: Bus;
  private readonly clock: Clock;
  private readonly random: Random;
  private readonly logger: Logger;
  private readonly roster: Roster;
  private readonly own: OwnRecord;
  private readonly link: OwnLink;
  private readonly prober: Prober;
  private readonly courier: Courier;
  private readonly inbox: string;
  private readonly subscriptions: BusSubscription[] = [];
  private readonly memberListeners: MemberListener[] = [];
  private readonly mapEpochListeners: MapEpochListener[] = [];
  private readonly startedMs: number;
  private timer: Timer | undefined;
  private nextPeriodMs = 0;
  private nextSyncMs = 0;
  private isRunning = false;
  /** Somebody has told all it knows. */
  private hasJoined = false;
  private hasRival = false;
  private lastSyncPeriod = -1;
  private lastWarnedPeriod = -1;

  constructor(parts: FailureDetectorParts, options: FailureDetectorOptions) {
    this.settings = settingsOf(options);
    this.bus = parts.bus;
    this.clock = parts.clock;
    this.random = parts.random;
    this.logger = parts.logger;
    const { nodeId, life, factsIntervalMs, periodMs } = this.settings;
    this.roster = new Roster(this.counters);
    this.own = new OwnRecord(nodeId, life, factsIntervalMs);
    this.link = new OwnLink(settlePeriods * periodMs);
    this.courier = new Courier(this.bus, this.random, this.settings, this.roster, this.own, this.counters);
    this.inbox = this.bus.newInbox();
    this.prober = new Prober(this.random, this.settings, this.roster, this.courier, this.inbox, this.counters);
    this.startedMs = this.clock.nowMs();
    this.bus.onConnectionChange((lane) => {
      if (lane === 'raft' && this.isRunning) this.timed(() => this.checkConnection(this.clock.nowMs()));
    });
  }

  /** Begins to probe. `seeds` are expected to be there. */
  start(seeds: readonly NodeId[]): void {
    const { cluster, nodeId, periodMs } = this.settings;
    const receive = (message: BusMessage): void => this.timed(() => this.receive(message));
    this.subscriptions.push(
      this.bus.subscribe('raft', gossipSubject(cluster, nodeId), receive),
      this.bus.subscribe('raft', gossipAllSubject(cluster), receive),
      this.bus.subscribe('raft', `${this.inbox}.*`, (message) => this.timed(() => this.receiveStatus(message))),
    );
    this.isRunning = true;
    this.expect(seeds);
    const nowMs = this.clock.nowMs();
    // Nodes that start together should not speak together.
    this.nextPeriodMs = nowMs + this.fraction() * periodMs;
    this.planSync(nowMs);
    this.publishFacts(nowMs);
    this.courier.tellAll('hello');
    this.arm();
  }

  /** Says that this node stops of its own will. It probes no more, and still answers until `stop`. */
  leave(): void {
    if (this.own.record.state === 'left') return;
    this.own.leave();
    this.prober.take();
    this.arm();
    this.courier.tellAll('goodbye');
  }

  stop(): void {
    this.isRunning = false;
    this.prober.take();
    this.arm();
    for (const subscription of this.subscriptions.splice(0)) subscription.unsubscribe();
  }

  /** What others shall know of this node. The epoch of the map is told at once, the rest every so often. */
  setFacts(facts: NodeFacts): void {
    this.own.setFacts(facts);
    this.publishFacts(this.clock.nowMs());
  }

  /** All members, this node among them, by id. */
  members(): readonly Member[] {
    return [this.self, ...this.roster.all().map((row) => memberOf(row.record, row.lastHeardMs, row.sinceMs))].sort(
      (a, b) => (a.nodeId < b.nodeId ? -1 : 1),
    );
  }

  private get self(): Member {
    return memberOf(this.own.record, this.clock.nowMs(), this.startedMs);
  }

  /** Undefined: never heard of. */
  member(nodeId: NodeId): Member | undefined {
    if (nodeId === this.settings.nodeId) return this.self;
    const row = this.roster.get(nodeId);
    return row === undefined ? undefined : memberOf(row.record, row.lastHeardMs, row.sinceMs);
  }

  /** Undefined: never heard of. */
  stateOf(nodeId: NodeId): MemberState | undefined {
    return nodeId === this.settings.nodeId ? this.own.record.state : this.roster.get(nodeId)?.record.state;
  }

  /** Called when a member's state changes or it begins a new life; `before` is undefined for one never heard of. */
  onChange(listener: MemberListener): void {
    this.memberListeners.push(listener);
  }

  /** Called for every message of a node that knows of a newer cluster map than `setFacts` told of. */
  onMapEpoch(listener: MapEpochListener): void {
    this.mapEpochListeners.push(listener);
  }

  /** It is no member any more: whatever comes of its life or an earlier one is ignored. */
  forget(nodeId: NodeId): void {
    if (nodeId === this.settings.nodeId) return;
    this.roster.forget(nodeId);
    this.courier.forget(nodeId);
  }

  /** They should be there, says the cluster map. Those never heard of are probed, suspected and dead like any other. */
  expect(nodeIds: readonly NodeId[]): void {
    for (const nodeId of nodeIds) {
      if (nodeId !== this.settings.nodeId && this.roster.expect(nodeId, this.clock.nowMs())) this.prober.add(nodeId);
    }
  }

  private fraction(): number {
    return this.random.nextU32() / 2 ** 32;
  }

  private timed(action: () => void): void {
    const startMs = this.clock.nowMs();
    action();
    this.counters.busyMs += this.clock.nowMs() - startMs;
  }

  private get isProbing(): boolean {
    return this.isRunning && this.own.record.state === 'alive';
  }

  /** Sets the one timer to whatever is due next. */
  private arm(): void {
    this.timer?.cancel();
    this.timer = undefined;
    if (!this.isProbing) return;
    const dueMs = Math.min(this.nextPeriodMs, this.prober.dueMs);
    this.timer = this.clock.after(Math.max(0, dueMs - this.clock.nowMs()), () => this.timed(() => this.tick(dueMs)));
  }

  private tick(dueMs: number): void {
    this.timer = undefined;
    // A timer may fire a fraction early: what it was set for is due, or it would be set for nothing again and again.
    const nowMs = Math.max(dueMs, this.clock.nowMs());
    const lateMs = nowMs - dueMs;
    // What came meanwhile still waits to be read: this node stood still, not the others.
    if (lateMs > this.settings.pingTimeoutMs) this.forgive(lateMs, nowMs);
    this.checkConnection(nowMs);
    if (nowMs >= this.nextPeriodMs) {
      this.endPeriod(nowMs);
      this.beginPeriod(nowMs);
    } else if (nowMs >= this.prober.dueMs) this.prober.askOthers();
    this.arm();
  }

  /** Time that must not count against others. */
  private forgive(durationMs: number, nowMs: number): void {
    this.counters.timesAway++;
    this.prober.take();
    this.link.settle(nowMs);
    for (const row of this.roster.all()) row.suspectedMs += durationMs;
  }

  private checkConnection(nowMs: number): void {
    if (!this.bus.isConnected('raft')) this.lose(nowMs);
    else if (this.link.isAway) this.courier.echo();
  }

  private lose(nowMs: number): void {
    if (!this.link.lost(nowMs)) return;
    this.prober.take();
    this.logger.info({}, 'nothing comes in: no member is judged until it does');
  }

  private heard(nowMs: number): void {
    const awayMs = this.link.heard(nowMs);
    if (awayMs === 0) return;
    this.forgive(awayMs, nowMs);
    this.synchronise(pickOne(this.random, this.alive()));
  }

  private endPeriod(nowMs: number): void {
    const { link } = this;
    const probe = this.prober.take();
    if (probe !== undefined) {
      this.counters.probesFailed++;
      if (link.lastInputMs < probe.sentMs) this.lose(nowMs);
      // A late timer may have left others no time to be asked.
      else if (probe.isIndirect && link.mayJudge(nowMs)) this.suspect(probe.target, nowMs);
    }
    // A probe that was answered, or failed while something else came in, has proved the link for suspicions too.
    if (link.mayJudge(nowMs)) this.endSuspicions(nowMs);
  }

  private suspect(nodeId: NodeId, nowMs: number): void {
    const row = this.roster.get(nodeId);
    if (row === undefined || isGone(row.record.state)) return;
    if (row.record.state !== 'suspect') this.counters.suspicionsRaised++;
    this.learn({ ...row.record, state: 'suspect', accusers: [this.settings.nodeId] }, nowMs);
    row.isAccusedHere = true;
  }

  private endSuspicions(nowMs: number): void {
    const { nodes } = this.roster;
    const fullMs = this.settings.suspicionMs ?? defaultSuspicionMs(this.settings.periodMs, nodes);
    for (const { record, suspectedMs } of this.roster.all()) {
      if (record.state !== 'suspect') continue;
      if (nowMs - suspectedMs < suspicionTimeoutMs(fullMs, record.accusers.length, nodes)) continue;
      this.counters.deathsDeclared++;
      this.learn({ ...record, state: 'dead', accusers: [] }, nowMs);
    }
  }

  private beginPeriod(nowMs: number): void {
    const { periodMs } = this.settings;
    this.counters.periods++;
    this.nextPeriodMs += periodMs;
    if (this.nextPeriodMs <= nowMs) this.nextPeriodMs = nowMs + periodMs;
    this.own.beat();
    this.publishFacts(nowMs);
    if (this.link.isAway) return;
    this.prober.begin(nowMs);
    if (!this.hasJoined && this.counters.periods % helloEveryPeriods === 0) this.courier.tellAll('hello');
    if (nowMs < this.nextSyncMs) return;
    this.planSync(nowMs);
    this.synchronise(pickOne(this.random, this.alive()));
  }

  private alive(): readonly NodeId[] {
    return this.roster.inState((state) => state === 'alive');
  }

  private planSync(nowMs: number): void {
    this.nextSyncMs = nowMs + this.settings.syncMs * (0.75 + this.fraction() / 2);
  }

  /** Exchanges everything with a member; once a period, however many reasons there are. Nobody there: whoever hears it. */
  private synchronise(nodeId: NodeId | undefined): void {
    if (this.lastSyncPeriod === this.counters.periods) return;
    this.lastSyncPeriod = this.counters.periods;
    this.counters.syncs++;
    if (nodeId === undefined) this.courier.tellAll('hello');
    else this.courier.sendEverything(nodeId, 'sync');
  }

  private publishFacts(nowMs: number): void {
    if (this.own.publishFacts(nowMs)) this.courier.facts.add(this.settings.nodeId);
  }

  private receiveStatus({ subject, noResponders }: BusMessage): void {
    if (!this.isRunning || !noResponders) return;
    this.heard(this.clock.nowMs());
    this.prober.refused(subject);
    this.arm();
  }

  private receive({ subject, payload }: BusMessage): void {
    if (!this.isRunning) return;
    const nowMs = this.clock.nowMs();
    this.heard(nowMs);
    this.counters.messagesReceived++;
    const message = decodeMessage(payload);
    if (message === undefined) {
      this.counters.messagesMalformed++;
      this.warnOnce({ subject, malformed: this.counters.messagesMalformed }, 'dropped a malformed gossip message');
      return;
    }
    const { sender, news, heartbeats, mapEpoch } = message;
    if (sender.nodeId === this.settings.nodeId) {
      this.hearOfOneself(sender);
      return;
    }
    if (this.roster.isPast(sender)) {
      this.counters.messagesFromPastLives++;
      return;
    }
    const before = this.roster.get(sender.nodeId)?.record.state;
    for (const record of [sender, ...news]) this.learn(record, nowMs, message.type);
    for (const heartbeat of heartbeats) {
      if (heartbeat.nodeId === this.settings.nodeId) continue;
      this.took(this.roster.learnHeartbeat(heartbeat, nowMs), message.type);
    }
    this.answer(message);
    // The other side of a healed partition: both sides learn all of each other by the first two that meet.
    if (before === 'dead' && this.stateOf(sender.nodeId) === 'alive') this.synchronise(sender.nodeId);
    if (mapEpoch <= this.own.mapEpoch) return;
    for (const listener of this.mapEpochListeners) listener(mapEpoch, sender.nodeId);
  }

  private answer({ type, sequence, target, sender }: GossipMessage): void {
    const { nodeId } = sender;
    switch (type) {
      case 'ping':
        this.courier.send(nodeId, { type: 'ack', sequence, target: this.settings.nodeId });
        return;
      case 'pingRequest':
        if (target !== undefined) this.prober.askFor(nodeId, sequence, target);
        return;
      case 'ack':
        if (target !== undefined) this.prober.acknowledged(nodeId, sequence, target);
        this.arm();
        return;
      case 'hello':
        this.answerHello(nodeId);
        return;
      case 'sync':
        this.hasJoined = true;
        this.courier.sendEverything(nodeId, 'state');
        return;
      case 'state':
        this.hasJoined = true;
        return;
      case 'goodbye':
      case 'echo':
        return;
    }
  }

  /** A few tell the newcomer everything, not all: many may start together. */
  private answerHello(nodeId: NodeId): void {
    const others = this.alive().length;
    if (this.fraction() * others < helloAnswers) this.courier.sendEverything(nodeId, 'state');
  }

  private learn(news: MemberRecord, nowMs: number, from?: GossipType): void {
    if (news.nodeId === this.settings.nodeId) this.hearOfOneself(news);
    else this.took(this.roster.learn(news, nowMs), from);
  }

  /** Passes on what is new, and tells who listens. */
  private took(learned: Learned | undefined, from: GossipType | undefined): void {
    if (learned === undefined) return;
    const { row, before, isNewLife } = learned;
    const { record } = row;
    // All heard a hello, many an exchange of everything, and that somebody is alive stands in the heartbeats too.
    const isWidelyKnown = from === 'hello' || from === 'sync' || from === 'state';
    const isPlain = record.state === 'alive' && record.refutation === 0;
    if (learned.isNews && !(isWidelyKnown && isPlain)) this.courier.standings.add(record.nodeId);
    if (learned.hasNewFacts && !isWidelyKnown) this.courier.facts.add(record.nodeId);
    if (record.state === before && !isNewLife) return;
    if (!isGone(record.state) && (before === undefined || isGone(before))) this.prober.add(record.nodeId);
    const fields = { nodeId: record.nodeId, state: record.state, before, life: record.life };
    if (record.state === 'suspect') this.logger.debug(fields, 'a member is suspected');
    else this.logger.info(fields, 'the state of a member changed');
    const member = memberOf(record, row.lastHeardMs, row.sinceMs);
    for (const listener of this.memberListeners) listener(member, before);
  }

  private hearOfOneself(news: MemberRecord): void {
    if (news.life > this.own.record.life) {
      if (!this.hasRival) this.logger.error({ life: news.life }, 'another process runs under the name of this node');
      this.hasRival = true;
      return;
    }
    if (this.own.answer(news)) this.counters.refutations++;
  }

  /** Once a period at most: a sender that goes wrong must not fill the disk. */
  private warnOnce(fields: Readonly<Record<string, unknown>>, text: string): void {
    if (this.lastWarnedPeriod === this.counters.periods) return;
    this.lastWarnedPeriod = this.counters.periods;
    this.logger.warn(fields, text);
  }
}

const memberOf = (record: MemberRecord, lastHeardMs: number, sinceMs: number): Member => {
  const { nodeId, state, life, refutation, heartbeat, facts } = record;
  return { nodeId, state, life, refutation, heartbeat, lastHeardMs, sinceMs, facts };
};
