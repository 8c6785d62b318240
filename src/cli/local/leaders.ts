/** Who leads what, over the whole cluster: a node knows only of the shards it holds a replica of. */
import { isRingraftError, type NodeId } from '../../base/index.js';
import type { RingraftClient } from '../../client/index.js';
import type { ClusterMapAnswer } from '../../wire/index.js';

/** The map, its leaders completed by asking every node that answers where one node alone does not know. */
export async function mapWithLeaders(client: RingraftClient, timeoutMs: number): Promise<ClusterMapAnswer> {
  const { map, leaders } = await client.map(timeoutMs);
  if (leaders.every((leader) => leader !== null)) return { map, leaders };
  const leading = new Map<number, NodeId>();
  await Promise.all(
    map.nodes.map(async ({ id }) => {
      try {
        const { shards } = await client.nodeStatus(id, timeoutMs);
        for (const shard of shards) if (shard.role === 'leader') leading.set(shard.shardId, id);
      } catch (error) {
        if (!isRingraftError(error, 'UNREACHABLE') && !isRingraftError(error, 'TIMEOUT')) throw error;
      }
    }),
  );
  return { map, leaders: map.shards.map((shard, at) => leaders[at] ?? leading.get(shard.id) ?? null) };
}
