/**
 * Questions and orders to the allocation manager: JSON request and answer on `managerSubject`, where only the leader of
 * the system shard listens. Every order may be repeated: what is done already is answered as done, but for buckets that
 * are created or removed twice.
 */
import type { NodeId, ShardId } from '../base/index.js';
import type { ErrorBody } from './admin.js';
import type { BucketSettings, MapBucket } from './buckets.js';
import type { ClusterMap, ClusterSettings, MapChange, NodeCondition } from './cluster-map.js';

/** What the failure detector of the answering node says. `unknown`: never heard of. */
export type Liveness = 'alive' | 'suspect' | 'dead' | 'left' | 'unknown';

/** What a node tells the others about itself. */
export type NodeFacts = {
  readonly version: string;
  readonly zone: string;
  readonly weight: number;
  /** Replicas it holds, the system shard's included. */
  readonly groups: number;
  readonly leaders: number;
  /** null: not known. */
  readonly diskFreeBytes: number | null;
  readonly diskUsedBytes: number | null;
  readonly mapEpoch: number;
  readonly startedAtMs: number;
};

export type NodeView = {
  readonly id: NodeId;
  readonly zone: string;
  readonly weight: number;
  readonly condition: NodeCondition;
  readonly liveness: Liveness;
  /** null: never. */
  readonly lastHeardAgoMs: number | null;
  /** Replicas the map places there, the system shard's included. */
  readonly replicas: number;
  /** Replicas it is still to hand over to others. */
  readonly leaving: number;
  /** Shards it should lead. */
  readonly preferredLeaders: number;
  /** undefined: never heard of. */
  readonly facts?: NodeFacts;
};

/**
 * `waiting`: the new node has been asked to begin a replica. `copying`: the replica catches up. `swapping`: the group
 * changes its voters. `cleaning`: done, but for the data on the old node.
 */
export type MovePhase = 'waiting' | 'copying' | 'swapping' | 'cleaning';

export type MoveView = {
  readonly shardId: ShardId;
  /** Empty: a replica more than before. */
  readonly from: readonly NodeId[];
  /** Nodes that have no voting replica yet. */
  readonly to: readonly NodeId[];
  readonly phase: MovePhase;
  /** Since the move began; a new manager counts from its own beginning. */
  readonly ageMs: number;
  /** Log entries the new replica has, and should have; null until the shard's leader has told. */
  readonly progress: { readonly matchIndex: number; readonly lastIndex: number } | null;
};

export type ClusterView = {
  readonly epoch: number;
  readonly manager: NodeId;
  readonly nodes: readonly NodeView[];
  /** Under way now. */
  readonly moves: readonly MoveView[];
  /** Replicas that are still to be moved after those. */
  readonly waitingMoves: number;
  /** Shards with a replica on a node that is gone or going, and no move for it possible; why, for people. */
  readonly problems: readonly string[];
  readonly settings: ClusterSettings;
};

/** What the leader of a shard tells the manager, every second while the shard is not as the map wants it. */
export type ShardReport = {
  readonly shardId: ShardId;
  /** Of the map's entry of the shard that this is about. */
  readonly epoch: number;
  readonly term: number;
  readonly phase: 'waiting' | 'copying' | 'swapping' | 'settled';
  /** Nodes that should have a voting replica and have none. */
  readonly missing: readonly NodeId[];
  /** Of the new replica; 0 while there is none. */
  readonly matchIndex: number;
  readonly lastIndex: number;
};

export type ManagerRequest =
  /** From nodes only. */
  | { readonly op: 'report'; readonly node: string; readonly shards: readonly ShardReport[] }
  | { readonly op: 'view' }
  | { readonly op: 'map' }
  /** Newest first; `before`: only changes of lesser epochs. */
  | { readonly op: 'history'; readonly limit: number; readonly before?: number }
  /** A node that is not in the map asks to be taken in; one that is, is answered with the map. */
  | {
      readonly op: 'join';
      readonly node: { readonly id: string; readonly zone: string; readonly weight: number };
    }
  /** BAD_REQUEST when too few nodes would be left for the replicas. */
  | { readonly op: 'drain'; readonly node: string }
  /** A drained or draining node is `up` again. */
  | { readonly op: 'recommission'; readonly node: string }
  /**
   * Takes a node that holds nothing out of the map for good; a node that holds something is drained first, and removed
   * by a later request (BUSY until then). `force`: it will not come back, do not wait for `downAfterMs`.
   */
  | { readonly op: 'decommission'; readonly node: string; readonly force?: boolean }
  | { readonly op: 'setNode'; readonly node: string; readonly zone?: string; readonly weight?: number }
  | { readonly op: 'move'; readonly shard: number; readonly from: string; readonly to: string }
  | { readonly op: 'cancelMove'; readonly shard: number }
  | { readonly op: 'settings'; readonly set: Partial<ClusterSettings> }
  /** CONFLICT when there is one of that name. What is not said is as usual. */
  | ({ readonly op: 'createBucket'; readonly name: string } & Partial<BucketSettings>)
  | ({ readonly op: 'configureBucket'; readonly name: string } & Partial<BucketSettings>)
  /** With all it holds, for good. */
  | { readonly op: 'removeBucket'; readonly name: string };

export type ManagerAnswer =
  | { readonly view: ClusterView }
  | { readonly map: ClusterMap }
  | { readonly changes: readonly MapChange[] }
  /** `epoch` of the map in which the order stands. */
  | { readonly done: true; readonly epoch: number }
  /** Of an order about a bucket: as it is now, or was before it was removed. */
  | { readonly done: true; readonly epoch: number; readonly bucket: MapBucket }
  | { readonly error: ErrorBody };
