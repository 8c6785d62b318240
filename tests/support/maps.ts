/** Cluster maps for tests: what a test does not say is as in a small healthy cluster. */
import { type BucketId, type NodeId, systemShardId } from '../../src/base/index.js';
import {
  type ClusterMap,
  type ClusterSettings,
  type MapBucket,
  type MapNode,
  type MapShard,
  type RaftTimings,
  wholeBucket,
} from '../../src/wire/index.js';

export const usualSettings: ClusterSettings = {
  downAfterMs: 60_000,
  maxMoves: 4,
  snapshotBytesPerSecond: 33_554_432,
  leaderZones: [],
  rebalance: true,
};

export const usualTimings: RaftTimings = {
  electionTimeoutMs: 1000,
  heartbeatIntervalMs: 50,
  voteHoldMs: 150,
  leaseMs: 110,
};

export const aBucket = (fields: Partial<MapBucket> = {}): MapBucket =>
  wholeBucket({ id: 1 as BucketId, name: 'default', ...fields });

export const aMapNode = (id: NodeId, fields: Partial<MapNode> = {}): MapNode => ({
  id,
  zone: 'z',
  weight: 1,
  condition: 'up',
  ...fields,
});

export const aMapShard = (
  arc: Pick<MapShard, 'id' | 'arcStart' | 'arcEnd'>,
  replicas: readonly NodeId[],
  fields: Partial<MapShard> = {},
): MapShard => ({ ...arc, replicas: replicas.map((nodeId) => ({ nodeId })), leaving: [], epoch: 1, ...fields });

/** The system shard is on the first `replication` nodes. */
export function aClusterMap(
  nodes: readonly NodeId[],
  shards: readonly MapShard[],
  fields: Partial<ClusterMap> = {},
): ClusterMap {
  const replication = fields.replication ?? Math.min(3, nodes.length);
  return {
    cluster: 'test',
    epoch: 1,
    replication,
    raft: usualTimings,
    system: aMapShard({ id: systemShardId, arcStart: 0, arcEnd: 0 }, nodes.slice(0, replication)),
    nodes: nodes.map((id) => aMapNode(id)),
    shards,
    buckets: [aBucket()],
    settings: usualSettings,
    ...fields,
  };
}

/** The map of a cluster that nobody manages: founded, and without the system shard. */
export const withoutSystem = (map: ClusterMap): ClusterMap => ({
  ...map,
  epoch: 1,
  system: { ...map.system, replicas: [] },
});
