/**
 * Mutations on their way into the engine: all shards' mutations of some turns gather in one batch, one write is under way at
 * a time, and until it is done memory shows them to readers. Nobody waits for the engine but who asks: what is applied is
 * durable in the log, so there is time to make few and large batches.
 *
 * Invariants:
 * 1. Batches, and in them the mutations of each key, are written in order; a shard's applied position, and what that did to its sessions, are in
 *    the batch of what it applied.
 * 2. A mutation is in memory (`ValueTable`, `AddedKeys`) until the engine shows it.
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
import { indexKey, indexValue, SystemKind, systemKey } from './keys.js';
import type { ShardState } from './shard-state.js';
import type { ShardPosition } from './types.js';
import type { ValueTable } from './value-table.js';

/** A batch is written when its first mutation is so old, or when it has so many bytes. */
const gatherMs = 250;
const enoughBytes = 1024 * 1024;
/** And so many more for each shard in it: that brings a position and a record of outcomes, however little it applied. */
const enoughBytesAShard = 2 * 1024;
/** What a key-value pair costs on its way beside its bytes; rough. */
const mutationOverheadBytes = 64;
const markerKey = systemKey(0 as ShardId, SystemKind.Marker);

export class WritePipeline {
  private gathering: EngineBatch;
  /** What the ordered index may not show yet: of the batch that gathers, and of the one under way. */
  private newer = new AddedKeys();
  private older = new AddedKeys();
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
    private readonly values: ValueTable,
    private readonly clock: Clock,
    private readonly onFailure: (error: Error) => void,
  ) {
    this.gathering = engine.batch();
  }

  get pendingBytes(): number {
    return this.gatheredBytes + this.writingBytes;
  }

  private get gatheredBytes(): number {
    return this.gatheringBytes + this.values.gatheredBytes;
  }

  /** What the ordered index may not show yet. */
  get addedKeys(): readonly AddedKeys[] {
    return [this.newer, this.older];
  }

  /** The key of user data gets its entry in the ordered index. */
  addToIndex(bucketId: BucketId, key: Buffer): void {
    this.put(indexKey(bucketId, key), indexValue);
    this.newer.add(bucketId, mapKey(key));
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
    return this.touched.size > 0 || this.gatheredBytes > 0;
  }

  private get hasEnough(): boolean {
    return this.gatheredBytes >= enoughBytes + this.touched.size * enoughBytesAShard;
  }

  /** Makes sure that what has gathered is written in time. */
  private schedule(): void {
    // The end of a write looks again.
    if (this.writing) return;
    if (this.syncWanted.length > 0 || this.hasEnough) this.pump();
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
    this.writingBytes = this.gatheredBytes;
    this.gatheringBytes = 0;
    this.values.writeTo(batch);
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
    this.newer = new AddedKeys();
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
      this.older = new AddedKeys();
      this.values.onWritten();
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
