/** Administration of one node: JSON request and answer on `adminSubject`. */
import type { ErrorCode, Happened, NodeId, ReplicaId, ShardId } from '../base/index.js';
import type { ClusterMap } from './cluster-map.js';

/** What a leader knows of one other member. */
export type FollowerStatus = {
  readonly replicaId: ReplicaId;
  readonly state: 'probe' | 'replicate' | 'snapshot';
  readonly matchIndex: number;
  readonly nextIndex: number;
  /** It answered lately. In a quiet shard nobody is asked. */
  readonly isActive: boolean;
};

/** What is told only when one shard is asked for. */
export type ShardDetail = {
  /** 0: nobody, in this term. */
  readonly votedFor: ReplicaId;
  readonly persistedIndex: number;
  /** `outgoing` is empty unless the configuration is joint. */
  readonly voters: readonly ReplicaId[];
  readonly outgoing: readonly ReplicaId[];
  readonly learners: readonly ReplicaId[];
  /** Where members live, by replica id. */
  readonly nodes: Readonly<Record<string, NodeId>>;
  /** The replica that leadership is being handed to; 0: none. */
  readonly transferringTo: ReplicaId;
  /** Empty unless this replica leads. */
  readonly followers: readonly FollowerStatus[];
};

export type ShardStatus = {
  readonly shardId: ShardId;
  readonly replicaId: ReplicaId;
  /** `learner`: does not vote, or not yet in every half of a joint configuration. `damaged`: waits to be replaced. */
  readonly role: 'follower' | 'preCandidate' | 'candidate' | 'leader' | 'learner' | 'damaged';
  readonly leaderNode: NodeId | null;
  readonly term: number;
  readonly firstIndex: number;
  readonly lastIndex: number;
  readonly commitIndex: number;
  readonly appliedIndex: number;
  /** On a leader: entries the furthest behind follower still lacks. Elsewhere null. */
  readonly lagEntries: number | null;
  readonly damage: string | null;
  /** Neither heartbeats nor timers until something happens. Absent: an older node, which does not tell. */
  readonly isQuiet?: boolean;
  readonly detail?: ShardDetail;
};

/** What a node knows of the link from another node to itself. */
export type PeerStatus = {
  readonly nodeId: NodeId;
  /** null: never, in this life of the node. */
  readonly heardAgoMs: number | null;
  /** Nothing came for an election timeout. */
  readonly isSilent: boolean;
};

export type NodeStatus = {
  readonly nodeId: NodeId;
  readonly cluster: string;
  readonly version: string;
  readonly pid: number;
  readonly startedAtMs: number;
  readonly incarnation: number;
  readonly shards: readonly ShardStatus[];
  readonly wal: {
    readonly segments: number;
    readonly bytesOnDisk: number;
    readonly bytesWritten: number;
    readonly records: number;
    readonly syncs: number;
    readonly isFull: boolean;
  };
  readonly memory: { readonly residentBytes: number; readonly heapBytes: number };
  /** Absent: an older node, which does not tell. */
  readonly uptimeMs?: number;
  /** Every other node of the cluster. Absent: an older node, which does not tell. */
  readonly peers?: readonly PeerStatus[];
  /** Monotonic counters since the start, by name. */
  readonly counters: Readonly<Record<string, number>>;
};

export type AdminRequest =
  /** With `shardId` that shard alone, in detail; an older node tells of all, without detail. */
  | { readonly op: 'status'; readonly shardId?: number }
  | { readonly op: 'transferLeader'; readonly shardId: number; readonly to: string }
  /** A node's replica of a shard cannot go on: take in a new one there, under this id (asked of the leader). */
  | { readonly op: 'replaceReplica'; readonly shardId: number; readonly nodeId: string; readonly newReplicaId: number }
  /**
   * The shard's leader asks a node to begin a replica, and says who its members are by the configuration at
   * `configurationIndex` of its log: a replica the node has and that is none of them is of the past.
   */
  | {
      readonly op: 'hostReplica';
      readonly shardId: number;
      readonly term: number;
      readonly configurationIndex: number;
      readonly members: readonly number[];
    }
  /** The node's copy of the cluster map. */
  | { readonly op: 'map' }
  /** How far a founding node came with its first start; asked before a cluster is founded. */
  | { readonly op: 'founding' }
  /** Give up this node's replica of a shard and begin a new one from the leader. */
  | { readonly op: 'rebuildReplica'; readonly shardId: number }
  /** Prometheus text. */
  | { readonly op: 'metrics' };

/**
 * `new`: it has nothing. `founding`: it has begun with the founding replicas, and does not know that the cluster ever
 * worked. `established`: the cluster exists.
 */
export type FoundingState = 'new' | 'founding' | 'established';

export type ErrorBody = { readonly code: ErrorCode; readonly message: string; readonly happened: Happened };

export type AdminAnswer =
  | { readonly status: NodeStatus }
  | { readonly done: true }
  /** The replica is a member, and that is committed. */
  | { readonly member: number }
  | { readonly metrics: string }
  | { readonly map: ClusterMap }
  | { readonly founding: FoundingState }
  | { readonly error: ErrorBody };
