import type { Clock, ReplicaId, ShardId } from '../base/index.js';
import type { Entry, HardState, SnapshotMetadata } from '../raft/index.js';

/** What the log holds of one group when it is opened. */
export type RecoveredGroup = {
  readonly shardId: ShardId;
  readonly replicaId: ReplicaId;
  readonly hardState: HardState;
  /** The log begins after this (index 0 and the first configuration for a group that never took a snapshot). */
  readonly snapshot: SnapshotMetadata;
  /** The entries after `snapshot.index` that were not released yet, without gaps. */
  readonly entries: readonly Entry[];
  /**
   * Set when records of this group may be lost in the middle of the log: it must neither vote nor acknowledge nor
   * lead until it is rebuilt from its leader. Says what was found, for people.
   */
  readonly damage: string | undefined;
};

export type WalOptions = {
  readonly directory: string;
  /** Size of one preallocated segment. */
  readonly segmentBytes: number;
  readonly clock: Clock;
};

export type WalStatistics = {
  readonly segments: number;
  readonly bytesOnDisk: number;
  readonly bytesWritten: number;
  readonly records: number;
  readonly syncs: number;
};

/**
 * The node's log, shared by its groups. Appends gather in memory; `commit` asks for everything appended so far to be
 * made durable by one write and sync. While one is in flight, later appends gather behind it (group commit).
 *
 * A failed write or sync poisons the log: every pending and later commit fails with the same error and nothing is
 * ever retried (the node stops). The exception is a full disk noticed *before* a write (no room for the next segment):
 * `commit` then waits, `isFull` says so, and it goes on once there is room.
 */
export type Wal = {
  readonly recovered: ReadonlyMap<ShardId, RecoveredGroup>;
  /** Some of the log does not read: a group that is not in `recovered` may have been in it. Says what was found. */
  readonly damage: string | undefined;
  /** A new group, or a new incarnation of one: its log is empty after `snapshot`. */
  appendGroup(shardId: ShardId, replicaId: ReplicaId, snapshot: SnapshotMetadata): void;
  /**
   * Replaces whatever the group's log holds from `entries[0].index` on. The data must not change afterwards. `commitIndex`
   * goes with them: at most the index of the last one; left out: nothing new.
   */
  appendEntries(shardId: ShardId, entries: readonly Entry[], commitIndex?: number): void;
  appendHardState(shardId: ShardId, hardState: HardState): void;
  /** The log is empty after `snapshot`: every entry is forgotten. To keep those after a snapshot, `release`. */
  appendSnapshot(shardId: ShardId, snapshot: SnapshotMetadata): void;
  /** The replica is gone from this node; its records may be dropped. */
  appendTombstone(shardId: ShardId): void;
  /** `callback` runs once everything appended before this call is durable, in the order of calls. */
  commit(callback: (error: Error | undefined) => void): void;
  /**
   * The group no longer needs the entries up to `snapshot.index`: they are applied and durable in the engine.
   * Written with the next commit; lets old segments go. Does nothing when more was released before.
   */
  release(shardId: ShardId, snapshot: SnapshotMetadata): void;
  /**
   * How many segments back the oldest record lies that this group still needs; 0: in the current one. A quiet group
   * that pins old segments is to be released up to what it has applied.
   */
  segmentsBehind(shardId: ShardId): number;
  /** Monotonic time since when a write has been under way; undefined when none is. For a watchdog. */
  readonly writingSinceMs: number | undefined;
  readonly isFull: boolean;
  /** Monotonic time since when something waits for room on the disk; undefined when nothing does. */
  readonly fullSinceMs: number | undefined;
  readonly statistics: WalStatistics;
  /** Makes what was appended durable, then closes. */
  close(): Promise<void>;
};
