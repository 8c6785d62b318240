/**
 * Mutations on their way into the engine. What a shard applies gathers in memory, where a key that is written again takes no more
 * room and is written once, and goes to the engine as a whole: a few shards a batch, the one that has waited longest first. One batch
 * is under way at a time. Nobody waits for the engine but who asks: what is applied is durable in the log already.
 *
 * Invariants:
 * 1. In the engine each shard is as it was after one entry of the log: its applied position, and what that did to its sessions, are in
 *    the batch that has all it applied up to there, and nothing of what came later.
 * 2. A mutation is in memory (`ValueTable`, `AddedKeys`) until the engine shows it.
 * 3. `whenWritten` and `betweenWrites` actions run when the engine holds exactly what `writtenPosition` says, nothing under way.
 * 4. What waits is bounded, in bytes, in keys that the ordered index does not show, and in time.
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
import { SystemKind, systemKey } from './keys.js';
import { PendingWrites } from './pending-writes.js';
import type { ShardState } from './shard-state.js';
import type { ShardPosition } from './types.js';
import type { GatheredValues, ValueTable } from './value-table.js';

/** What may wait for the engine. Beyond it something goes: that of the shard, or what has waited longest. */
export type PendingLimits = {
  /** Of one shard; and about as much is in a batch. */
  readonly bytesOfShard: number;
  readonly bytes: number;
  /** Keys that the ordered index does not show: they are in the way of every scan, and not written over as a rule. */
  readonly added: number;
  readonly ageMs: number;
  /** Records that are put into a batch before the event loop gets a turn. */
  readonly recordsATurn: number;
};

const bytesOfShard = 1024 * 1024;
const mostBytes = 32 * 1024 * 1024;
/** Of the memory for keys and values. */
const pendingShare = 0.25;

/** What may wait where memory keeps so much of keys and values; it takes its room there. */
export const pendingLimits = (cacheBytes: number): PendingLimits => ({
  bytesOfShard,
  bytes: Math.min(mostBytes, Math.max(bytesOfShard, cacheBytes * pendingShare)),
  added: 8192,
  ageMs: 3000,
  // A fraction of a millisecond.
  recordsATurn: 256,
});

const markerKey = systemKey(0 as ShardId, SystemKind.Marker);

export type PipelineStatistics = { batches: number; mutations: number };

type Sync = {
  /** What is to be written before. */
  readonly waitsFor: Set<PendingWrites>;
  readonly done: (error: Error | undefined) => void;
};

/** A shard's part of the batch under way. */
type Writing = { readonly shard: ShardState; readonly position: ShardPosition; readonly pending: PendingWrites };

export class WritePipeline {
  /** That have applied something since they were last written, the oldest first. */
  private readonly waiting = new Set<ShardState>();
  /** Of these, those somebody waits for, or that have enough for a batch. */
  private readonly hurried = new Set<ShardState>();
  private waitingBytes = 0;
  private waitingAdded = 0;
  private writingBytes = 0;
  /** Keys to delete that are of no shard here. */
  private strays: Buffer[] = [];
  /** What the ordered index may not show: `older` until all shards are written that had anything when it was closed. */
  private newer = new AddedKeys();
  private older = new AddedKeys();
  private olderShards = new Set<ShardState>();
  private batchNumber = 1;
  private readonly written = new Map<ShardId, ShardPosition>();
  private writing = false;
  private timer: Timer | undefined;
  private syncs: Sync[] = [];
  private betweenActions: (() => void)[] = [];
  private failure: Error | undefined;
  readonly statistics: PipelineStatistics = { batches: 0, mutations: 0 };

  constructor(
    private readonly engine: Engine,
    private readonly values: ValueTable,
    private readonly clock: Clock,
    private readonly limits: PendingLimits,
    private readonly onFailure: (error: Error) => void,
  ) {}

  /** Applied and not yet in the engine. */
  get pendingBytes(): number {
    return this.waitingBytes + this.writingBytes;
  }

  /** What the ordered index may not show yet. */
  get addedKeys(): readonly AddedKeys[] {
    return [this.newer, this.older];
  }

  /** Where what the shard applies now is gathered; it ends with the `touch` after it. */
  pendingOf(shard: ShardState): PendingWrites {
    if (shard.pending === undefined) {
      shard.pending = new PendingWrites(this.values.gathering(), this.clock.nowMs());
      this.waiting.add(shard);
    }
    return shard.pending;
  }

  /** The key of user data is put where the ordered index may not show it. */
  noteAdded(bucketId: BucketId, key: Buffer): void {
    this.newer.add(bucketId, mapKey(key));
  }

  /** A key that is of no shard here goes. */
  deleteStray(key: Buffer): void {
    this.strays.push(key);
    this.schedule();
  }

  /** The shard applied something: its position goes with it. */
  touch(shard: ShardState): void {
    const pending = this.pendingOf(shard);
    const { bytes, values } = pending;
    this.waitingBytes += bytes - pending.countedBytes;
    this.waitingAdded += values.added - pending.countedAdded;
    pending.countedBytes = bytes;
    pending.countedAdded = values.added;
    if (bytes >= this.limits.bytesOfShard) this.hurried.add(shard);
    this.schedule();
  }

  private get isDue(): boolean {
    const { limits } = this;
    const isTooMuch = this.waitingBytes >= limits.bytes || this.waitingAdded >= limits.added;
    return isTooMuch || this.hurried.size > 0 || this.syncs.length > 0;
  }

  /** When what has waited longest is to be written; undefined: nothing waits. */
  private nextDueMs(): number | undefined {
    for (const { pending } of this.waiting) return (pending as PendingWrites).beganMs + this.limits.ageMs;
    return this.strays.length > 0 ? this.clock.nowMs() + this.limits.ageMs : undefined;
  }

  /** Makes sure that what waits is written in time. */
  private schedule(): void {
    // The end of a write looks again.
    if (this.writing) return;
    if (this.isDue) {
      this.pump();
      return;
    }
    if (this.timer !== undefined) return;
    const dueMs = this.nextDueMs();
    if (dueMs === undefined) return;
    this.timer = this.clock.after(Math.max(0, dueMs - this.clock.nowMs()), () => {
      this.timer = undefined;
      this.pump();
    });
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

  /**
   * Makes durable what is written, with `applied` all that is applied so far; then calls back with where each shard stands in the
   * engine.
   */
  sync(
    what: 'applied' | 'written',
    done: (error: Error | undefined, positions: readonly ShardPosition[]) => void,
  ): void {
    const waitsFor = new Set<PendingWrites>();
    if (what === 'applied') {
      for (const shard of this.waiting) {
        waitsFor.add(shard.pending as PendingWrites);
        this.hurried.add(shard);
      }
    }
    this.syncs.push({ waitsFor, done: (error) => done(error, [...this.written.values()]) });
    this.pump();
  }

  /** Runs the action when nothing is under way: the engine holds exactly what `writtenPosition` says. */
  betweenWrites(action: () => void): void {
    this.betweenActions.push(action);
    if (!this.writing) this.runBetween();
  }

  /** Runs the action once all is written that the shard has applied by now, and nothing is under way. */
  whenWritten(shard: ShardState, action: () => void): void {
    const { pending } = shard;
    if (pending === undefined) {
      this.betweenWrites(action);
      return;
    }
    pending.actions.push(action);
    this.hurried.add(shard);
    this.pump();
  }

  private runBetween(): void {
    for (const action of this.betweenActions.splice(0)) action();
  }

  private pump(): void {
    if (this.writing) return;
    if (this.failure !== undefined) {
      const { failure } = this;
      for (const { done } of this.syncs.splice(0)) done(failure);
      return;
    }
    if (this.waiting.size > 0 || this.strays.length > 0 || this.syncs.length > 0) this.write();
  }

  /** Those whose turn it is: the hurried, then the oldest, until it is enough for a batch. */
  private takeShards(): ShardState[] {
    const taken: ShardState[] = [];
    let bytes = 0;
    for (const shards of [this.hurried, this.waiting]) {
      for (const shard of shards) {
        if (bytes >= this.limits.bytesOfShard) break;
        const { countedBytes, countedAdded } = shard.pending as PendingWrites;
        bytes += countedBytes;
        this.waitingBytes -= countedBytes;
        this.waitingAdded -= countedAdded;
        this.hurried.delete(shard);
        this.waiting.delete(shard);
        taken.push(shard);
      }
    }
    this.writingBytes = bytes;
    return taken.sort((one, other) => one.arc.start - other.arc.start);
  }

  private write(): void {
    this.timer?.cancel();
    this.timer = undefined;
    this.writing = true;
    const batch = this.engine.batch();
    for (const key of this.strays.splice(0)) batch.delete(key);
    const parts: Writing[] = [];
    for (const shard of this.takeShards()) {
      const pending = shard.pending as PendingWrites;
      shard.pending = undefined;
      pending.writeTo(batch);
      this.values.beginWriting(pending.values, batch);
      shard.writeTo(batch);
      parts.push({ shard, position: shard.position, pending });
      for (const { waitsFor } of this.syncs) waitsFor.delete(pending);
    }
    const syncs = this.syncs.filter(({ waitsFor }) => waitsFor.size === 0);
    this.syncs = this.syncs.filter(({ waitsFor }) => waitsFor.size > 0);
    const isSynced = syncs.length > 0;
    if (isSynced) batch.put(markerKey, Buffer.from(String(this.batchNumber)));
    this.batchNumber++;
    this.fill(parts, 0, () => this.submit(batch, parts, syncs));
  }

  /** Brings what has gathered in the parts from `next` on into their batch, some records a turn: others wait for this thread. */
  private fill(parts: readonly Writing[], next: number, done: () => void): void {
    let left = this.limits.recordsATurn;
    let at = next;
    while (at < parts.length && left > 0) {
      left = this.values.write((parts[at] as Writing).pending.values, left);
      if (left > 0) at++;
    }
    if (at === parts.length) done();
    else this.clock.defer(() => this.fill(parts, at, done));
  }

  private submit(batch: EngineBatch, parts: readonly Writing[], syncs: readonly Sync[]): void {
    const isSynced = syncs.length > 0;
    this.statistics.batches++;
    this.statistics.mutations += batch.size;
    batch.write(isSynced, (cause) => {
      this.writing = false;
      this.writingBytes = 0;
      if (cause !== undefined) this.fail(cause, syncs);
      else this.onWritten(parts, syncs);
    });
  }

  private onWritten(parts: readonly Writing[], syncs: readonly Sync[]): void {
    for (const { position } of parts) this.written.set(position.shardId, position);
    const gathered: GatheredValues[] = [];
    for (const { pending } of parts) gathered.push(pending.values);
    this.values.onWritten(gathered);
    this.forgetAdded(parts);
    for (const { pending } of parts) for (const action of pending.actions) action();
    for (const { done } of syncs) done(undefined);
    this.runBetween();
    this.schedule();
  }

  /** The ordered index shows what `older` has once every shard is written that had anything when it was closed. */
  private forgetAdded(parts: readonly Writing[]): void {
    for (const { shard } of parts) this.olderShards.delete(shard);
    if (this.olderShards.size > 0) return;
    this.older = this.waiting.size > 0 ? this.newer : new AddedKeys();
    this.newer = new AddedKeys();
    this.olderShards = new Set(this.older.isEmpty ? [] : this.waiting);
  }

  private fail(cause: Error, syncs: readonly Sync[]): void {
    const error = new RingraftError('CORRUPT', `the engine failed to write: ${messageOf(cause)}`, { cause });
    this.failure = error;
    for (const { done } of [...syncs, ...this.syncs.splice(0)]) done(error);
    this.onFailure(error);
  }
}
