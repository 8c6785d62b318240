/**
 * This node's copy of the cluster map, and what is looked up in it often.
 *
 * Invariants: 1. A copy is replaced whole, by one of a greater epoch only. 2. Which shard a ring position belongs to, and
 * which buckets there are, is the same in every copy: data were placed by it. So are the times that leases rest on.
 */
import { type BucketId, type NodeId, RingraftError, type ShardId } from '../base/index.js';
import { arcAt } from '../ring/index.js';
import type { ClusterMap, MapShard } from '../wire/index.js';

/** Every shard, the system shard first. */
export const allShards = (map: ClusterMap): readonly MapShard[] => [map.system, ...map.shards];

export class LocalMap {
  private map: ClusterMap;
  private shards: ReadonlyMap<ShardId, MapShard>;
  private readonly arcStarts: readonly number[];
  private readonly shardIds: readonly ShardId[];
  private readonly buckets: ReadonlySet<BucketId>;

  constructor(map: ClusterMap) {
    this.map = map;
    this.shards = byId(map);
    this.arcStarts = map.shards.map((shard) => shard.arcStart);
    this.shardIds = map.shards.map((shard) => shard.id);
    this.buckets = new Set(map.buckets.map((bucket) => bucket.id));
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

  hasBucket(id: BucketId): boolean {
    return this.buckets.has(id);
  }

  /** Whether the map was newer. Throws CONFIG when it is one of another cluster, or places keys otherwise. */
  adopt(map: ClusterMap): boolean {
    if (map.epoch <= this.map.epoch) return false;
    const isSame =
      map.cluster === this.map.cluster &&
      map.shards.length === this.shardIds.length &&
      map.shards.every(({ id, arcStart }, at) => id === this.shardIds[at] && arcStart === this.arcStarts[at]) &&
      map.buckets.length === this.buckets.size &&
      map.buckets.every(({ id }) => this.buckets.has(id)) &&
      JSON.stringify(timesOf(map)) === JSON.stringify(timesOf(this.map));
    if (!isSame) {
      const message = `cluster ${map.cluster} was begun with ${formOf(map)}; this node has ${formOf(this.map)}`;
      throw new RingraftError('CONFIG', message);
    }
    this.map = map;
    this.shards = byId(map);
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

const byId = (map: ClusterMap): ReadonlyMap<ShardId, MapShard> =>
  new Map(allShards(map).map((shard) => [shard.id, shard]));

/** Whether the map places, or still tolerates, a replica of the shard on the node. */
export const isPlacedOn = ({ replicas, leaving }: MapShard, node: NodeId): boolean =>
  leaving.includes(node) || replicas.some(({ nodeId }) => nodeId === node);
