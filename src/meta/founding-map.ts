/**
 * The map a cluster begins with: every founding node computes the same one from the configuration file, and the first
 * leader of the system shard keeps it as epoch 1.
 */
import { bucketId, type NodeId, RingraftError, systemShardId } from '../base/index.js';
import { equalArcs, place, ringSize } from '../ring/index.js';
import {
  type BucketSettings,
  type ClusterMap,
  type ClusterSettings,
  type MapReplica,
  type RaftTimings,
  wholeBucket,
} from '../wire/index.js';

export type FoundingInput = {
  readonly cluster: string;
  readonly shards: number;
  readonly replication: number;
  readonly nodes: readonly { readonly id: NodeId; readonly zone: string; readonly weight: number }[];
  readonly buckets: readonly ({ readonly name: string; readonly id: number } & Partial<BucketSettings>)[];
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
    buckets: input.buckets
      .map((bucket) => wholeBucket({ ...bucket, id: bucketId(bucket.id) }))
      .sort((a, b) => a.id - b.id),
    settings: input.management,
  };
}

/**
 * A cluster keeps what it was founded with, whatever configurations say later: where keys lie, and the times that leases
 * rest on. Throws CONFIG when a node's configuration says otherwise: it is a mistake, not a wish. Nodes, settings of
 * management, and buckets may differ: they change while the cluster runs.
 */
export function checkConfiguration(own: ClusterMap, founded: ClusterMap): void {
  // Before the cluster is founded its buckets are as fixed as everything else: the other founders have them, too.
  const facts = (map: ClusterMap) => [...fixedFacts(map), ...(founded.epoch === 0 ? [namesOf(map)] : [])];
  const wanted = facts(own);
  const texts = facts(founded).flatMap(([name, value], at) =>
    value === wanted[at]?.[1] ? [] : [`${name}: founded with ${value}, the configuration says ${wanted[at]?.[1]}`],
  );
  if (texts.length === 0) return;
  throw new RingraftError('CONFIG', `cluster ${founded.cluster} exists, and cannot be changed so: ${texts.join('; ')}`);
}

const fixedFacts = ({ shards, replication, raft }: ClusterMap): readonly (readonly [string, unknown])[] => [
  ['shards', shards.length],
  ['replication', replication],
  ['raft.electionTimeoutMs', raft.electionTimeoutMs],
  ['raft.heartbeatIntervalMs', raft.heartbeatIntervalMs],
  ['raft.voteHoldMs', raft.voteHoldMs],
  ['raft.leaseMs', raft.leaseMs],
];

const namesOf = ({ buckets }: ClusterMap): readonly [string, unknown] => [
  'buckets',
  buckets.map(({ name, id }) => `${name} (${id})`).join(', '),
];
