/**
 * The write-ahead log of a node: one file at a time, one write at a time, all groups together.
 *
 * Invariants:
 * 1. Batches have consecutive numbers; one batch is one write and one sync, and lies in one segment.
 * 2. At most one write is under way; what is appended meanwhile is the next batch (group commit).
 * 3. A callback runs after its batch is durable, in the order of `commit` calls.
 * 4. After a failed write nothing is written ever again (poison): whether it is on disk is unknowable (RAFT-PITFALLS 34).
 * 5. A segment goes only when no group needs a record in it. Its file may become another segment: to make a new one is as much to
 *    write as what is logged in it, and the disk makes everybody wait for that.
 */
import { assert, messageOf, type ReplicaId, RingraftError, type ShardId, type Timer } from '../base/index.js';
import type { Entry, HardState, SnapshotMetadata } from '../raft/index.js';
import { BatchWriter } from './batch-writer.js';
import type { Disk, DiskFile } from './disk.js';
import { GroupIndex } from './group-index.js';
import {
  batchHeaderBytes,
  encodeSegmentHeader,
  RecordType,
  segmentHeaderBytes,
  writeBase,
  writeEntries,
  writeHardState,
  writeTombstone,
} from './record.js';
import { type Recovered, recover, segmentPath, sparePath } from './recover.js';
import type { RecoveredGroup, Wal, WalOptions, WalStatistics } from './types.js';

type Callback = (error: Error | undefined) => void;
type Segment = {
  readonly sequence: number;
  readonly path: string;
  readonly file: DiskFile;
  readonly sizeBytes: number;
};

const fullRetryMs = 1000;
/** The next segment is made once the current one is this full. */
const prepareAtShare = 0.5;
/** Files that wait to be segments again. */
const mostSpares = 4;

class SegmentedWal implements Wal {
  readonly recovered: ReadonlyMap<ShardId, RecoveredGroup>;
  readonly damage: string | undefined;
  private readonly index: GroupIndex;
  /** Older segments and the current one, with their sizes. */
  private readonly sizes = new Map<number, number>();
  private readonly damagedSegments = new Set<number>();
  /** Segments whose files are as long as they should be and of this life: what stands in them has numbers below those to come. */
  private readonly reusable = new Set<number>();
  private readonly spares: string[] = [];
  private readonly gathering: BatchWriter;
  private callbacks: Callback[] = [];
  private writing = false;
  private position = segmentHeaderBytes;
  private next: Segment | undefined;
  private preparing = false;
  /** Set while the disk is known to be full. */
  private retry: Timer | undefined;
  /** Segments may have come free: to be looked at once the next batch is durable. */
  private collectDue = false;
  private collecting = false;
  private nextSequence: number;
  private poison: Error | undefined;
  private full = false;
  private closed = false;
  private idle: (() => void) | undefined;
  private totals = { bytesWritten: 0, records: 0, syncs: 0 };
  writingSinceMs: number | undefined;
  fullSinceMs: number | undefined;

  constructor(
    private readonly disk: Disk,
    private readonly options: WalOptions,
    found: Recovered,
    private current: Segment,
  ) {
    this.recovered = found.groups;
    this.damage = found.damage;
    this.nextSequence = current.sequence + 1;
    this.gathering = new BatchWriter(found.nextBatch);
    for (const { sequence, bytes, isDamaged } of found.segments) {
      this.sizes.set(sequence, bytes);
      if (isDamaged) this.damagedSegments.add(sequence);
    }
    this.noteSegment(current);
    this.index = new GroupIndex(found.groups, found.oldestNeeded);
  }

  get isFull(): boolean {
    return this.full;
  }

  get statistics(): WalStatistics {
    let bytesOnDisk = 0;
    for (const bytes of this.sizes.values()) bytesOnDisk += bytes;
    return { segments: this.sizes.size, bytesOnDisk, ...this.totals };
  }

  /** What gathers for the next batch. */
  private get batch(): BatchWriter {
    assert(!this.closed, 'the log is open');
    return this.gathering;
  }

  appendGroup(shardId: ShardId, replicaId: ReplicaId, snapshot: SnapshotMetadata): void {
    this.index.begin(shardId, replicaId, snapshot);
    writeBase(this.batch, shardId, RecordType.Group, replicaId, snapshot);
  }

  appendEntries(shardId: ShardId, entries: readonly Entry[], commitIndex = 0): void {
    if (entries.length === 0) return;
    const known = this.index.noteEntries(shardId, entries, commitIndex);
    writeEntries(this.batch, shardId, entries, known);
  }

  appendHardState(shardId: ShardId, hardState: HardState): void {
    this.index.noteHardState(shardId, hardState);
    writeHardState(this.batch, shardId, hardState);
  }

  appendSnapshot(shardId: ShardId, snapshot: SnapshotMetadata): void {
    this.index.noteSnapshot(shardId, snapshot);
    writeBase(this.batch, shardId, RecordType.Snapshot, this.index.of(shardId).replicaId, snapshot);
    writeHardState(this.batch, shardId, this.index.of(shardId).hardState);
  }

  release(shardId: ShardId, snapshot: SnapshotMetadata): void {
    // What was let go does not come back: with an earlier base the entries in between would be missing.
    if (snapshot.index < this.index.of(shardId).baseIndex) return;
    this.index.noteRelease(shardId, snapshot);
    writeBase(this.batch, shardId, RecordType.Release, this.index.of(shardId).replicaId, snapshot);
    // With these two in the newest segment the group needs nothing older but its entries.
    writeHardState(this.batch, shardId, this.index.of(shardId).hardState);
  }

  appendTombstone(shardId: ShardId): void {
    this.index.remove(shardId);
    writeTombstone(this.batch, shardId);
  }

  segmentsBehind(shardId: ShardId): number {
    return this.current.sequence - this.index.oldestSegment(shardId, this.current.sequence);
  }

  commit(callback: Callback): void {
    if (this.poison !== undefined) {
      const error = this.poison;
      this.options.clock.defer(() => callback(error));
      return;
    }
    this.callbacks.push(callback);
    this.write();
  }

  /** Writes what has gathered, unless a write is under way or there is no room yet. */
  private write(): void {
    if (this.writing || this.poison !== undefined || this.full) return;
    if (this.callbacks.length === 0) {
      this.idle?.();
      return;
    }
    const bytes = batchHeaderBytes + this.gathering.bytes;
    const { records } = this.gathering;
    if (this.position + bytes > this.current.sizeBytes && records > 0) {
      this.roll(bytes);
      return;
    }
    const { callbacks } = this;
    this.callbacks = [];
    if (records === 0) {
      this.finish(callbacks, 0, 0);
      return;
    }
    const batch = this.gathering.take();
    this.index.flushed(this.current.sequence);
    // What is needed once this batch is durable; later appends, not yet durable, must not let anything go.
    const oldest = this.collectDue ? this.index.oldestOfAll(this.current.sequence) : undefined;
    this.collectDue = false;
    this.writing = true;
    this.writingSinceMs = this.options.clock.nowMs();
    this.current.file.writeDurably(batch.pieces, this.position, (error) => {
      this.gathering.release(batch);
      this.writing = false;
      this.writingSinceMs = undefined;
      if (error !== undefined) {
        this.fail(error, callbacks);
        return;
      }
      this.position += bytes;
      this.totals.syncs++;
      if (oldest !== undefined) void this.collect(oldest);
      this.finish(callbacks, bytes, records);
    });
    if (this.position > this.current.sizeBytes * prepareAtShare) this.prepare(0);
  }

  private finish(callbacks: readonly Callback[], bytes: number, records: number): void {
    this.totals.bytesWritten += bytes;
    this.totals.records += records;
    for (const callback of callbacks) callback(undefined);
    this.write();
  }

  private fail(cause: Error, callbacks: readonly Callback[]): void {
    const error = new RingraftError('CORRUPT', `the write-ahead log failed: ${messageOf(cause)}`, {
      cause,
      happened: 'unknown',
    });
    this.poison = error;
    const waiting = [...callbacks, ...this.callbacks];
    this.callbacks = [];
    for (const callback of waiting) callback(error);
    this.idle?.();
  }

  /** Goes on in the next segment, which must have room for `bytes`. */
  private roll(bytes: number): void {
    const { next } = this;
    if (next === undefined || next.sizeBytes < segmentHeaderBytes + bytes) {
      if (next !== undefined && !this.preparing) {
        // Too small for this one batch: made anew, larger.
        this.next = undefined;
        this.nextSequence = next.sequence;
        this.preparing = true;
        void next.file
          .close()
          .then(() => this.disk.remove(next.path))
          .then(
            () => {
              this.preparing = false;
              this.prepare(bytes);
            },
            (error: Error) => this.fail(error, []),
          );
        return;
      }
      this.prepare(bytes);
      this.noteFull(this.retry !== undefined);
      return;
    }
    const old = this.current;
    this.sizes.set(old.sequence, this.position);
    this.current = next;
    this.next = undefined;
    this.position = segmentHeaderBytes;
    void old.file.close().catch(() => {});
    this.collectDue = true;
    this.write();
  }

  private noteFull(isFull: boolean): void {
    this.full = isFull;
    // It stays set while there are tries: between two of them `full` says nothing.
    if (isFull) this.fullSinceMs ??= this.options.clock.nowMs();
  }

  /** Makes the next segment, ahead of its use where possible. Waits for room on a full disk. */
  private prepare(bytes: number): void {
    if (this.preparing || this.next !== undefined || this.retry !== undefined) return;
    if (this.closed || this.poison !== undefined) return;
    this.preparing = true;
    const sequence = this.nextSequence;
    const sizeBytes = Math.max(this.options.segmentBytes, segmentHeaderBytes + bytes);
    this.makeSegment(sequence, sizeBytes).then(
      (segment) => {
        this.preparing = false;
        if (this.closed) {
          void segment.file.close().catch(() => {});
          return;
        }
        this.full = false;
        this.fullSinceMs = undefined;
        this.nextSequence = sequence + 1;
        this.next = segment;
        this.noteSegment(segment);
        this.write();
      },
      (error: NodeJS.ErrnoException) => {
        this.preparing = false;
        if (error.code !== 'ENOSPC' && error.code !== 'EDQUOT') {
          this.fail(error, []);
          return;
        }
        // Nothing was acknowledged that is not on disk: it can wait until there is room.
        this.noteFull(this.callbacks.length > 0 && !this.writing);
        this.retry = this.options.clock.after(fullRetryMs, () => {
          this.retry = undefined;
          this.full = false;
          this.prepare(bytes);
          this.write();
        });
      },
    );
  }

  /** Lets the segments before `oldest` go, one after another from the front: a gap would look like damage. */
  private async collect(oldest: number): Promise<void> {
    if (this.collecting) {
      this.collectDue = true;
      return;
    }
    this.collecting = true;
    try {
      for (const sequence of [...this.sizes.keys()]) {
        if (sequence >= oldest) break;
        const path = segmentPath(this.options.directory, sequence);
        // Evidence is not deleted, but it must not stand in the way of the next start either.
        if (this.damagedSegments.has(sequence)) await this.disk.rename(path, `${path}.damaged`);
        else if (this.reusable.has(sequence) && this.spares.length < mostSpares) await this.keepSpare(sequence, path);
        else await this.disk.remove(path);
        this.sizes.delete(sequence);
        this.reusable.delete(sequence);
      }
    } catch {
      // What stays behind holds nothing that matters; the next time it is tried again.
    }
    this.collecting = false;
  }

  private noteSegment({ sequence, sizeBytes }: Segment): void {
    this.sizes.set(sequence, sizeBytes);
    if (sizeBytes === this.options.segmentBytes) this.reusable.add(sequence);
  }

  private async keepSpare(sequence: number, path: string): Promise<void> {
    const spare = sparePath(this.options.directory, sequence);
    await this.disk.rename(path, spare);
    this.spares.push(spare);
  }

  private async makeSegment(sequence: number, sizeBytes: number): Promise<Segment> {
    const { disk } = this;
    const { directory, segmentBytes } = this.options;
    const spare = sizeBytes === segmentBytes ? this.spares.pop() : undefined;
    if (spare !== undefined) {
      try {
        return await reuseSegment(disk, directory, spare, { sequence, sizeBytes, from: this.gathering.number });
      } catch {
        // It holds nothing that matters.
        await disk.remove(spare);
      }
    }
    return createSegment(disk, directory, sequence, sizeBytes);
  }

  async close(): Promise<void> {
    if (this.closed) return;
    await new Promise<void>((resolve) => {
      this.idle = resolve;
      if (this.gathering.records > 0) this.callbacks.push(() => {});
      this.write();
      if (this.poison !== undefined || this.full) resolve();
    });
    this.closed = true;
    this.retry?.cancel();
    await this.current.file.close();
    await this.next?.file.close();
  }
}

async function createSegment(disk: Disk, directory: string, sequence: number, sizeBytes: number): Promise<Segment> {
  const path = segmentPath(directory, sequence);
  // What a failed attempt left behind.
  await disk.remove(path);
  const file = await disk.create(path, sizeBytes);
  await writeHeader(file, encodeSegmentHeader(sequence));
  return { sequence, path, file, sizeBytes };
}

/** Batches from number `from` on are going to be in it. It has its header before it has its name: it is never damage. */
async function reuseSegment(
  disk: Disk,
  directory: string,
  spare: string,
  { sequence, sizeBytes, from }: { readonly sequence: number; readonly sizeBytes: number; readonly from: number },
): Promise<Segment> {
  const old = await disk.open(spare);
  try {
    await writeHeader(old, encodeSegmentHeader(sequence, from));
  } finally {
    await old.close();
  }
  const path = segmentPath(directory, sequence);
  await disk.rename(spare, path);
  return { sequence, path, file: await disk.open(path), sizeBytes };
}

function writeHeader(file: DiskFile, header: Buffer): Promise<void> {
  return new Promise((resolve, reject) => {
    file.writeDurably([header], 0, (error) => (error === undefined ? resolve() : reject(error)));
  });
}

/** Opens the log of a directory, or begins one. Appends go to a fresh segment. */
export async function openWal(disk: Disk, options: WalOptions): Promise<Wal & { readonly notes: readonly string[] }> {
  const found = await recover(disk, options.directory);
  const current = await createSegment(disk, options.directory, found.nextSequence, options.segmentBytes);
  const wal = new SegmentedWal(disk, options, found, current);
  return Object.assign(wal, { notes: found.notes });
}
