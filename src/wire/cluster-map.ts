/** The cluster map as nodes hand it to clients (JSON: rare, and people read it). */
import type { BucketId, NodeId, ReplicaId, ShardId } from '../base/index.js';

export type MapNode = { readonly id: NodeId; readonly zone: string; readonly weight: number };
export type MapReplica = { readonly replicaId: ReplicaId; readonly nodeId: NodeId };
export type MapShard = {
  readonly id: ShardId;
  /** First position of its arc of the ring [0, 2^32). */
  readonly arcStart: number;
  /** Past its last position; 2^32 for the last arc. */
  readonly arcEnd: number;
  readonly replicas: readonly MapReplica[];
};
export type MapBucket = { readonly id: BucketId; readonly name: string };

export type ClusterMap = {
  readonly cluster: string;
  readonly epoch: number;
  readonly nodes: readonly MapNode[];
  readonly shards: readonly MapShard[];
  readonly buckets: readonly MapBucket[];
};

/** A map with what the answering node knows of leaders at the moment: `leaders[i]` leads `shards[i]`; null: unknown. */
export type ClusterMapAnswer = { readonly map: ClusterMap; readonly leaders: readonly (NodeId | null)[] };
