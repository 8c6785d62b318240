/** The public surface of the TypeScript client. */
import type { BusHeaders } from '../transport/index.js';
import {
  bucketLevels,
  type ClusterMapAnswer,
  type ManagerAnswer,
  type ManagerRequest,
  type NodeStatus,
} from '../wire/index.js';

/** What a read asks for; the answer says what it got. */
export const consistencies = bucketLevels;
export type Consistency = (typeof consistencies)[number];

export type ReadOptions = {
  /** Default: that of the bucket. */
  readonly consistency?: Consistency;
  /** Level `quorum`: replicas that must answer; default: a majority. Fewer prove nothing. */
  readonly readQuorum?: number;
  /** Level `one`: what the data may be old at most; a replica that cannot promise it does not answer. */
  readonly maxStalenessMs?: number;
  /** When there is no leader in time: the best of `quorum` and `one` that there is. Default: the bucket's mode. */
  readonly available?: boolean;
  readonly timeoutMs?: number;
};

/** At most one of the three conditions. They are decided when the write is applied, on every replica alike. */
export type WriteOptions = {
  readonly ifAbsent?: boolean;
  readonly ifRevision?: number;
  readonly ifValue?: Uint8Array;
  readonly ttlMs?: number;
  readonly timeoutMs?: number;
  /**
   * The write's own name: it takes effect once however often it is asked for with this name, by whomever, for as long as
   * the shard remembers it (an hour without use, 10,000 clients and names a shard). Without one, the retries of one call
   * are protected, and a second call is a second write.
   */
  readonly requestId?: string;
};

/** How an answer came about. */
export type Served = {
  /** What it was really served at. */
  readonly consistency: Consistency;
  /** False: it was the newest value at some moment between the question and the answer. */
  readonly maybeStale: boolean;
  /** Where it may be stale: by how much at most, where that is known. */
  readonly stalenessMs?: number;
};

export type GetResult = Served & {
  readonly value: Buffer;
  readonly revision: number;
  /** Milliseconds since 1970; absent: the key has no time to live. */
  readonly expiresAtMs?: number;
};
/** Like a `GetResult`, and the same of a key that is not there. */
export type LookUpResult = Served & { readonly item: GetResult | undefined };
/** A key without its value. */
export type KeyFacts = Omit<GetResult, 'value'>;

export type PutResult = { readonly revision: number };
export type DeleteResult = { readonly found: boolean; readonly revision: number };
export type TouchResult = { readonly found: boolean; readonly revision: number };
/** `value`: after the increment. */
export type IncrementResult = { readonly value: number; readonly revision: number };
/** `bytes`: of the whole value after the append. */
export type AppendResult = { readonly bytes: number; readonly revision: number };

/** One of several operations on keys of one bucket; each has an outcome of its own. */
export type BatchOperation =
  | { readonly op: 'get' | 'exists'; readonly key: Key; readonly options?: ReadOptions }
  | { readonly op: 'put' | 'append'; readonly key: Key; readonly value: Key; readonly options?: WriteOptions }
  | { readonly op: 'delete'; readonly key: Key; readonly options?: WriteOptions }
  | { readonly op: 'incr'; readonly key: Key; readonly by?: number; readonly options?: WriteOptions }
  /** Without `options.ttlMs`: for ever. */
  | { readonly op: 'touch'; readonly key: Key; readonly options?: WriteOptions };

export type BatchResult =
  | { readonly op: 'get'; readonly result: GetResult | undefined; readonly served: Served }
  | { readonly op: 'exists'; readonly result: KeyFacts | undefined; readonly served: Served }
  | { readonly op: 'put'; readonly result: PutResult }
  | { readonly op: 'append'; readonly result: AppendResult }
  | { readonly op: 'delete'; readonly result: DeleteResult }
  | { readonly op: 'incr'; readonly result: IncrementResult }
  | { readonly op: 'touch'; readonly result: TouchResult };

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
  /** `one`: from any replicas, possibly stale. Default: linearizable page by page. */
  readonly consistency?: 'linearizable' | 'one';
  /** When there is no leader in time: go on at level `one`. Default: the bucket's mode. */
  readonly available?: boolean;
  /** Told the level at the beginning, and again if it falls: from there on items are possibly stale. */
  readonly onLevel?: (level: 'linearizable' | 'one') => void;
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
  /** As `get`; says how it was served where the key is not there, too. */
  lookUp(bucket: string, key: Key, options?: ReadOptions): Promise<LookUpResult>;
  put(bucket: string, key: Key, value: Key, options?: WriteOptions): Promise<PutResult>;
  delete(bucket: string, key: Key, options?: WriteOptions): Promise<DeleteResult>;
  getMany(bucket: string, keys: readonly Key[], options?: ReadOptions): Promise<Settled<GetResult | undefined>[]>;
  putMany(
    bucket: string,
    pairs: readonly (readonly [key: Key, value: Key])[],
    options?: WriteOptions,
  ): Promise<Settled<PutResult>[]>;
  deleteMany(bucket: string, keys: readonly Key[], options?: WriteOptions): Promise<Settled<DeleteResult>[]>;
  /** Operations of any kind, each with an outcome of its own, in the order asked. They are not one transaction. */
  batch(bucket: string, operations: readonly BatchOperation[]): Promise<Settled<BatchResult>[]>;
  /**
   * Adds to a number, which is decimal text; a key that is not there counts from 0, a time to live stays. BAD_REQUEST when
   * the value is no whole number, or would leave +-(2^53 - 1).
   */
  incr(bucket: string, key: Key, by?: number, options?: WriteOptions): Promise<IncrementResult>;
  /** Adds to the end of a value; a key that is not there begins empty, a time to live stays. TOO_LARGE beyond the limit. */
  append(bucket: string, key: Key, value: Key, options?: WriteOptions): Promise<AppendResult>;
  /** Gives the key another time to live, from now; undefined: for ever. A new revision, as after every mutation. */
  touch(bucket: string, key: Key, ttlMs: number | undefined, options?: WriteOptions): Promise<TouchResult>;
  /** What is known of a key without its value; undefined: there is no such key. */
  exists(bucket: string, key: Key, options?: ReadOptions): Promise<KeyFacts | undefined>;
  /** Keys that a scan with these options would give. */
  count(bucket: string, options?: Omit<ScanOptions, 'keysOnly'>): Promise<number>;
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
