/**
 * What a node that has nothing may begin with. A founding node begins with the founding replicas, under the ids that
 * follow from the configuration, and that must happen once: a node that had them and lost its disk would vote and
 * acknowledge a second time under the same ids. So before it founds, it asks.
 *
 * Invariants:
 * 1. Nobody founds who has heard of an established cluster: one whose system shard has taken a record. Nothing is served
 *    before that, so data exist only in established clusters.
 * 2. Nobody founds alone: a majority of the founding nodes must have answered; unless time is up all of them, and whoever
 *    serves the map must have none.
 * 3. A first start that was broken off is gone on with, and asks nobody: it has asked before.
 */
import { type Clock, emptyBytes, type Logger, type NodeId, RingraftError } from '../base/index.js';
import type { FirstStart } from '../kv/index.js';
import type { Bus, BusMessage } from '../transport/index.js';
import {
  type AdminAnswer,
  type AdminRequest,
  adminSubject,
  type ClusterMap,
  type FoundingState,
  mapSubject,
} from '../wire/index.js';

const askEveryMs = 100;
/** How long all founding nodes are waited for before a majority is enough. */
const waitForAllMs = 3000;
const sayEveryMs = 10_000;

export type Beginning = { readonly map: ClusterMap; readonly mayFound: boolean };

export type FoundingParts = {
  readonly bus: Bus;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly nodeId: NodeId;
  /** How far an earlier life came. */
  readonly reached: FirstStart;
  /** As the configuration has it, with epoch 0. */
  readonly founding: ClusterMap;
  readonly stopping?: AbortSignal;
};

/** Resolves once it is certain what to begin with; waits for as long as it takes. Rejects with CLOSED when told to stop. */
export async function decideBeginning(parts: FoundingParts): Promise<Beginning> {
  const { reached, founding } = parts;
  if (reached !== 'none') return { map: founding, mayFound: reached === 'begun' };
  const inquiry = new Inquiry(parts);
  try {
    return await inquiry.run();
  } finally {
    inquiry.close();
  }
}

class Inquiry {
  private readonly states = new Map<NodeId, FoundingState>();
  private readonly others: readonly NodeId[];
  private readonly inbox: string;
  private readonly subscriptions;
  private map: ClusterMap | undefined;
  /** Nobody serves a map, or somebody has none yet. */
  private isMapMissing = false;

  constructor(private readonly parts: FoundingParts) {
    const { bus, founding, nodeId } = parts;
    this.others = founding.nodes.map(({ id }) => id).filter((id) => id !== nodeId);
    this.inbox = bus.newInbox();
    this.subscriptions = [
      bus.subscribe('client', adminSubject(founding.cluster, nodeId), (message) => this.tell(message)),
      bus.subscribe('client', `${this.inbox}.*`, (message) => this.hear(message)),
    ];
  }

  close(): void {
    for (const subscription of this.subscriptions) subscription.unsubscribe();
  }

  async run(): Promise<Beginning> {
    const { clock, logger, founding, stopping } = this.parts;
    const beganMs = clock.nowMs();
    let nextWordMs = beganMs + waitForAllMs;
    for (;;) {
      const decided = this.decide(clock.nowMs() - beganMs);
      if (decided !== undefined) return decided;
      if (clock.nowMs() >= nextWordMs) {
        nextWordMs += sayEveryMs;
        const heard = [...this.states].map(([node, state]) => `${node}: ${state}`).join(', ') || 'nobody';
        logger.warn({ heard }, 'waiting for a majority of the founding nodes, to be sure that there is no cluster yet');
      }
      this.ask(founding.cluster);
      await new Promise<void>((resolve) => clock.after(askEveryMs, resolve));
      if (stopping?.aborted === true)
        throw new RingraftError('CLOSED', 'stopped before it was certain what to begin with');
    }
  }

  private decide(waitedMs: number): Beginning | undefined {
    const { founding, nodeId, logger } = this.parts;
    if (this.map !== undefined) {
      logger.warn(
        { epoch: this.map.epoch },
        `cluster ${founding.cluster} exists; ${nodeId} has nothing of it and begins empty`,
      );
      return { map: this.map, mayFound: false };
    }
    if ([...this.states.values()].includes('established')) return undefined;
    const present = this.states.size + 1;
    const isMajority = 2 * present > this.others.length + 1;
    // Those who founded may all be new while others, who joined, have the cluster.
    const isEverybody = present === this.others.length + 1 && this.isMapMissing;
    const isEnough = isEverybody || (isMajority && waitedMs >= waitForAllMs);
    return isEnough ? { map: founding, mayFound: true } : undefined;
  }

  private ask(cluster: string): void {
    const { bus } = this.parts;
    const request: AdminRequest = { op: 'founding' };
    for (const node of this.others) {
      const payload = Buffer.from(JSON.stringify(request));
      bus.publish('client', adminSubject(cluster, node), payload, { replyTo: `${this.inbox}.${node}` });
    }
    bus.publish('client', mapSubject(cluster), emptyBytes, { replyTo: `${this.inbox}.map` });
  }

  /** Another founding node asks the same. */
  private tell({ payload, replyTo }: BusMessage): void {
    if (replyTo === undefined) return;
    const answer = answerOfBeginner(payload);
    this.parts.bus.publish('client', replyTo, Buffer.from(JSON.stringify(answer)));
  }

  private hear({ subject, payload, noResponders }: BusMessage): void {
    const about = subject.slice(this.inbox.length + 1);
    if (noResponders) {
      if (about === 'map') this.isMapMissing = true;
      return;
    }
    let answer: Partial<Record<'map' | 'founding', unknown>>;
    try {
      answer = JSON.parse(payload.toString()) as Partial<Record<'map' | 'founding', unknown>>;
    } catch {
      return;
    }
    if (about === 'map') {
      const map = answer.map as ClusterMap | undefined;
      if (map !== undefined && map.epoch > 0) this.map = map;
      else this.isMapMissing = true;
    } else if (typeof answer.founding === 'string') {
      this.states.set(about as NodeId, answer.founding as FoundingState);
    }
  }
}

function answerOfBeginner(payload: Buffer): AdminAnswer {
  let op: unknown;
  try {
    op = (JSON.parse(payload.toString()) as { op?: unknown }).op;
  } catch {
    op = undefined;
  }
  if (op === 'founding') return { founding: 'new' };
  const error = new RingraftError('NO_LEADER', 'this node is only beginning');
  return { error: { code: error.code, message: error.message, happened: 'no' } };
}
