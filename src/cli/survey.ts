/** What every node tells about itself, asked directly and all at once. */
import { isRingraftError, type NodeId, systemShardId } from '../base/index.js';
import type { RingraftClient } from '../client/index.js';
import type { MapShard, NodeStatus, ShardStatus } from '../wire/index.js';

/** `silent`: it listens on its subject and does not answer. `down`: nobody listens there. */
export type NodeState = 'up' | 'silent' | 'down';

export type SurveyedNode = {
  readonly id: NodeId;
  readonly state: NodeState;
  /** Of a node that is up. */
  readonly status: NodeStatus | undefined;
};

/** Longer than any node that is well takes; a listing should not wait for those that are not. */
const mostMs = 2000;

async function surveyedNode(
  client: RingraftClient,
  id: NodeId,
  timeoutMs: number,
  shardId: number | undefined,
): Promise<SurveyedNode> {
  try {
    return { id, state: 'up', status: await client.nodeStatus(id, Math.min(mostMs, timeoutMs), shardId) };
  } catch (error) {
    if (isRingraftError(error, 'UNREACHABLE')) return { id, state: 'down', status: undefined };
    if (isRingraftError(error, 'TIMEOUT')) return { id, state: 'silent', status: undefined };
    throw error;
  }
}

/** In the order of `ids`. With `shardId` the nodes tell of that shard alone, in detail. */
export const survey = (
  client: RingraftClient,
  ids: readonly NodeId[],
  timeoutMs: number,
  shardId?: number,
): Promise<readonly SurveyedNode[]> => Promise.all(ids.map((id) => surveyedNode(client, id, timeoutMs, shardId)));

export const replicaOf = (node: SurveyedNode, shardId: number): ShardStatus | undefined =>
  node.status?.shards.find((shard) => shard.shardId === shardId);

/** Of several that believe they lead, the one of the latest term does. */
export const leaderAmong = (replicas: readonly ShardStatus[]): ShardStatus | undefined =>
  replicas
    .filter(({ role }) => role === 'leader')
    .reduce<ShardStatus | undefined>(
      (best, each) => (best === undefined || each.term > best.term ? each : best),
      undefined,
    );

const hex = (position: number): string => position.toString(16).padStart(8, '0');

/** Both ends within: `40000000-7fffffff`. The system shard has no part of the ring. */
export const arcText = ({ id, arcStart, arcEnd }: MapShard): string =>
  id === systemShardId ? 'system' : `${hex(arcStart)}-${hex(arcEnd - 1)}`;
