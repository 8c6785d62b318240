/**
 * Lets go of log entries that are no longer needed, in memory and on disk.
 *
 * Invariants:
 * 1. An entry leaves the write-ahead log only when it is applied and that is durable in the engine (a synced marker),
 *    so that a crash of the machine never leaves a gap between the two. It leaves memory when it is applied: the engine gets
 *    what was applied in its own time.
 * 2. Enough of the log stays in memory for members that are a little behind; one that is further behind gets a
 *    snapshot. Where none is behind, little stays.
 * 3. What stays and every member holds is packed soon: as objects it would be what V8 collects at most cost, neither short-lived
 *    nor there to stay.
 */
import type { Clock, ShardId, Timer } from '../base/index.js';
import type { ShardPosition } from '../kv/index.js';
import type { Raft } from '../raft/index.js';
import type { Wal } from '../wal/index.js';
import type { Group } from './group.js';

const checkIntervalMs = 250;
/** A group whose oldest record lies further back is let go up to what it has applied. */
const mostSegmentsBehind = 3;

export type LogTrimmerParts = {
  readonly clock: Clock;
  readonly wal: Wal;
  readonly groupOf: (shardId: ShardId) => Group | undefined;
  readonly groups: () => Iterable<Group>;
  /** Makes durable what the engine has and tells up to where, per shard. */
  readonly syncWritten: (done: (error: Error | undefined, durable: readonly ShardPosition[]) => void) => void;
  /** Log bytes of all groups since the last trim beyond which a trim is due. */
  readonly trimEveryBytes: number;
  /** Log bytes of all groups beyond which memory is looked at before the next check. */
  readonly packEveryBytes: number;
  /** See `HostLimits`. */
  readonly retainedLogBytes: number;
  readonly trailingLogBytes: number;
  readonly onFatal: (error: unknown) => void;
};

export class LogTrimmer {
  private timer: Timer | undefined;
  private running = false;
  private bytesAtLastTrim = 0;
  private bytesAtLastPack = 0;
  trims = 0;

  constructor(private readonly parts: LogTrimmerParts) {}

  start(): void {
    // What earlier lives left behind counts too: every start begins a segment, and the log would only grow.
    const { segments, bytesOnDisk } = this.parts.wal.statistics;
    this.bytesAtLastTrim = segments > mostSegmentsBehind ? Number.NEGATIVE_INFINITY : -bytesOnDisk;
    this.schedule();
  }

  private schedule(): void {
    this.timer = this.parts.clock.after(checkIntervalMs, () => {
      this.check();
      this.schedule();
    });
  }

  stop(): void {
    this.timer?.cancel();
  }

  private check(): void {
    const { bytesWritten } = this.parts.wal.statistics;
    if (bytesWritten > this.bytesAtLastPack) this.pack(bytesWritten);
    if (this.running || bytesWritten - this.bytesAtLastTrim < this.parts.trimEveryBytes) return;
    this.bytesAtLastTrim = bytesWritten;
    this.running = true;
    this.parts.syncWritten((error, durable) => {
      this.running = false;
      if (error !== undefined) {
        this.parts.onFatal(error);
        return;
      }
      for (const position of durable) this.trim(position);
      this.parts.wal.commit((commitError) => {
        if (commitError !== undefined) this.parts.onFatal(commitError);
      });
      this.trims++;
    });
  }

  /** To be called every few milliseconds: where much is written memory is to be let go of earlier. */
  tick(): void {
    const { bytesWritten } = this.parts.wal.statistics;
    if (bytesWritten - this.bytesAtLastPack >= this.parts.packEveryBytes) this.pack(bytesWritten);
  }

  /** Lets go of what memory need not hold of the log, and packs what it need not have at hand. */
  private pack(bytesWritten: number): void {
    this.bytesAtLastPack = bytesWritten;
    for (const { raft } of this.parts.groups()) {
      raft.compact(Math.min(raft.appliedIndex, this.lastUnneeded(raft)));
      raft.pack(Math.min(raft.appliedIndex, raft.heldByAll));
    }
  }

  private trim(position: ShardPosition): void {
    const group = this.parts.groupOf(position.shardId);
    if (group === undefined || group.installing) return;
    // A snapshot is being installed: it will be looked at again.
    if (position.appliedIndex > group.raft.appliedIndex) return;
    this.release(group, position, Math.min(position.appliedIndex, this.lastUnneeded(group.raft)));
  }

  /** On disk: up to `index`, or what is durable in the engine, where that is what keeps old segments. */
  private release(
    group: Group,
    { shardId, appliedIndex, appliedTerm, configuration }: ShardPosition,
    index: number,
  ): void {
    const { wal } = this.parts;
    const durable = { index: appliedIndex, term: appliedTerm, configuration };
    // What memory keeps for followers need not stay on disk, where a quiet group would pin old segments for ever.
    if (wal.segmentsBehind(shardId) > mostSegmentsBehind) wal.release(shardId, durable);
    else if (index > group.releasedIndex) {
      wal.release(shardId, index === appliedIndex ? durable : group.raft.takeSnapshotMetadata(index));
      group.releasedIndex = index;
    }
  }

  /** The last entry that no member is expected to need from here. */
  private lastUnneeded(raft: Raft): number {
    const { trailingLogBytes, retainedLogBytes } = this.parts;
    const index = raft.indexForTrailingBytes(trailingLogBytes) - 1;
    const { heldByAll } = raft;
    if (index <= heldByAll) return index;
    return Math.max(heldByAll, Math.min(index, raft.indexForTrailingBytes(retainedLogBytes) - 1));
  }
}
