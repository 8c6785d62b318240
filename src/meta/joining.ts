/** How a node that is in no configuration becomes one of the cluster: it asks the manager until it is in the map. */
import { type Clock, isRingraftError, type Logger, type NodeId, pause, RingraftError } from '../base/index.js';
import type { Bus } from '../transport/index.js';
import {
  type ClusterMap,
  type ErrorBody,
  type ManagerRequest,
  managerSubject,
  withWholeBuckets,
} from '../wire/index.js';

const askEveryMs = 250;
const sayFirstMs = 2000;
const sayEveryMs = 10_000;

export type JoiningParts = {
  readonly bus: Bus;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly cluster: string;
  readonly node: { readonly id: NodeId; readonly zone: string; readonly weight: number };
  readonly stopping?: AbortSignal;
};

/**
 * Resolves with the map the node is in; waits for a manager as long as it takes. Rejects when it is refused, and with
 * CLOSED when told to stop.
 */
export async function joinCluster({ bus, clock, logger, cluster, node, stopping }: JoiningParts): Promise<ClusterMap> {
  const inbox = bus.newInbox();
  let outcome: ClusterMap | RingraftError | undefined;
  let obstacle = nobody;
  const subscription = bus.subscribe('client', inbox, ({ payload, noResponders }) => {
    const answer = noResponders ? nobody : answerOf(payload);
    if (typeof answer === 'string') obstacle = answer;
    else outcome ??= answer;
  });
  const request: ManagerRequest = { op: 'join', node };
  try {
    for (let nextWordMs = clock.nowMs() + sayFirstMs; outcome === undefined; ) {
      bus.publish('client', managerSubject(cluster), Buffer.from(JSON.stringify(request)), { replyTo: inbox });
      await pause(clock, askEveryMs);
      if (stopping?.aborted === true) throw new RingraftError('CLOSED', 'stopped before the cluster took it in');
      if (outcome === undefined && clock.nowMs() >= nextWordMs) {
        nextWordMs += sayEveryMs;
        logger.warn({ cluster, obstacle }, 'not taken into the cluster yet: asking on');
      }
    }
  } finally {
    subscription.unsubscribe();
  }
  if (isRingraftError(outcome)) throw outcome;
  return outcome;
}

const nobody = 'nobody manages the cluster at the moment, or there is none of that name';

/** A text: why it is worth asking again. */
function answerOf(payload: Buffer): ClusterMap | RingraftError | string {
  let answer: Partial<Record<'map' | 'error', unknown>>;
  try {
    answer = JSON.parse(payload.toString()) as typeof answer;
  } catch {
    return 'the manager gave an answer that does not read';
  }
  if (answer?.map !== undefined) return withWholeBuckets(answer.map as ClusterMap);
  if (answer?.error === undefined) return 'the manager gave an answer of another kind';
  const { code, message } = answer.error as ErrorBody;
  const isPassing = ['NOT_LEADER', 'NO_LEADER', 'BUSY', 'TIMEOUT', 'NO_QUORUM'].includes(code);
  return isPassing ? message : new RingraftError(code, `the cluster refuses this node: ${message}`);
}
