/** How a node that is in no configuration becomes one of the cluster: it asks the manager until it is in the map. */
import { type Clock, isRingraftError, type Logger, type NodeId, RingraftError } from '../base/index.js';
import type { Bus } from '../transport/index.js';
import { type ClusterMap, type ManagerAnswer, type ManagerRequest, managerSubject } from '../wire/index.js';

const askEveryMs = 250;
const sayEveryMs = 10_000;

export type JoiningParts = {
  readonly bus: Bus;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly cluster: string;
  readonly node: { readonly id: NodeId; readonly zone: string; readonly weight: number };
};

/** Resolves with the map the node is in; waits for a manager as long as it takes. Rejects when it is refused. */
export async function joinCluster({ bus, clock, logger, cluster, node }: JoiningParts): Promise<ClusterMap> {
  const inbox = bus.newInbox();
  let outcome: ClusterMap | RingraftError | undefined;
  const subscription = bus.subscribe('client', inbox, ({ payload, noResponders }) => {
    if (!noResponders) outcome ??= outcomeOf(payload);
  });
  const request: ManagerRequest = { op: 'join', node };
  try {
    for (let nextWordMs = clock.nowMs() + sayEveryMs; outcome === undefined; ) {
      bus.publish('client', managerSubject(cluster), Buffer.from(JSON.stringify(request)), { replyTo: inbox });
      await new Promise<void>((resolve) => clock.after(askEveryMs, resolve));
      if (outcome === undefined && clock.nowMs() >= nextWordMs) {
        nextWordMs += sayEveryMs;
        logger.warn({ cluster }, 'nobody manages the cluster at the moment, or there is none of that name: asking on');
      }
    }
  } finally {
    subscription.unsubscribe();
  }
  if (isRingraftError(outcome)) throw outcome;
  return outcome;
}

/** undefined: it is worth asking again. */
function outcomeOf(payload: Buffer): ClusterMap | RingraftError | undefined {
  let answer: ManagerAnswer;
  try {
    answer = JSON.parse(payload.toString()) as ManagerAnswer;
  } catch {
    return undefined;
  }
  if ('map' in answer) return answer.map;
  if (!('error' in answer)) return undefined;
  const { code, message } = answer.error;
  const isPassing = ['NOT_LEADER', 'NO_LEADER', 'BUSY', 'TIMEOUT', 'NO_QUORUM'].includes(code);
  return isPassing ? undefined : new RingraftError(code, `the cluster refuses this node: ${message}`);
}
