/**
 * Identifiers. The glossary every folder keeps to:
 *
 * - **node**: one `kvd` process, named by its `NodeId` (`n1`), which is also a NATS subject token.
 * - **shard**: one Raft group and the arc of the ring it owns, numbered by its `ShardId` (u16 range).
 * - **replica**: one member of a shard's group, numbered by its `ReplicaId`. A replica id is unique in its
 *   shard and is never used again, not even when the same node comes back.
 * - **bucket**: a named key space; `BucketId` (u16) stands in every stored key.
 */
declare const brand: unique symbol;
type Brand<T, Name extends string> = T & { readonly [brand]: Name };

export type NodeId = Brand<string, 'NodeId'>;
export type ShardId = Brand<number, 'ShardId'>;
export type ReplicaId = Brand<number, 'ReplicaId'>;
export type BucketId = Brand<number, 'BucketId'>;

/** The absent replica: "voted for nobody", "no leader known". Real replica ids start at 1. */
export const noReplica = 0 as ReplicaId;

const nodeIdPattern = /^[a-z0-9][a-z0-9_-]{0,62}$/;

/** Whether `text` may name a node: lower-case letters, digits, `-` and `_`, at most 63 characters. */
export function isNodeId(text: string): text is NodeId {
  return nodeIdPattern.test(text);
}

export const nodeId = (text: string): NodeId => {
  if (!isNodeId(text)) throw new RangeError(`not a node id: ${JSON.stringify(text)}`);
  return text;
};

const integerId = (value: number, max: number, what: string): number => {
  if (!Number.isInteger(value) || value < 0 || value > max) throw new RangeError(`not a ${what}: ${value}`);
  return value;
};

export const shardId = (value: number): ShardId => integerId(value, 0xffff, 'shard id') as ShardId;
/** The shard that keeps the cluster map; shards with data are numbered from 1. */
export const systemShardId = 0 as ShardId;
/** The bucket of the system shard; buckets of users are numbered from 1. */
export const systemBucketId = 0 as BucketId;
export const replicaId = (value: number): ReplicaId => integerId(value, 0xffff_ffff, 'replica id') as ReplicaId;
export const bucketId = (value: number): BucketId => integerId(value, 0xffff, 'bucket id') as BucketId;
