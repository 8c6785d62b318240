/**
 * The cluster map as nodes hand it to each other and to clients (JSON: rare, and people read it). The system shard keeps
 * it; every node and client has a copy, and of two copies the one of the greater epoch is right.
 */
import type { NodeId, ShardId } from '../base/index.js';
import type { MapBucket } from './buckets.js';

/**
 * `up`: gets replicas. `draining`: its replicas are being moved away. `drained`: holds none, and gets none. `down`: it
 * was gone for `downAfterMs`, and others take over what it held; `up` again once it is back.
 */
export type NodeCondition = 'up' | 'draining' | 'drained' | 'down';

export type MapNode = {
  readonly id: NodeId;
  readonly zone: string;
  readonly weight: number;
  readonly condition: NodeCondition;
};
export type MapReplica = { readonly nodeId: NodeId };
export type MapShard = {
  readonly id: ShardId;
  /** First position of its arc of the ring [0, 2^32). */
  readonly arcStart: number;
  /** Past its last position; 2^32 for the last arc. */
  readonly arcEnd: number;
  /** Where its replicas should be; the first one should lead. */
  readonly replicas: readonly MapReplica[];
  /** Nodes that still may hold a replica, until those above are all in place. Nearly always empty. */
  readonly leaving: readonly NodeId[];
  /** Epoch of the map in which this entry got its present form. */
  readonly epoch: number;
};

/** What can be changed while the cluster runs. */
export type ClusterSettings = {
  /** A node that is gone for so long is replaced. */
  readonly downAfterMs: number;
  /** Replicas that are moved at the same time. */
  readonly maxMoves: number;
  /** What one node sends of snapshots, at most. */
  readonly snapshotBytesPerSecond: number;
  /** Zones that leaders should be in, the most wanted first; empty: anywhere. */
  readonly leaderZones: readonly string[];
  /** False: replicas leave nodes that go, but are not moved for the sake of balance. */
  readonly rebalance: boolean;
};

/** What all nodes must agree in, or leases would outlive the promises they rest on. */
export type RaftTimings = {
  readonly electionTimeoutMs: number;
  readonly heartbeatIntervalMs: number;
  readonly voteHoldMs: number;
  readonly leaseMs: number;
};

export type ClusterMap = {
  readonly cluster: string;
  /** 0: as the founding nodes have it from their configuration, before the system shard keeps it. */
  readonly epoch: number;
  /** Replicas a shard should have. */
  readonly replication: number;
  readonly raft: RaftTimings;
  /** The shard that keeps this map; it has no part of the ring. */
  readonly system: MapShard;
  readonly nodes: readonly MapNode[];
  /** In order of their arcs. */
  readonly shards: readonly MapShard[];
  /** In order of their ids, the removed ones too. */
  readonly buckets: readonly MapBucket[];
  readonly settings: ClusterSettings;
};

/** A map with what the answering node knows of leaders at the moment: `leaders[i]` leads `shards[i]`; null: unknown. */
export type ClusterMapAnswer = { readonly map: ClusterMap; readonly leaders: readonly (NodeId | null)[] };

/** Why the map changed. */
export type ChangeKind =
  | 'founded'
  | 'nodeJoined'
  | 'nodeChanged'
  | 'nodeRemoved'
  | 'moveBegan'
  | 'moveDone'
  | 'moveCancelled'
  | 'leadersSpread'
  | 'settingsChanged'
  | 'bucketCreated'
  | 'bucketChanged'
  | 'bucketRemoved';

/**
 * One step from a map to the next: what of it is new. Kept as the history of the cluster, and sent to every node. A
 * change of kind `founded` begins from an empty map.
 */
export type MapChange = {
  /** Of the map after it; the map before had `epoch - 1`. */
  readonly epoch: number;
  /** Wall clock of the manager. */
  readonly atMs: number;
  readonly kind: ChangeKind;
  /** For people. */
  readonly summary: string;
  readonly nodes?: readonly MapNode[];
  readonly removedNodes?: readonly NodeId[];
  /** The system shard among them has id 0. */
  readonly shards?: readonly MapShard[];
  readonly settings?: ClusterSettings;
  readonly buckets?: readonly MapBucket[];
};
