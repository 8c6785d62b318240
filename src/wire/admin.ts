/** Administration of one node: JSON request and answer on `adminSubject`. */
import type { ErrorCode, Happened, NodeId, ReplicaId, ShardId } from '../base/index.js';

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
  /** Monotonic counters since the start, by name. */
  readonly counters: Readonly<Record<string, number>>;
};

export type AdminRequest =
  | { readonly op: 'status' }
  | { readonly op: 'transferLeader'; readonly shardId: number; readonly to: string }
  /** A node's replica of a shard cannot go on: take in a new one there, under this id (asked of the leader). */
  | { readonly op: 'replaceReplica'; readonly shardId: number; readonly nodeId: string; readonly newReplicaId: number }
  /** Give up this node's replica of a shard and begin a new one from the leader. */
  | { readonly op: 'rebuildReplica'; readonly shardId: number }
  /** Prometheus text. */
  | { readonly op: 'metrics' };

export type ErrorBody = { readonly code: ErrorCode; readonly message: string; readonly happened: Happened };

export type AdminAnswer =
  | { readonly status: NodeStatus }
  | { readonly done: true }
  /** The replica is a member, and that is committed. */
  | { readonly member: number }
  | { readonly metrics: string }
  | { readonly error: ErrorBody };
