/**
 * What a node that has nothing may begin with. A founding node begins with the founding replicas, under the ids that
 * follow from the configuration, and that must happen once: a node that had them and lost its disk would vote and
 * acknowledge a second time under the same ids. So before it founds, it asks.
 *
 * Invariants:
 * 1. Nobody founds who has heard of an established cluster: one whose system shard has taken a record. Nothing is served
 *    before that, so data exist only in established clusters.
 * 2. Nobody founds before every founding node has answered: the one that keeps silent may be the only one that knows of
 *    the cluster, or of what this node has acknowledged in it. Nor before the map was asked for: those who founded may
 *    all be new, or be one, while others, who joined, have the cluster.
 * 3. A first start that was broken off is gone on with, and asks nobody: it has asked before.
 * 4. No record is written before every founding node has its founding replicas, durably. So whoever comes to an
 *    established cluster with nothing has lost what it had, and is the only one to miss it.
 */
import { type Clock, emptyBytes, type Logger, type NodeId, pause, RingraftError } from '../base/index.js';
import type { FirstStart } from '../kv/index.js';
import type { Bus, BusMessage } from '../transport/index.js';
import {
  type AdminAnswer,
  adminSubject,
  type ClusterMap,
  errorAnswer,
  mapSubject,
  withWholeBuckets,
} from '../wire/index.js';
import { FoundingStates } from './founding-states.js';

const askEveryMs = 100;
const firstWordMs = 3000;
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
  private readonly states: FoundingStates;
  private readonly inbox: string;
  private readonly subscriptions;
  private map: ClusterMap | undefined;
  /** Nobody serves a map, or whoever does has none yet. */
  private isMapMissing = false;

  constructor(private readonly parts: FoundingParts) {
    const { bus, founding, nodeId } = parts;
    this.states = new FoundingStates(bus, founding, nodeId);
    this.inbox = bus.newInbox();
    this.subscriptions = [
      bus.subscribe('client', adminSubject(founding.cluster, nodeId), (message) => this.tell(message)),
      bus.subscribe('client', this.inbox, (message) => this.hearMap(message)),
    ];
  }

  close(): void {
    this.states.close();
    for (const subscription of this.subscriptions) subscription.unsubscribe();
  }

  async run(): Promise<Beginning> {
    const { bus, clock, founding, stopping } = this.parts;
    const word = new PatientWord(this.parts, () => this.states.heard);
    for (;;) {
      const decided = this.decide();
      if (decided !== undefined) return decided;
      word.say('waiting for the other founding nodes, to be sure that there is no cluster yet');
      this.states.ask();
      bus.publish('client', mapSubject(founding.cluster), emptyBytes, { replyTo: this.inbox });
      await pause(clock, askEveryMs);
      if (stopping?.aborted === true)
        throw new RingraftError('CLOSED', 'stopped before it was certain what to begin with');
    }
  }

  private decide(): Beginning | undefined {
    const { founding, nodeId, logger } = this.parts;
    if (this.map !== undefined) {
      logger.warn(
        { epoch: this.map.epoch },
        `cluster ${founding.cluster} exists; ${nodeId} has nothing of it and begins empty`,
      );
      return { map: this.map, mayFound: false };
    }
    const isNew = this.isMapMissing && this.states.isEach((state) => state !== 'established');
    return isNew ? { map: founding, mayFound: true } : undefined;
  }

  /** Another founding node asks the same. */
  private tell({ payload, replyTo }: BusMessage): void {
    if (replyTo === undefined) return;
    const answer = answerOfBeginner(payload);
    this.parts.bus.publish('client', replyTo, Buffer.from(JSON.stringify(answer)));
  }

  private hearMap({ payload, noResponders }: BusMessage): void {
    if (noResponders) {
      this.isMapMissing = true;
      return;
    }
    try {
      const { map } = JSON.parse(payload.toString()) as { readonly map?: ClusterMap };
      if (map !== undefined && map.epoch > 0) this.map = withWholeBuckets(map);
      else this.isMapMissing = true;
    } catch {
      // Asked again soon.
    }
  }
}

export type RollCallParts = Omit<FoundingParts, 'reached'> & {
  /** False: nobody waits for the answer any more. */
  readonly goesOn: () => boolean;
};

/** Resolves with true once every founding node has its founding replicas. */
export async function allHaveBegun({ bus, clock, logger, nodeId, founding, goesOn }: RollCallParts): Promise<boolean> {
  const states = new FoundingStates(bus, founding, nodeId);
  const word = new PatientWord({ clock, logger }, () => states.heard);
  try {
    while (goesOn()) {
      // `established` is said of the first records, too: where another founding was broken off between them.
      if (states.isEach((state) => state !== 'new')) return true;
      word.say('waiting for every founding node to begin, before the cluster is founded');
      states.ask();
      await pause(clock, askEveryMs);
    }
    return false;
  } finally {
    states.close();
  }
}

/** Says now and then what is waited for, and who has answered. */
class PatientWord {
  private nextMs: number;

  constructor(
    private readonly parts: { readonly clock: Clock; readonly logger: Logger },
    private readonly heard: () => string,
  ) {
    this.nextMs = parts.clock.nowMs() + firstWordMs;
  }

  say(message: string): void {
    if (this.parts.clock.nowMs() < this.nextMs) return;
    this.nextMs += sayEveryMs;
    this.parts.logger.warn({ heard: this.heard() }, message);
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
  return errorAnswer(new RingraftError('NO_LEADER', 'this node is only beginning'));
}
