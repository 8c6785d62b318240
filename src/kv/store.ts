/**
 * The state machine of a node: all its shards over one engine.
 *
 * Invariants:
 * 1. The entries of a shard are applied in the order of the calls, whatever has to be looked up first.
 * 2. What `apply` reports is visible to every read that begins afterwards.
 * 3. Which buckets have data is known from the data themselves, never from a map: a node may be given entries of a bucket
 *    before it hears of it, and snapshots and removals leave nothing out.
 * 4. A failed write of the engine stops the node (`onFailure`); nothing is reported applied after it.
 */
import {
  BackgroundWork,
  type BucketId,
  type Clock,
  RingraftError,
  type ShardId,
  systemBucketId,
  systemShardId,
} from '../base/index.js';
import type { Engine, EngineBatch } from '../engine/index.js';
import type { Configuration, Entry, SnapshotMetadata } from '../raft/index.js';
import { ringHash } from '../ring/index.js';
import type { MapBucket } from '../wire/index.js';
import { Applier, needsOldValue, needsOldValues, type OldValues, type PreparedEntry, prepare } from './apply.js';
import { BucketCleaner } from './bucket-cleaner.js';
import {
  dataKey,
  dataName,
  decodeExpiryKey,
  type ExpiredKey,
  expiryRange,
  SystemKind,
  systemKey,
  systemRange,
} from './keys.js';
import { bucketsIn, pages, readAll } from './ranges.js';
import { Reader } from './reader.js';
import { type ScanPageResult, type ScanQuery, scan } from './scan.js';
import { defaultSessionLimits, replayOutcomes, type SessionLimits } from './sessions.js';
import { isOfShard, ShardState } from './shard-state.js';
import type { SnapshotFiles } from './snapshot-files.js';
import { clearShard, type InstallParts, installSnapshot, resumeInstall } from './snapshot-install.js';
import { openSnapshotSource, type SnapshotSource } from './snapshot-source.js';
import type { AppliedEntry, Arc, ReadKey, ReadValue, ShardPosition } from './types.js';
import { ValueTable } from './value-table.js';
import { type PendingLimits, pendingLimits, WritePipeline } from './write-pipeline.js';

export type StoreOptions = {
  readonly clock: Clock;
  readonly cacheBytes: number;
  readonly files: SnapshotFiles;
  readonly sessions?: SessionLimits;
  readonly pending?: PendingLimits;
  /** The engine failed to write: the node must stop. */
  readonly onFailure: (error: Error) => void;
};

export type FirstStart = 'none' | 'begun' | 'done';

export type StoreStatistics = {
  readonly unwrittenEntries: number;
  readonly cachedBytes: number;
  readonly cacheHits: number;
  readonly cacheMisses: number;
  readonly engineBatches: number;
  readonly engineMutations: number;
};

export class Store {
  private readonly shards = new Map<ShardId, ShardState>();
  private readonly values: ValueTable;
  private readonly pipeline: WritePipeline;
  private readonly reader: Reader;
  private readonly applier: Applier;
  private readonly cleaner: BucketCleaner;
  /** Buckets of users that may have data here. */
  private readonly buckets = new Set<BucketId>();
  /** Buckets that some shard here has dropped. */
  private readonly dropped = new Set<BucketId>();

  private constructor(
    private readonly engine: Engine,
    private readonly options: StoreOptions,
  ) {
    this.values = new ValueTable(options.cacheBytes, ringHash);
    const limits = options.pending ?? pendingLimits(options.cacheBytes);
    this.pipeline = new WritePipeline(engine, this.values, options.clock, limits, options.onFailure);
    this.reader = new Reader(engine, this.values);
    this.applier = new Applier(this.pipeline, this.values, this.reader, {
      onWritten: (bucketId) => {
        if (bucketId !== systemBucketId) this.buckets.add(bucketId);
      },
      onDropped: (shard, bucketId) => this.noteDropped(shard, bucketId),
    });
    this.cleaner = new BucketCleaner({
      engine,
      clock: options.clock,
      reader: this.reader,
      sync: () =>
        new Promise((resolve, reject) =>
          this.pipeline.sync('applied', (error) => (error === undefined ? resolve() : reject(error))),
        ),
      isOpen: (shard) => this.shards.get(shard.shardId) === shard,
      onFailure: options.onFailure,
    });
  }

  /** Over an engine that is open already and stays the caller's to close. */
  static async open(engine: Engine, options: StoreOptions): Promise<Store> {
    const store = new Store(engine, options);
    await store.findBuckets();
    return store;
  }

  private async findBuckets(): Promise<void> {
    for (const id of await bucketsIn(this.engine)) this.buckets.add(id);
  }

  /** How the cache is divided among the buckets there are. */
  useBuckets(buckets: readonly Pick<MapBucket, 'id' | 'cacheShare' | 'isRemoved'>[]): void {
    const shares = buckets.filter(({ cacheShare, isRemoved }) => cacheShare > 0 && !isRemoved);
    this.values.useShares(new Map(shares.map(({ id, cacheShare }) => [id, cacheShare])));
  }

  /** Whether a shard here has dropped the bucket: it was removed, whatever map this node has. */
  isDropped(bucketId: BucketId): boolean {
    return this.dropped.has(bucketId);
  }

  /** The buckets that the shard has dropped. */
  droppedBuckets(shardId: ShardId): ReadonlySet<BucketId> {
    return this.shard(shardId).droppedBuckets;
  }

  /** Whether the shard has ever applied a mutation here, in this or an earlier life. False for one that is not open. */
  hasMutations(shardId: ShardId): boolean {
    return (this.shards.get(shardId)?.revision ?? 0) > 0;
  }

  private noteDropped(shard: ShardState, bucketId: BucketId): void {
    this.dropped.add(bucketId);
    if (this.buckets.has(bucketId)) this.cleaner.clean(shard, bucketId);
  }

  /** Bytes applied and not yet in the engine. */
  get pendingWriteBytes(): number {
    return this.pipeline.pendingBytes;
  }

  get statistics(): StoreStatistics {
    return {
      unwrittenEntries: this.values.unwritten,
      cachedBytes: this.values.bytes,
      cacheHits: this.reader.statistics.hits,
      cacheMisses: this.reader.statistics.misses,
      engineBatches: this.pipeline.statistics.batches,
      engineMutations: this.pipeline.statistics.mutations,
    };
  }

  private shard(shardId: ShardId): ShardState {
    const shard = this.shards.get(shardId);
    if (shard === undefined) throw new RingraftError('WRONG_SHARD', `shard ${shardId} is not open here`);
    return shard;
  }

  /**
   * Loads a shard; finishes an installation that a crash interrupted. `appliedIndex` 0: there is nothing of it here.
   * `needsSnapshot`: an installation was interrupted and its staged bytes are gone.
   */
  async openShard(shardId: ShardId, arc: Arc): Promise<ShardPosition> {
    const shard = new ShardState(shardId, arc, this.options.sessions ?? defaultSessionLimits);
    this.shards.set(shardId, shard);
    const isWhole = await this.replacing(shard, (parts) => resumeInstall(parts));
    await this.load(shard);
    shard.needsSnapshot = !isWhole;
    return shard.position;
  }

  private async load(shard: ShardState): Promise<void> {
    const { shardId } = shard;
    const kinds = [SystemKind.Position, SystemKind.SessionTable, SystemKind.DroppedBuckets];
    const keys = kinds.map((kind) => systemKey(shardId, kind));
    const [position, table, dropped] = await this.lookUp(keys);
    if (position === undefined) return;
    shard.decodePosition(position);
    if (dropped !== undefined) shard.decodeDroppedBuckets(dropped);
    shard.sessionTableIndex = 0;
    if (table !== undefined) {
      shard.sessionTableIndex = table.readUIntBE(0, 6);
      shard.sessions.decode(table.subarray(6));
    }
    for (const [key, record] of await readAll(this.engine, systemRange(shardId, SystemKind.Outcomes))) {
      const index = key.readUIntBE(4, 6);
      if (index > shard.sessionTableIndex) replayOutcomes(shard.sessions, record);
      shard.noteOutcomeRecord(index);
    }
    this.pipeline.noteWritten(shard.position);
    for (const id of shard.droppedBuckets) this.noteDropped(shard, id);
  }

  private lookUp(keys: readonly Buffer[]): Promise<readonly (Buffer | undefined)[]> {
    return new Promise((resolve, reject) => {
      this.engine.getMany(keys, (error, values) => (error === undefined ? resolve(values) : reject(error)));
    });
  }

  /** Begins a shard that has applied nothing. */
  createShard(shardId: ShardId, configuration: Configuration): void {
    const shard = this.shard(shardId);
    shard.configuration = configuration;
    this.pipeline.noteWritten(shard.position);
  }

  /**
   * Applies committed entries. `done` runs once their effects are visible to reads: before this returns unless old
   * values have to be looked up, and in the order of the calls for one shard.
   */
  apply(shardId: ShardId, entries: readonly Entry[], done: (applied: readonly AppliedEntry[]) => void): void {
    const shard = this.shard(shardId);
    if (shard.isApplying) shard.queue.push(() => this.applyNow(shard, entries, done));
    else this.applyNow(shard, entries, done);
  }

  private applyNow(
    shard: ShardState,
    entries: readonly Entry[],
    done: (applied: readonly AppliedEntry[]) => void,
  ): void {
    const prepared = entries.map(prepare);
    if (!prepared.some(needsOldValues)) {
      done(this.applier.apply(shard, prepared, noValues));
      return;
    }
    // Held from here on: what memory knows now may be evicted before it is needed.
    const old: OldValues = new Map();
    const wanted = this.unknownKeys(prepared, old);
    if (wanted.size === 0) {
      done(this.applier.apply(shard, prepared, old));
      return;
    }
    this.fetchAndApply(shard, prepared, old, wanted, done);
  }

  private fetchAndApply(
    shard: ShardState,
    prepared: readonly PreparedEntry[],
    old: OldValues,
    wanted: ReadonlyMap<string, Buffer>,
    done: (applied: readonly AppliedEntry[]) => void,
  ): void {
    shard.isApplying = true;
    const names = [...wanted.keys()];
    this.reader.fetch([...wanted.values()], (error, stored) => {
      if (error !== undefined) {
        this.options.onFailure(error);
        return;
      }
      names.forEach((name, at) => {
        old.set(name, stored[at]);
      });
      done(this.applier.apply(shard, prepared, old));
      shard.isApplying = false;
      while (!shard.isApplying && shard.queue.length > 0) shard.queue.shift()?.();
    });
  }

  /**
   * Keys whose old value decides something and is not in memory. Those in memory go into `old`: what the commands before
   * them add may take their place there.
   */
  private unknownKeys(prepared: readonly PreparedEntry[], old: OldValues): ReadonlyMap<string, Buffer> {
    const wanted = new Map<string, Buffer>();
    for (const { commands } of prepared) {
      for (const command of commands) {
        if (!needsOldValue(command)) continue;
        const { bucketId, key } = command;
        const ring = ringHash(key);
        const name = dataName(bucketId, ring, key);
        const known = this.reader.peek(bucketId, key);
        if (known === undefined) wanted.set(name, dataKey(bucketId, ring, key));
        else old.set(name, known ?? undefined);
      }
    }
    return wanted;
  }

  /** A value that memory can serve; undefined when the engine has to be asked (`getMany`). */
  getNow(bucketId: BucketId, key: Buffer, nowMs: number): { readonly value: ReadValue } | undefined {
    return this.reader.getNow({ bucketId, key }, nowMs);
  }

  getMany(
    keys: readonly ReadKey[],
    nowMs: number,
    callback: (error: Error | undefined, values: readonly ReadValue[]) => void,
  ): void {
    this.reader.getMany(keys, nowMs, callback);
  }

  /** One page of a bucket's keys in order. */
  scan(bucketId: BucketId, query: ScanQuery, callback: (error: Error | undefined, page: ScanPageResult) => void): void {
    scan(this.engine, this.pipeline.addedKeys, this.reader, bucketId, query, callback);
  }

  /** Keys whose time was over at `nowMs`, by what is written; at most so many, in order, after the hint `after`. */
  async expired(nowMs: number, after: Buffer | undefined, count: number): Promise<readonly ExpiredKey[]> {
    const range = { ...expiryRange(nowMs, after), keysOnly: true };
    const keys: ExpiredKey[] = [];
    for await (const pairs of pages(this.engine, range, count)) {
      for (const [hint] of pairs) keys.push(decodeExpiryKey(hint));
      if (keys.length >= count) break;
    }
    return keys.slice(0, count);
  }

  /** What hints say of keys that this node holds no replica of. */
  dropExpired(keys: readonly ExpiredKey[]): void {
    for (const { hint } of keys) this.pipeline.deleteStray(hint);
  }

  /** Makes everything applied durable and tells up to where, per shard. */
  syncMarker(done: (error: Error | undefined, durable: readonly ShardPosition[]) => void): void {
    this.pipeline.sync('applied', done);
  }

  /** Makes durable what the engine has been given, which is all but the newest, and tells up to where, per shard. */
  syncWritten(done: (error: Error | undefined, durable: readonly ShardPosition[]) => void): void {
    this.pipeline.sync('written', done);
  }

  /**
   * The state of a shard at one applied position, that of now at the least, as a stream of bytes. Close it: it holds the engine's
   * snapshot.
   */
  createSnapshot(shardId: ShardId): Promise<SnapshotSource> {
    const shard = this.shard(shardId);
    return new Promise((resolve, reject) => {
      this.pipeline.whenWritten(shard, () => {
        const position = this.pipeline.writtenPosition(shardId);
        if (position === undefined || position.appliedIndex === 0) {
          reject(new RingraftError('NOT_FOUND', `shard ${shardId} has no state to take a snapshot of`));
        } else {
          resolve(openSnapshotSource(this.engine, position, shard.arc, this.bucketsOf(position)));
        }
      });
    });
  }

  /**
   * Replaces a shard's state by a staged snapshot, which must be the one `expected` describes. Crash-safe: what began
   * is finished by the next `openShard`. The shard must not apply anything meanwhile. Rejects with CORRUPT, the state
   * untouched, when the staged bytes are not whole.
   */
  async installSnapshot(shardId: ShardId, path: string, expected: SnapshotMetadata): Promise<void> {
    const shard = this.shard(shardId);
    await new Promise<void>((resolve) => this.pipeline.whenWritten(shard, resolve));
    await this.replacing(shard, (parts) => installSnapshot(parts, path, expected));
    const fresh = new ShardState(shardId, shard.arc, this.options.sessions ?? defaultSessionLimits);
    this.shards.set(shardId, fresh);
    await this.load(fresh);
  }

  /**
   * Removes everything of a shard, durably, and opens it as a new one; whoever applied to it must have stopped. Safe to
   * repeat after a crash.
   */
  async clearShard(shardId: ShardId, arc: Arc): Promise<void> {
    const old = this.shards.get(shardId);
    if (old !== undefined) {
      while (old.isApplying) await new Promise<void>((resolve) => this.options.clock.defer(resolve));
      await new Promise<void>((resolve) => this.pipeline.whenWritten(old, resolve));
    }
    const fresh = new ShardState(shardId, arc, this.options.sessions ?? defaultSessionLimits);
    await this.replacing(fresh, clearShard);
    await this.write((batch) => batch.delete(systemKey(shardId, SystemKind.Installing)));
    this.shards.set(shardId, fresh);
  }

  /** How far this node came with its first start, in this or an earlier life. */
  async firstStart(): Promise<FirstStart> {
    const [mark] = await this.lookUp([systemKey(systemShardId, SystemKind.Started)]);
    if (mark === undefined) return 'none';
    return mark[0] === startedMark ? 'done' : 'begun';
  }

  /**
   * `begun`: it founds its cluster, and its log may hold a part of the replicas it begins with. `done`: they are in its
   * log, all of them: what is missing there from now on was removed.
   */
  noteFirstStart(reached: Exclude<FirstStart, 'none'>): Promise<void> {
    const mark = Buffer.from([reached === 'done' ? startedMark : foundingMark]);
    return this.write((batch) => batch.put(systemKey(systemShardId, SystemKind.Started), mark));
  }

  /** The copy of the cluster map kept for the next start; undefined when there is none. */
  async savedMap(): Promise<Buffer | undefined> {
    const [saved] = await this.lookUp([systemKey(systemShardId, SystemKind.ClusterMap)]);
    return saved === undefined ? undefined : Buffer.from(saved);
  }

  saveMap(map: Buffer): Promise<void> {
    return this.write((batch) => batch.put(systemKey(systemShardId, SystemKind.ClusterMap), map));
  }

  /** Whether anything of a shard is here, whoever removed its replica. */
  async hasStateOf(shardId: ShardId): Promise<boolean> {
    const [position] = await this.lookUp([systemKey(shardId, SystemKind.Position)]);
    return position !== undefined;
  }

  /** Removes what is left of a shard whose replica is gone; it is not open afterwards. Safe to repeat. */
  async removeShard(shardId: ShardId, arc: Arc): Promise<void> {
    await this.clearShard(shardId, arc);
    this.shards.delete(shardId);
    this.pipeline.forget(shardId);
  }

  /**
   * Begins a life of the node: a number greater than that of every earlier one, durable before it is used (u32). Seconds
   * of the wall clock where that is greater, so that a node whose directory was emptied does not begin at 1 again.
   */
  async nextIncarnation(): Promise<number> {
    const key = systemKey(systemShardId, SystemKind.Incarnation);
    const [last] = await this.lookUp([key]);
    const seconds = Math.floor(this.options.clock.wallMs() / 1000) - incarnationEpochSeconds;
    const incarnation = Math.max((last?.readUInt32BE(0) ?? 0) + 1, Math.min(seconds, 0xf000_0000));
    const value = Buffer.alloc(4);
    value.writeUInt32BE(incarnation);
    await this.write((batch) => batch.put(key, value));
    return incarnation;
  }

  /** A few keys, durably. */
  private write(fill: (batch: EngineBatch) => void): Promise<void> {
    const batch = this.engine.batch();
    fill(batch);
    return new Promise((resolve, reject) =>
      batch.write(true, (error) => (error === undefined ? resolve() : reject(error))),
    );
  }

  /** Work that replaces what the engine holds of a shard. */
  private async replacing<T>(shard: ShardState, replace: (parts: InstallParts) => Promise<T>): Promise<T> {
    const { files, clock } = this.options;
    const { engine } = this;
    const work = new BackgroundWork(clock);
    const { shardId, arc } = shard;
    const replacement = this.reader.beginReplacing((name) => isOfShard(name, shard));
    const onCleared = replacement.forget;
    try {
      return await replace({ engine, files, shardId, arc, bucketIds: this.bucketsOf({ shardId }), work, onCleared });
    } finally {
      await this.findBuckets();
      replacement.end();
    }
  }

  /** The system shard has a bucket of its own, on the whole ring, and no part of the others. */
  private bucketsOf({ shardId, droppedBuckets }: Partial<ShardPosition>): readonly BucketId[] {
    if (shardId === systemShardId) return [systemBucketId];
    return [...this.buckets].filter((id) => droppedBuckets?.has(id) !== true);
  }

  /** Writes what was applied. The engine stays open. */
  async close(): Promise<void> {
    await this.cleaner.stop();
    return new Promise((resolve, reject) => {
      this.pipeline.sync('applied', (error) => (error === undefined ? resolve() : reject(error)));
    });
  }
}

/** 2020-01-01. */
const incarnationEpochSeconds = 1_577_836_800;
const foundingMark = 2;
const startedMark = 1;
const noValues: OldValues = new Map();
