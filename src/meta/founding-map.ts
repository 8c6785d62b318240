/**
 * The map a cluster begins with: every founding node computes the same one from the configuration file, and the first
 * leader of the system shard keeps it as epoch 1.
 */
import { type BucketId, bucketId, type NodeId, RingraftError, systemShardId } from '../base/index.js';
import { equalArcs, place, ringSize } from '../ring/index.js';
import type { ClusterMap, ClusterSettings, MapReplica, RaftTimings } from '../wire/index.js';

export type FoundingInput = {
  readonly cluster: string;
  readonly shards: number;
  readonly replication: number;
  readonly nodes: readonly { readonly id: NodeId; readonly zone: string; readonly weight: number }[];
  readonly buckets: readonly { readonly name: string; readonly id: number }[];
  readonly management: ClusterSettings;
  readonly raft: RaftTimings;
};

/** Needs `initHash()` before. */
export function foundingMap(input: FoundingInput): ClusterMap {
  const { cluster, replication } = input;
  const { electionTimeoutMs, heartbeatIntervalMs, voteHoldMs, leaseMs } = input.raft;
  const arcs = equalArcs(input.shards);
  const replicasOf = (ids: readonly NodeId[] | undefined): MapReplica[] => (ids ?? []).map((nodeId) => ({ nodeId }));
  const { replicas } = place(arcs, input.nodes, replication);
  const system = place([{ shardId: systemShardId, start: 0, end: ringSize }], input.nodes, replication);
  return {
    cluster,
    epoch: 0,
    replication,
    raft: { electionTimeoutMs, heartbeatIntervalMs, voteHoldMs, leaseMs },
    system: {
      id: systemShardId,
      arcStart: 0,
      arcEnd: 0,
      replicas: replicasOf(system.replicas[0]),
      leaving: [],
      epoch: 1,
    },
    nodes: input.nodes.map(({ id, zone, weight }) => ({ id, zone, weight, condition: 'up' })),
    shards: arcs.map((arc, at) => ({
      id: arc.shardId,
      arcStart: arc.start,
      arcEnd: arc.end,
      replicas: replicasOf(replicas[at]),
      leaving: [],
      epoch: 1,
    })),
    buckets: input.buckets.map(({ name, id }): { name: string; id: BucketId } => ({ name, id: bucketId(id) })),
    settings: input.management,
  };
}

/**
 * A cluster keeps what it was begun with, whatever configurations say later: where keys lie, and the times that leases
 * rest on. Throws CONFIG when a node's configuration says otherwise, so that nobody believes it took effect. Nodes and
 * settings of management may differ: they change while the cluster runs.
 */
export function checkConfiguration(own: ClusterMap, map: ClusterMap): void {
  const fixed = ({ shards, replication, buckets, raft }: ClusterMap): readonly string[] => [
    `${shards.length} shards`,
    `${replication} replicas a shard`,
    `the buckets ${buckets.map(({ name, id }) => `${name} (${id})`).join(', ')}`,
    ...Object.entries(raft).map(([name, value]) => `raft.${name} ${value}`),
  ];
  const wanted = fixed(own);
  const problems = fixed(map).flatMap((fact, at) =>
    fact === wanted[at] ? [] : [`cluster ${map.cluster} was begun with ${fact}, the configuration says ${wanted[at]}`],
  );
  if (problems.length === 0) return;
  throw new RingraftError('CONFIG', `${problems.join('; ')}: that cannot be changed`);
}
