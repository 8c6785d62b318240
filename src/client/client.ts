/**
 * The client: what callers see, put together from the parts beside it.
 *
 * - `OperationPipeline` carries single-key operations, `mergedScan` scans, `Administration` the rest.
 * - `RoutingTable` is shared by all of them; `MapSource` renews it.
 */
import {
  type BucketId,
  type Clock,
  isRingraftError,
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
  type ManagerAnswer,
  type ManagerRequest,
  type NodeStatus,
  type Operation,
  OperationKind,
  type OperationResult,
} from '../wire/index.js';
import { Administration } from './administration.js';
import { Inbox } from './inbox.js';
import { MapSource } from './map-source.js';
import { checkSize, readOperation, writeOperation } from './operation-builder.js';
import { OperationPipeline } from './operation-pipeline.js';
import { toDeleteResult, toGetResult, toPutResult } from './outcome.js';
import { type OutcomeSink, PendingOperation } from './pending-operation.js';
import { RoutingTable } from './routing-table.js';
import { mergedScan } from './scan.js';
import { scanBounds, scanLimit } from './scan-bounds.js';
import { BatchSink, SingleSink } from './sinks.js';
import type {
  ClientOptions,
  DeleteResult,
  GetResult,
  Key,
  PutResult,
  ReadOptions,
  RingraftClient,
  ScanItem,
  ScanOptions,
  Settled,
  WriteOptions,
} from './types.js';

export type ConnectOptions = ClientOptions & {
  readonly clock?: Clock;
  readonly random?: Random;
  /** Whether `close` closes the bus too. */
  readonly ownsBus?: boolean;
};

/** The bucket was there and is no more. */
const isGone = (error: unknown): error is RingraftError =>
  isRingraftError(error, 'NOT_FOUND') && error.happened === 'no';

const defaultTimeoutMs = 5000;
const defaultMaxInFlight = 8192;
/** A map younger than this answers doubts about leaders and buckets. */
const mapFreshMs = 100;
/** A map that works, though nodes have a newer one, is not renewed more often than this. */
const mapStaleMs = 1000;
/** Before an unknown bucket is looked for again; a name that is misspelt fails after them all. */
const bucketPausesMs = [100, 200, 400];
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
  private closing: Promise<void> | undefined;

  constructor(
    private readonly parts: ClientParts,
    private readonly options: ConnectOptions,
  ) {
    const { bus, inbox, maps, routes, clock, random } = parts;
    this.timeoutMs = options.timeoutMs ?? defaultTimeoutMs;
    this.pipeline = new OperationPipeline({
      bus,
      clock,
      random,
      routes,
      clientId: newClientId(random),
      maxInFlight: options.maxInFlight ?? defaultMaxInFlight,
      onMapDoubted: () => this.doubtMap(),
      onMapOutdated: () => this.doubtMap(mapStaleMs),
    });
    this.administration = new Administration(options.cluster, inbox, clock, maps);
    inbox.handleResults((token, message) => this.pipeline.onMessage(token, message));
    bus.onConnectionChange((lane, connected) => {
      if (lane === 'client' && connected && this.closing === undefined) this.pipeline.onConnected();
    });
  }

  get(bucket: string, key: Key, options: ReadOptions = {}): Promise<GetResult | undefined> {
    return this.single(bucket, options.timeoutMs, (id) => readOperation(id, key, options), toGetResult);
  }

  put(bucket: string, key: Key, value: Key, options: WriteOptions = {}): Promise<PutResult> {
    const build = (id: BucketId): Operation => writeOperation(OperationKind.Put, id, key, value, options);
    return this.single(bucket, options.timeoutMs, build, toPutResult);
  }

  delete(bucket: string, key: Key, options: WriteOptions = {}): Promise<DeleteResult> {
    const build = (id: BucketId): Operation => writeOperation(OperationKind.Delete, id, key, '', options);
    return this.single(bucket, options.timeoutMs, build, toDeleteResult);
  }

  private single<T>(
    bucket: string,
    timeoutMs: number | undefined,
    build: (bucketId: BucketId) => Operation,
    convert: (result: OperationResult) => T,
  ): Promise<T> {
    const bucketId = this.parts.routes.bucketId(bucket);
    const again = (id: BucketId) => this.submit(build(id), timeoutMs, convert);
    if (bucketId === undefined) return this.findBucket(bucket).then(again);
    try {
      return this.submit(build(bucketId), timeoutMs, convert, (error) =>
        this.inNewBucket(bucket, bucketId, error, again),
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

  /** A bucket is gone; where its name stands for another one by now that is the one that was meant. */
  private async inNewBucket<T>(
    bucket: string,
    gone: BucketId,
    error: RingraftError,
    again: (id: BucketId) => Promise<T>,
  ): Promise<T> {
    const id = await this.bucketAfter(bucket, gone);
    if (id === undefined) throw error;
    return again(id);
  }

  /** What the name stands for after the bucket `gone`; undefined: nothing. */
  private async bucketAfter(bucket: string, gone: BucketId): Promise<BucketId | undefined> {
    const { maps, routes, clock } = this.parts;
    for (const pauseMs of bucketPausesMs) {
      await maps.fetch(this.timeoutMs);
      const id = routes.bucketId(bucket);
      if (id !== gone) return id;
      await new Promise<void>((resolve) => clock.after(pauseMs, resolve));
    }
    return undefined;
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
    const build = (id: BucketId, at: number): Operation => readOperation(id, keys[at] as Key, options);
    return this.many(bucket, keys.length, options.timeoutMs, build, toGetResult);
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
    return this.many(bucket, pairs.length, options.timeoutMs, build, toPutResult);
  }

  private async many<T>(
    bucket: string,
    count: number,
    timeoutMs: number | undefined,
    build: (bucketId: BucketId, at: number) => Operation,
    convert: (result: OperationResult) => T,
  ): Promise<Settled<T>[]> {
    this.checkOpen();
    const bucketId = this.parts.routes.bucketId(bucket) ?? (await this.findBucket(bucket));
    const settled = await this.manyIn(bucketId, count, timeoutMs, build, convert);
    if (!settled.some((one) => !one.ok && isGone(one.error))) return settled;
    const next = await this.bucketAfter(bucket, bucketId);
    if (next === undefined) return settled;
    const places = [...settled.keys()].filter((at) => isGone((settled[at] as { readonly error?: unknown }).error));
    const buildAgain = (id: BucketId, at: number): Operation => build(id, places[at] as number);
    const again = await this.manyIn(next, places.length, timeoutMs, buildAgain, convert);
    places.forEach((place, at) => {
      settled[place] = again[at] as Settled<T>;
    });
    return settled;
  }

  private async manyIn<T>(
    bucketId: BucketId,
    count: number,
    timeoutMs: number | undefined,
    build: (bucketId: BucketId, at: number) => Operation,
    convert: (result: OperationResult) => T,
  ): Promise<Settled<T>[]> {
    this.checkOpen();
    if (count === 0) return [];
    const { bus } = this.parts;
    return new Promise((resolve) => {
      const sink = new BatchSink<T>(count, convert, resolve);
      this.pipeline.submitLazily(count, (at) => {
        try {
          const operation = build(bucketId, at);
          checkSize(operation, bus.maxPayloadBytes);
          return this.pending(operation, timeoutMs, sink, at);
        } catch (error) {
          sink.failAt(at, error instanceof Error ? error : new Error(String(error)));
          return undefined;
        }
      });
    });
  }

  async *scan(bucket: string, options: ScanOptions = {}): AsyncGenerator<ScanItem> {
    this.checkOpen();
    const bounds = scanBounds(options);
    const limit = scanLimit(options);
    const bucketId = this.parts.routes.bucketId(bucket) ?? (await this.findBucket(bucket));
    if (bounds === undefined || limit === 0) return;
    let hasBegun = false;
    try {
      for await (const item of this.scanOf(bucketId, bounds, limit, options)) {
        hasBegun = true;
        yield item;
      }
    } catch (error) {
      const next = hasBegun || !isGone(error) ? undefined : await this.bucketAfter(bucket, bucketId);
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
      },
      bounds,
      limit,
    );
  }

  /** A bucket the map at hand does not know: asks for a newer one, and again, as the node asked may be behind. */
  private async findBucket(bucket: string): Promise<BucketId> {
    const { maps, routes, clock } = this.parts;
    for (const pauseMs of [0, ...bucketPausesMs]) {
      if (pauseMs > 0) await new Promise<void>((resolve) => clock.after(pauseMs, resolve));
      this.checkOpen();
      if (maps.ageMs() >= mapFreshMs) await maps.fetch(this.timeoutMs);
      const bucketId = routes.bucketId(bucket);
      if (bucketId !== undefined) return bucketId;
    }
    const fields = { bucket };
    throw new RingraftError('NOT_FOUND', `cluster ${this.options.cluster} has no bucket ${JSON.stringify(bucket)}`, {
      fields,
    });
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
    this.parts.inbox.close();
    if (!this.options.ownsBus) return;
    try {
      await this.parts.bus.close();
    } catch (cause) {
      throw new RingraftError('UNREACHABLE', `the connection did not close cleanly: ${messageOf(cause)}`, { cause });
    }
  }
}
