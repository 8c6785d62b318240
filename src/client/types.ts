/** The public surface of the TypeScript client. */
import type { BusHeaders } from '../transport/index.js';
import type { ClusterMapAnswer, ManagerAnswer, ManagerRequest, NodeStatus } from '../wire/index.js';

/** What a read asks for; the answer says what it got. Only the levels a node serves today are listed. */
export type Consistency = 'linearizable' | 'lease';

export type ReadOptions = { readonly consistency?: Consistency; readonly timeoutMs?: number };

/** At most one of the three conditions. They are decided when the write is applied, on every replica alike. */
export type WriteOptions = {
  readonly ifAbsent?: boolean;
  readonly ifRevision?: number;
  readonly ifValue?: Uint8Array;
  readonly ttlMs?: number;
  readonly timeoutMs?: number;
};

export type GetResult = {
  readonly value: Buffer;
  readonly revision: number;
  readonly consistency: Consistency;
  readonly maybeStale: boolean;
};

export type PutResult = { readonly revision: number };
export type DeleteResult = { readonly found: boolean; readonly revision: number };

/** One key's outcome in a batch: the result or a RingraftError, in the order asked. */
export type Settled<T> = { readonly ok: true; readonly result: T } | { readonly ok: false; readonly error: Error };

export type ScanOptions = {
  readonly prefix?: Uint8Array;
  readonly gte?: Uint8Array;
  readonly lt?: Uint8Array;
  readonly reverse?: boolean;
  readonly keysOnly?: boolean;
  /** All of them when absent. */
  readonly limit?: number;
  readonly timeoutMs?: number;
};

export type ScanItem = { readonly key: Buffer; readonly value: Buffer; readonly revision: number };

export type Key = string | Uint8Array;

/**
 * A connection to one cluster. Operations are batched per turn and per node. Every write carries (client id,
 * sequence), so that a retry never applies twice. Rejections are `RingraftError`s: CONFLICT (fields.revision),
 * TIMEOUT (happened: unknown for writes that may have left), NO_LEADER, NO_QUORUM, BUSY, TOO_LARGE, BAD_REQUEST,
 * NOT_FOUND (an unknown bucket), CLOSED. A missing key is `undefined`, not an error.
 */
export type RingraftClient = {
  // Keys and values are not copied: leave their bytes alone until the operation is settled. Values read are views of
  // the message they came in: copy a small one that is kept for long.
  get(bucket: string, key: Key, options?: ReadOptions): Promise<GetResult | undefined>;
  put(bucket: string, key: Key, value: Key, options?: WriteOptions): Promise<PutResult>;
  delete(bucket: string, key: Key, options?: WriteOptions): Promise<DeleteResult>;
  getMany(bucket: string, keys: readonly Key[], options?: ReadOptions): Promise<Settled<GetResult | undefined>[]>;
  putMany(
    bucket: string,
    pairs: readonly (readonly [key: Key, value: Key])[],
    options?: WriteOptions,
  ): Promise<Settled<PutResult>[]>;
  /** Ordered by key bytes over all shards. */
  scan(bucket: string, options?: ScanOptions): AsyncIterable<ScanItem>;
  /** The cluster map and the leaders known, asked anew. */
  map(timeoutMs?: number): Promise<ClusterMapAnswer>;
  /**
   * Status of one node; UNREACHABLE at once when nobody listens there. With `shardId` of that shard alone, in detail
   * (a node of an earlier version tells of all its shards, without detail).
   */
  nodeStatus(nodeId: string, timeoutMs?: number, shardId?: number): Promise<NodeStatus>;
  /**
   * Resolves once `toNode` leads the shard. WRONG_SHARD when there is no such shard, BAD_REQUEST when the node has no
   * vote in it. When the transfer could not be begun in time: NO_LEADER, BUSY or whatever stood in the way.
   */
  transferLeader(shardId: number, toNode: string, timeoutMs?: number): Promise<void>;
  /**
   * Has the node replace its replica of the shard by a new one, brought up from the leader; resolves once that has begun.
   * `nodeStatus` shows it as a voter under a new id when it is done.
   */
  rebuildReplica(shardId: number, nodeId: string, timeoutMs?: number): Promise<void>;
  metrics(nodeId: string, timeoutMs?: number): Promise<string>;
  /**
   * A question or an order to the cluster's allocation manager, repeated until it answers: NO_LEADER when there is none
   * in time, TIMEOUT (happened: unknown for orders) when it was there and did not answer.
   */
  manage(request: ManagerRequest, timeoutMs?: number): Promise<ManagerAnswer>;
  /** Rejects what is in flight (CLOSED, happened: unknown for writes) and closes the connection if it owns it. */
  close(): Promise<void>;
};

export type ClientOptions = {
  readonly cluster: string;
  /** Default time an operation may take with all its retries. */
  readonly timeoutMs?: number;
  /** Operations in flight beyond which new ones wait in the client. */
  readonly maxInFlight?: number;
};

export type { BusHeaders };
