/**
 * Mutations on their way into the engine: all shards' mutations of some turns gather in one batch, one write is under way at
 * a time, and until it is done an overlay in front of the engine shows them to readers. Nobody waits for the engine but
 * who asks: what is applied is durable in the log, so there is time to make few and large batches.
 *
 * Invariants:
 * 1. Batches, and in them the mutations of each key, are written in order; a shard's applied position, and what that did to its sessions, are in
 *    the batch of what it applied.
 * 2. A mutation is in the overlay until the engine shows it. The overlay has two generations, the newer of what gathers and the
 *    older of what is under write; of a key in both the newer one holds. A generation goes as a whole, when its batch is written.
 * 3. `betweenWrites` actions run when the engine holds exactly what `writtenPositions` says, nothing under way.
 */
import {
  type BucketId,
  type Clock,
  mapKey,
  messageOf,
  RingraftError,
  type ShardId,
  type Timer,
} from '../base/index.js';
import type { Engine, EngineBatch } from '../engine/index.js';
import { AddedKeys } from './added-keys.js';
import { GatheredData } from './gathered-data.js';
import { indexKey, indexValue, type Known, type StoredValue, SystemKind, systemKey } from './keys.js';
import type { ShardState } from './shard-state.js';
import type { ShardPosition } from './types.js';

/** Of the overlay. */
type Generation = {
  /** By data key as a map key; null: deleted. */
  readonly values: Map<string, StoredValue | null>;
  /** What the ordered index may not show yet. */
  readonly added: AddedKeys;
};

const newGeneration = (): Generation => ({ values: new Map(), added: new AddedKeys() });

/** A batch is written when its first mutation is so old, or when it has so many bytes. */
const gatherMs = 64;
const enoughBytes = 512 * 1024;
/** What a key-value pair costs on its way beside its bytes; rough. */
const mutationOverheadBytes = 64;
const markerKey = systemKey(0 as ShardId, SystemKind.Marker);

export class WritePipeline {
  private gathering: EngineBatch;
  private gatheringData = new GatheredData();
  private newer = newGeneration();
  private older = newGeneration();
  private gatheringBytes = 0;
  private writingBytes = 0;
  private batchNumber = 1;
  private touched = new Set<ShardState>();
  private readonly written = new Map<ShardId, ShardPosition>();
  private writing = false;
  private timer: Timer | undefined;
  private syncWanted: ((error: Error | undefined) => void)[] = [];
  private betweenActions: (() => void)[] = [];
  private failure: Error | undefined;
  readonly statistics = { batches: 0, mutations: 0 };

  constructor(
    private readonly engine: Engine,
    private readonly clock: Clock,
    private readonly onFailure: (error: Error) => void,
  ) {
    this.gathering = engine.batch();
  }

  get pendingBytes(): number {
    return this.gatheringBytes + this.writingBytes;
  }

  /** What the ordered index may not show yet. */
  get addedKeys(): readonly AddedKeys[] {
    return [this.newer.added, this.older.added];
  }

  /** A key in both generations counts twice. */
  get overlaySize(): number {
    return this.newer.values.size + this.older.values.size;
  }

  /** What the overlay says of a key. */
  lookUp(name: string): Known {
    const newest = this.newer.values.get(name);
    return newest === undefined ? this.older.values.get(name) : newest;
  }

  /** A mutation of user data, visible to readers from here on; null: it is deleted. */
  mutate(name: string, dataKey: Buffer, stored: StoredValue | null): void {
    this.newer.values.set(name, stored);
    this.gatheringData.add(dataKey, stored === null ? null : stored.encoded);
    this.gatheringBytes += dataKey.length + (stored?.encoded.length ?? 0) + mutationOverheadBytes;
  }

  /** The key of user data gets its entry in the ordered index. */
  addToIndex(bucketId: BucketId, key: Buffer): void {
    this.put(indexKey(bucketId, key), indexValue);
    this.newer.added.add(bucketId, mapKey(key));
  }

  /** Not of user data. */
  put(key: Buffer, value: Buffer): void {
    this.gathering.put(key, value);
    this.gatheringBytes += key.length + value.length + mutationOverheadBytes;
  }

  /** Not of user data. */
  delete(key: Buffer): void {
    this.gathering.delete(key);
    this.gatheringBytes += key.length + mutationOverheadBytes;
  }

  /** The shard applied something: its position goes with this batch. */
  touch(shard: ShardState): void {
    this.touched.add(shard);
    this.schedule();
  }

  private get hasGathered(): boolean {
    return this.touched.size > 0 || this.gathering.size > 0 || this.gatheringData.size > 0;
  }

  /** Makes sure that what has gathered is written in time. */
  private schedule(): void {
    // The end of a write looks again.
    if (this.writing) return;
    if (this.syncWanted.length > 0 || this.gatheringBytes >= enoughBytes) this.pump();
    else if (this.hasGathered) {
      this.timer ??= this.clock.after(gatherMs, () => {
        this.timer = undefined;
        this.pump();
      });
    }
  }

  /** Where the shard stands in the engine, as written (not necessarily synced). */
  writtenPosition(shardId: ShardId): ShardPosition | undefined {
    return this.written.get(shardId);
  }

  noteWritten(position: ShardPosition): void {
    this.written.set(position.shardId, position);
  }

  forget(shardId: ShardId): void {
    this.written.delete(shardId);
  }

  /** Makes everything applied so far durable; then calls back with where each shard stands. */
  sync(done: (error: Error | undefined, positions: readonly ShardPosition[]) => void): void {
    this.syncWanted.push((error) => done(error, [...this.written.values()]));
    this.pump();
  }

  /** Runs the action when nothing is under way: the engine holds exactly what `writtenPosition` says. */
  betweenWrites(action: () => void): void {
    this.betweenActions.push(action);
    if (!this.writing) this.runBetween();
  }

  /** Runs the action once everything the shard applied is written. The shard must not apply anything meanwhile. */
  whenWritten(shard: ShardState, action: () => void): void {
    this.betweenWrites(() => {
      if (!this.touched.has(shard)) action();
      else this.clock.defer(() => this.whenWritten(shard, action));
    });
    this.pump();
  }

  private runBetween(): void {
    for (const action of this.betweenActions.splice(0)) action();
  }

  private pump(): void {
    if (this.writing) return;
    if (this.failure !== undefined) {
      const { failure } = this;
      for (const done of this.syncWanted.splice(0)) done(failure);
      return;
    }
    if (this.hasGathered || this.syncWanted.length > 0) this.write();
  }

  private write(): void {
    this.timer?.cancel();
    this.timer = undefined;
    const batch = this.gathering;
    const number = this.batchNumber++;
    this.gatheringData.writeTo(batch);
    this.gatheringData = new GatheredData();
    const positions: ShardPosition[] = [];
    for (const shard of this.touched) {
      shard.writeTo(batch);
      positions.push(shard.position);
    }
    const syncs = this.syncWanted;
    this.syncWanted = [];
    if (syncs.length > 0) batch.put(markerKey, Buffer.from(String(number)));
    this.touched = new Set();
    this.gathering = this.engine.batch();
    this.older = this.newer;
    this.newer = newGeneration();
    this.writingBytes = this.gatheringBytes;
    this.gatheringBytes = 0;
    this.writing = true;
    this.statistics.batches++;
    this.statistics.mutations += batch.size;
    batch.write(syncs.length > 0, (cause) => {
      this.writing = false;
      this.writingBytes = 0;
      if (cause !== undefined) {
        this.fail(cause, syncs);
        return;
      }
      for (const position of positions) this.written.set(position.shardId, position);
      this.older = newGeneration();
      for (const done of syncs) done(undefined);
      this.runBetween();
      this.schedule();
    });
  }

  private fail(cause: Error, syncs: readonly ((error: Error | undefined) => void)[]): void {
    const error = new RingraftError('CORRUPT', `the engine failed to write: ${messageOf(cause)}`, { cause });
    this.failure = error;
    for (const done of [...syncs, ...this.syncWanted.splice(0)]) done(error);
    this.onFailure(error);
  }
}
