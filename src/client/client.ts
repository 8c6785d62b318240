/**
 * The client: what callers see, put together from the parts beside it.
 *
 * - `OperationPipeline` carries single-key operations, `mergedScan` scans, `Administration` the rest.
 * - `RoutingTable` is shared by all of them; `MapSource` renews it.
 */
import {
  type BucketId,
  type Clock,
  messageOf,
  type Random,
  RingraftError,
  systemClock,
  systemRandom,
} from '../base/index.js';
import { initHash, ringHash } from '../ring/index.js';
import type { Bus } from '../transport/index.js';
import {
  type ClusterMapAnswer,
  ConsistencyLevel,
  type ManagerAnswer,
  type ManagerRequest,
  type NodeStatus,
  type Operation,
  OperationKind,
  type OperationResult,
} from '../wire/index.js';
import { Administration } from './administration.js';
import { batchResult, operationOf } from './batch.js';
import { Batches } from './batches.js';
import { BucketNames, isGone, mapFreshMs } from './bucket-names.js';
import { Inbox } from './inbox.js';
import { MapSource } from './map-source.js';
import { amountOf, checkSize, readOperation, writeOperation } from './operation-builder.js';
import { OperationPipeline } from './operation-pipeline.js';
import {
  toAppendResult,
  toDeleteResult,
  toGetResult,
  toIncrementResult,
  toKeyFacts,
  toLookUpResult,
  toPutResult,
  toTouchResult,
} from './outcome.js';
import { type OutcomeSink, PendingOperation } from './pending-operation.js';
import { isPlain, Reads } from './reads.js';
import { ReplicaReads, replicaToken, SeenIndexes } from './replica-reads.js';
import { RoutingTable } from './routing-table.js';
import { mergedScan } from './scan.js';
import { scanBounds, scanLimit } from './scan-bounds.js';
import { SingleSink } from './sinks.js';
import type {
  AppendResult,
  BatchOperation,
  BatchResult,
  ClientOptions,
  DeleteResult,
  GetResult,
  IncrementResult,
  Key,
  KeyFacts,
  LookUpResult,
  PutResult,
  ReadOptions,
  RingraftClient,
  ScanItem,
  ScanOptions,
  Settled,
  TouchResult,
  WriteOptions,
} from './types.js';

export type ConnectOptions = ClientOptions & {
  readonly clock?: Clock;
  readonly random?: Random;
  /** Whether `close` closes the bus too. */
  readonly ownsBus?: boolean;
};

const defaultTimeoutMs = 5000;
const defaultMaxInFlight = 8192;
/** A map that works, though nodes have a newer one, is not renewed more often than this. */
const mapStaleMs = 1000;
const pageItems = 5000;
const pageBytes = 256 * 1024;

/** 8 random bytes as latin1: sequences are numbered by it, so no two clients may share it. */
const newClientId = (random: Random): string => {
  const bytes = Buffer.alloc(8);
  bytes.writeUInt32BE(random.nextU32(), 0);
  bytes.writeUInt32BE(random.nextU32(), 4);
  return bytes.toString('latin1');
};

/**
 * Connects to one cluster over a bus that has the `client` lane. Rejects with UNREACHABLE, naming the subject, when no
 * node answers within `options.timeoutMs` (at once when nobody listens). The bus is closed then if the client owns it.
 */
export async function connectClient(bus: Bus, options: ConnectOptions): Promise<RingraftClient> {
  const clock = options.clock ?? systemClock;
  await initHash();
  const inbox = new Inbox(bus, clock);
  let onAnswer: (answer: ClusterMapAnswer) => void = () => {};
  const maps = new MapSource(options.cluster, inbox, clock, (answer) => onAnswer(answer));
  try {
    const answer = await maps.fetch(options.timeoutMs ?? defaultTimeoutMs);
    const routes = new RoutingTable(answer, (token) => inbox.subjectOf(token));
    onAnswer = (newer) => routes.update(newer, clock.nowMs());
    return new Client({ bus, inbox, maps, routes, clock, random: options.random ?? systemRandom }, options);
  } catch (error) {
    inbox.close();
    if (options.ownsBus) await bus.close();
    throw error;
  }
}

type ClientParts = {
  readonly bus: Bus;
  readonly inbox: Inbox;
  readonly maps: MapSource;
  readonly routes: RoutingTable;
  readonly clock: Clock;
  readonly random: Random;
};

class Client implements RingraftClient {
  private readonly timeoutMs: number;
  private readonly pipeline: OperationPipeline;
  private readonly administration: Administration;
  private readonly replicas: ReplicaReads;
  private readonly reads: Reads;
  private readonly buckets: BucketNames;
  private readonly batches: Batches;
  private closing: Promise<void> | undefined;

  constructor(
    private readonly parts: ClientParts,
    private readonly options: ConnectOptions,
  ) {
    const { bus, inbox, maps, routes, clock, random } = parts;
    this.timeoutMs = options.timeoutMs ?? defaultTimeoutMs;
    const { cluster } = options;
    const { timeoutMs } = this;
    const checkOpen = (): void => this.checkOpen();
    this.buckets = new BucketNames({ cluster, maps, routes, clock, timeoutMs, checkOpen });
    const clientId = newClientId(random);
    const seen = new SeenIndexes();
    this.pipeline = new OperationPipeline({
      bus,
      clock,
      random,
      routes,
      clientId,
      seen,
      maxInFlight: options.maxInFlight ?? defaultMaxInFlight,
      onMapDoubted: () => this.doubtMap(),
      onMapOutdated: () => this.doubtMap(mapStaleMs),
    });
    this.administration = new Administration(options.cluster, inbox, clock, maps);
    const replicas = new ReplicaReads({
      bus,
      clock,
      routes,
      clientId,
      seen,
      replySubject: (token) => inbox.subjectOf(token),
      onMapDoubted: () => this.doubtMap(),
    });
    this.replicas = replicas;
    const lead = (operation: Operation, forMs: number): Promise<OperationResult> =>
      this.submit(operation, forMs, (result) => result);
    this.reads = new Reads({ clock, routes, replicas, lead });
    this.batches = new Batches({
      bus,
      buckets: this.buckets,
      pipeline: this.pipeline,
      reads: this.reads,
      timeoutMs,
      checkOpen,
      pending: (operation, forMs, sink, at) => this.pending(operation, forMs, sink, at),
    });
    inbox.handleResults((token, message) => {
      if (token.startsWith(replicaToken)) replicas.onMessage(token, message);
      else this.pipeline.onMessage(token, message);
    });
    bus.onConnectionChange((lane, connected) => {
      if (lane === 'client' && connected && this.closing === undefined) this.pipeline.onConnected();
    });
  }

  get(bucket: string, key: Key, options: ReadOptions = {}): Promise<GetResult | undefined> {
    return this.reading(OperationKind.Get, bucket, key, options, toGetResult);
  }

  lookUp(bucket: string, key: Key, options: ReadOptions = {}): Promise<LookUpResult> {
    return this.reading(OperationKind.Get, bucket, key, options, toLookUpResult);
  }

  exists(bucket: string, key: Key, options: ReadOptions = {}): Promise<KeyFacts | undefined> {
    return this.reading(OperationKind.Exists, bucket, key, options, toKeyFacts);
  }

  private reading<T>(
    kind: OperationKind,
    bucket: string,
    key: Key,
    options: ReadOptions,
    convert: (result: OperationResult) => T,
  ): Promise<T> {
    if (this.buckets.areDefaultsPlain(bucket, options) && isPlain(options)) {
      return this.single(bucket, options.timeoutMs, (id) => readOperation(id, key, options, kind), convert);
    }
    const asked = this.buckets.withDefaults(bucket, options);
    const build = (id: BucketId): Operation => readOperation(id, key, asked, kind);
    if (isPlain(asked)) return this.single(bucket, asked.timeoutMs, build, convert);
    return this.fromReplicas(bucket, build, asked).then(convert);
  }

  private async fromReplicas(
    bucket: string,
    build: (bucketId: BucketId) => Operation,
    options: ReadOptions,
  ): Promise<OperationResult> {
    const attempt = (bucketId: BucketId): Promise<OperationResult> => {
      this.checkOpen();
      const operation = build(bucketId);
      checkSize(operation, this.parts.bus.maxPayloadBytes);
      return this.reads.read(operation, ringHash(operation.key), options, options.timeoutMs ?? this.timeoutMs);
    };
    this.checkOpen();
    const bucketId = await this.buckets.find(bucket);
    return attempt(bucketId).catch((error: unknown) => this.buckets.again(bucket, bucketId, error, attempt));
  }

  put(bucket: string, key: Key, value: Key, options: WriteOptions = {}): Promise<PutResult> {
    return this.write(OperationKind.Put, bucket, key, value, options, toPutResult);
  }

  delete(bucket: string, key: Key, options: WriteOptions = {}): Promise<DeleteResult> {
    return this.write(OperationKind.Delete, bucket, key, '', options, toDeleteResult);
  }

  async incr(bucket: string, key: Key, by = 1, options: WriteOptions = {}): Promise<IncrementResult> {
    return this.write(OperationKind.Increment, bucket, key, amountOf(by), options, toIncrementResult);
  }

  append(bucket: string, key: Key, value: Key, options: WriteOptions = {}): Promise<AppendResult> {
    return this.write(OperationKind.Append, bucket, key, value, options, toAppendResult);
  }

  touch(
    bucket: string,
    key: Key,
    ttlMs: number | undefined,
    { ttlMs: _, ...options }: WriteOptions = {},
  ): Promise<TouchResult> {
    const withTime = ttlMs === undefined ? options : { ...options, ttlMs };
    return this.write(OperationKind.Touch, bucket, key, '', withTime, toTouchResult);
  }

  private write<T>(
    kind: OperationKind,
    bucket: string,
    key: Key,
    value: Key,
    options: WriteOptions,
    convert: (result: OperationResult) => T,
  ): Promise<T> {
    const build = (id: BucketId): Operation => writeOperation(kind, id, key, value, options);
    return this.single(bucket, options.timeoutMs, build, convert);
  }

  private single<T>(
    bucket: string,
    timeoutMs: number | undefined,
    build: (bucketId: BucketId) => Operation,
    convert: (result: OperationResult) => T,
  ): Promise<T> {
    const bucketId = this.buckets.known(bucket);
    const attempt = (id: BucketId) => this.submit(build(id), timeoutMs, convert);
    if (bucketId === undefined) {
      this.checkOpen();
      return this.buckets.find(bucket).then(attempt);
    }
    try {
      return this.submit(build(bucketId), timeoutMs, convert, (error) =>
        this.buckets.again(bucket, bucketId, error, attempt),
      );
    } catch (error) {
      return Promise.reject(error);
    }
  }

  private submit<T>(
    operation: Operation,
    timeoutMs: number | undefined,
    convert: (result: OperationResult) => T,
    onGone?: (error: RingraftError) => Promise<T>,
  ): Promise<T> {
    this.checkOpen();
    checkSize(operation, this.parts.bus.maxPayloadBytes);
    return new Promise<T>((resolve, reject) => {
      const fail = (error: Error): void => {
        if (onGone !== undefined && isGone(error)) onGone(error).then(resolve, reject);
        else reject(error);
      };
      this.pipeline.submit(this.pending(operation, timeoutMs, new SingleSink(convert, resolve, fail), 0));
    });
  }

  private pending(
    operation: Operation,
    timeoutMs: number | undefined,
    sink: OutcomeSink,
    index: number,
  ): PendingOperation {
    const time = timeoutMs ?? this.timeoutMs;
    if (!(time > 0))
      throw new RingraftError('BAD_REQUEST', `a time-out is a number of milliseconds above 0, not ${time}`);
    const deadlineMs = this.parts.clock.nowMs() + time;
    return new PendingOperation(operation, ringHash(operation.key), deadlineMs, time, sink, index);
  }

  getMany(bucket: string, keys: readonly Key[], options: ReadOptions = {}): Promise<Settled<GetResult | undefined>[]> {
    const asked = this.buckets.withDefaults(bucket, options);
    const build = (id: BucketId, at: number): Operation => readOperation(id, keys[at] as Key, asked);
    return this.batches.run(bucket, keys.length, () => asked, build, toGetResult);
  }

  putMany(
    bucket: string,
    pairs: readonly (readonly [key: Key, value: Key])[],
    options: WriteOptions = {},
  ): Promise<Settled<PutResult>[]> {
    const build = (id: BucketId, at: number): Operation => {
      const [key, value] = pairs[at] as readonly [Key, Key];
      return writeOperation(OperationKind.Put, id, key, value, options);
    };
    return this.batches.run(bucket, pairs.length, () => options, build, toPutResult);
  }

  deleteMany(bucket: string, keys: readonly Key[], options: WriteOptions = {}): Promise<Settled<DeleteResult>[]> {
    const build = (id: BucketId, at: number): Operation =>
      writeOperation(OperationKind.Delete, id, keys[at] as Key, '', options);
    return this.batches.run(bucket, keys.length, () => options, build, toDeleteResult);
  }

  batch(bucket: string, operations: readonly BatchOperation[]): Promise<Settled<BatchResult>[]> {
    const all = operations.map((operation): BatchOperation => {
      if (operation.op !== 'get' && operation.op !== 'exists') return operation;
      return { ...operation, options: this.buckets.withDefaults(bucket, operation.options ?? {}) };
    });
    const asked = (at: number): BatchOperation => all[at] as BatchOperation;
    return this.batches.run(
      bucket,
      operations.length,
      (at) => asked(at).options ?? {},
      (id, at) => operationOf(id, asked(at)),
      (result, at) => batchResult(asked(at), result),
    );
  }

  async count(bucket: string, options: Omit<ScanOptions, 'keysOnly'> = {}): Promise<number> {
    let keys = 0;
    for await (const _ of this.scan(bucket, { ...options, keysOnly: true })) keys++;
    return keys;
  }

  async *scan(bucket: string, options: ScanOptions = {}): AsyncGenerator<ScanItem> {
    this.checkOpen();
    const bounds = scanBounds(options);
    const limit = scanLimit(options);
    const bucketId = await this.buckets.find(bucket);
    if (bounds === undefined || limit === 0) return;
    let hasBegun = false;
    try {
      for await (const item of this.scanOf(bucketId, bounds, limit, options)) {
        hasBegun = true;
        yield item;
      }
    } catch (error) {
      const next = hasBegun || !isGone(error) ? undefined : await this.buckets.after(bucket, bucketId);
      if (next === undefined) throw error;
      yield* this.scanOf(next, bounds, limit, options);
    }
  }

  private scanOf(
    bucketId: BucketId,
    bounds: NonNullable<ReturnType<typeof scanBounds>>,
    limit: number,
    options: ScanOptions,
  ): AsyncGenerator<ScanItem> {
    const { inbox, routes, clock, random } = this.parts;
    const settings = routes.map.buckets.find(({ id }) => id === bucketId);
    const isOne = (options.consistency ?? settings?.defaultLevel) === 'one';
    const isAvailable = options.available ?? settings?.mode === 'available';
    const { onLevel = () => {} } = options;
    onLevel(isOne ? 'one' : 'linearizable');
    return mergedScan(
      {
        cluster: this.options.cluster,
        bucketId,
        keysOnly: options.keysOnly ?? false,
        reverse: options.reverse ?? false,
        pageItems: Math.min(limit, pageItems),
        pageBytes,
        timeoutMs: options.timeoutMs ?? this.timeoutMs,
        inbox,
        routes,
        clock,
        random,
        onMapDoubted: () => this.doubtMap(),
        level: isOne ? ConsistencyLevel.One : ConsistencyLevel.Default,
        onWeaker: isAvailable ? () => onLevel('one') : undefined,
      },
      bounds,
      limit,
    );
  }

  /** Renews the map in the background, at most one request at a time; what goes wrong with it shows in operations. */
  private doubtMap(freshMs = mapFreshMs): void {
    const { maps } = this.parts;
    if (this.closing !== undefined || maps.ageMs() < freshMs) return;
    maps.fetch(this.timeoutMs).catch(() => {});
  }

  async map(timeoutMs = this.timeoutMs): Promise<ClusterMapAnswer> {
    this.checkOpen();
    return this.parts.maps.fetch(timeoutMs);
  }

  async nodeStatus(nodeId: string, timeoutMs = this.timeoutMs, shardId?: number): Promise<NodeStatus> {
    this.checkOpen();
    return this.administration.nodeStatus(nodeId, timeoutMs, shardId);
  }

  async transferLeader(shardId: number, toNode: string, timeoutMs = this.timeoutMs): Promise<void> {
    this.checkOpen();
    return this.administration.transferLeader(shardId, toNode, timeoutMs);
  }

  async rebuildReplica(shardId: number, nodeId: string, timeoutMs = this.timeoutMs): Promise<void> {
    this.checkOpen();
    return this.administration.rebuildReplica(shardId, nodeId, timeoutMs);
  }

  async metrics(nodeId: string, timeoutMs = this.timeoutMs): Promise<string> {
    this.checkOpen();
    return this.administration.metrics(nodeId, timeoutMs);
  }

  async manage(request: ManagerRequest, timeoutMs = this.timeoutMs): Promise<ManagerAnswer> {
    this.checkOpen();
    return this.administration.manage(request, timeoutMs);
  }

  private checkOpen(): void {
    if (this.closing !== undefined) throw new RingraftError('CLOSED', 'the client is closed');
  }

  close(): Promise<void> {
    this.closing ??= this.shutDown();
    return this.closing;
  }

  private async shutDown(): Promise<void> {
    this.pipeline.close();
    this.replicas.close();
    this.parts.inbox.close();
    if (!this.options.ownsBus) return;
    try {
      await this.parts.bus.close();
    } catch (cause) {
      throw new RingraftError('UNREACHABLE', `the connection did not close cleanly: ${messageOf(cause)}`, { cause });
    }
  }
}
