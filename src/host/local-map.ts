/**
 * This node's copy of the cluster map, and what is looked up in it often.
 *
 * Invariants: 1. A copy is replaced whole, by one of a greater epoch only. 2. Which shard a ring position belongs to is
 * the same in every copy: data were placed by it. So are the times that leases rest on. 3. Buckets come, and are marked
 * as removed; none is ever missing in a newer copy, and none that was removed is back.
 */
import { type BucketId, type NodeId, RingraftError, type ShardId } from '../base/index.js';
import { arcAt } from '../ring/index.js';
import type { ClusterMap, MapBucket, MapShard } from '../wire/index.js';

/** Every shard, the system shard first. */
export const allShards = (map: ClusterMap): readonly MapShard[] => [map.system, ...map.shards];

export class LocalMap {
  private map: ClusterMap;
  private shards: ReadonlyMap<ShardId, MapShard>;
  private readonly arcStarts: readonly number[];
  private readonly shardIds: readonly ShardId[];
  private buckets: ReadonlyMap<BucketId, MapBucket>;
  private removed: readonly BucketId[];

  constructor(map: ClusterMap) {
    this.map = map;
    this.shards = byId(map);
    this.arcStarts = map.shards.map((shard) => shard.arcStart);
    this.shardIds = map.shards.map((shard) => shard.id);
    this.buckets = bucketsById(map);
    this.removed = removedIn(map);
  }

  get current(): ClusterMap {
    return this.map;
  }

  /** Whether the system shard keeps the map: before that, nothing is served. */
  get isFounded(): boolean {
    return this.map.epoch > 0;
  }

  /** Undefined: there is no such shard. */
  shard(id: ShardId): MapShard | undefined {
    return this.shards.get(id);
  }

  shardAt(ringPosition: number): ShardId {
    return this.shardIds[arcAt(this.arcStarts, ringPosition)] as ShardId;
  }

  /** Undefined: there is none, or none any more. */
  bucket(id: BucketId): MapBucket | undefined {
    const bucket = this.buckets.get(id);
    return bucket?.isRemoved === false ? bucket : undefined;
  }

  /** Every bucket that was ever removed. */
  get removedBuckets(): readonly BucketId[] {
    return this.removed;
  }

  /** Why an operation on a bucket without an entry here is refused, asked for by somebody who has the map of `epoch`. */
  refusalOf(id: BucketId, epoch: number): { readonly code: 'BUSY' | 'NOT_FOUND'; readonly message: string } {
    if (epoch > this.map.epoch && !this.buckets.has(id)) {
      const message = `this node has map ${this.map.epoch} and will hear of map ${epoch}, which may have bucket ${id}`;
      return { code: 'BUSY', message };
    }
    const name = this.buckets.get(id)?.name;
    return {
      code: 'NOT_FOUND',
      message: name === undefined ? `no bucket has id ${id}` : `bucket ${name} (${id}) was removed`,
    };
  }

  /** Whether the map was newer. Throws CONFIG when it is one of another cluster, or places keys otherwise. */
  adopt(map: ClusterMap): boolean {
    if (map.epoch <= this.map.epoch) return false;
    const isSame =
      map.cluster === this.map.cluster &&
      map.shards.length === this.shardIds.length &&
      map.shards.every(({ id, arcStart }, at) => id === this.shardIds[at] && arcStart === this.arcStarts[at]) &&
      this.keepsBuckets(map) &&
      JSON.stringify(timesOf(map)) === JSON.stringify(timesOf(this.map));
    if (!isSame) {
      const message = `cluster ${map.cluster} was begun with ${formOf(map)}; this node has ${formOf(this.map)}`;
      throw new RingraftError('CONFIG', message);
    }
    const known = this.map.buckets;
    this.map = map;
    this.shards = byId(map);
    if (map.buckets !== known) {
      this.buckets = bucketsById(map);
      this.removed = removedIn(map);
    }
    return true;
  }

  private keepsBuckets(map: ClusterMap): boolean {
    if (map.buckets === this.map.buckets) return true;
    const next = bucketsById(map);
    for (const { id, isRemoved } of this.buckets.values()) {
      const bucket = next.get(id);
      if (bucket === undefined || (isRemoved && !bucket.isRemoved)) return false;
    }
    return true;
  }
}

const timesOf = ({ raft }: ClusterMap): readonly number[] => [
  raft.electionTimeoutMs,
  raft.heartbeatIntervalMs,
  raft.voteHoldMs,
  raft.leaseMs,
];

const formOf = (map: ClusterMap): string =>
  `${map.shards.length} shards, the buckets ${map.buckets.map(({ name }) => name).join(', ')} and ` +
  `raft times of ${timesOf(map).join(', ')} ms`;

const bucketsById = (map: ClusterMap): ReadonlyMap<BucketId, MapBucket> =>
  new Map(map.buckets.map((bucket) => [bucket.id, bucket]));

const removedIn = ({ buckets }: ClusterMap): readonly BucketId[] =>
  buckets.filter(({ isRemoved }) => isRemoved).map(({ id }) => id);

const byId = (map: ClusterMap): ReadonlyMap<ShardId, MapShard> =>
  new Map(allShards(map).map((shard) => [shard.id, shard]));

/** Whether the map places, or still tolerates, a replica of the shard on the node. */
export const isPlacedOn = ({ replicas, leaving }: MapShard, node: NodeId): boolean =>
  leaving.includes(node) || replicas.some(({ nodeId }) => nodeId === node);
