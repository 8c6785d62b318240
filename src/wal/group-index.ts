/**
 * Which segments each group still needs.
 *
 * Invariant: a group needs the segment of its newest base, of its newest hard state, and of every record that holds an
 * entry after its base. What is not written yet counts as in the current segment.
 */
import { assert, noReplica, type ReplicaId, type ShardId } from '../base/index.js';
import type { Entry, HardState, SnapshotMetadata } from '../raft/index.js';
import type { RecoveredGroup } from './types.js';

/** Entries [first, last] are in this segment. */
type Extent = { segment: number; readonly first: number; last: number };

type GroupState = {
  replicaId: ReplicaId;
  /** Its commit index is the highest known, which may have come with entries since. */
  hardState: { -readonly [Field in keyof HardState]: HardState[Field] };
  baseIndex: number;
  baseSegment: number;
  hardStateSegment: number;
  extents: Extent[];
};

/** Not written yet. */
const unwritten = Number.POSITIVE_INFINITY;
const noHardState: HardState = { currentTerm: 0, votedFor: noReplica, commitIndex: 0 };

export class GroupIndex {
  private readonly groups = new Map<ShardId, GroupState>();
  private touched = new Set<GroupState>();

  constructor(recovered: ReadonlyMap<ShardId, RecoveredGroup>, oldestNeeded: ReadonlyMap<ShardId, number>) {
    for (const [shardId, group] of recovered) {
      // Where exactly each record was is not kept: its oldest segment stands for all, until the group is released.
      const segment = oldestNeeded.get(shardId) ?? 0;
      const last = group.entries[group.entries.length - 1]?.index;
      this.groups.set(shardId, {
        replicaId: group.replicaId,
        hardState: { ...group.hardState },
        baseIndex: group.snapshot.index,
        baseSegment: segment,
        hardStateSegment: segment,
        extents: last === undefined ? [] : [{ segment, first: group.snapshot.index + 1, last }],
      });
    }
  }

  of(shardId: ShardId): GroupState {
    const group = this.groups.get(shardId);
    assert(group !== undefined, () => `shard ${shardId} has no log here`);
    return group;
  }

  begin(shardId: ShardId, replicaId: ReplicaId, snapshot: SnapshotMetadata): void {
    const group: GroupState = {
      replicaId,
      hardState: { ...noHardState },
      baseIndex: snapshot.index,
      baseSegment: unwritten,
      hardStateSegment: unwritten,
      extents: [],
    };
    this.groups.set(shardId, group);
    this.touched.add(group);
  }

  /** Gives the highest commit index known, which may be this one. */
  noteEntries(shardId: ShardId, entries: readonly Entry[], commitIndex: number): number {
    const group = this.of(shardId);
    const first = (entries[0] as Entry).index;
    const last = (entries[entries.length - 1] as Entry).index;
    const { extents } = group;
    for (let newest = extents[extents.length - 1]; newest !== undefined && newest.last >= first; ) {
      if (newest.first >= first) extents.pop();
      else newest.last = first - 1;
      newest = extents[extents.length - 1];
    }
    const newest = extents[extents.length - 1];
    if (newest?.segment === unwritten && newest.last + 1 === first) newest.last = last;
    else extents.push({ segment: unwritten, first, last });
    this.touched.add(group);
    assert(commitIndex <= last, 'what is committed is in the log');
    group.hardState.commitIndex = Math.max(group.hardState.commitIndex, commitIndex);
    return group.hardState.commitIndex;
  }

  noteHardState(shardId: ShardId, hardState: HardState): void {
    const group = this.of(shardId);
    assert(hardState.currentTerm >= group.hardState.currentTerm, 'the term on disk never falls');
    const commitIndex = Math.max(group.hardState.commitIndex, hardState.commitIndex);
    group.hardState = { ...hardState, commitIndex };
    group.hardStateSegment = unwritten;
    this.touched.add(group);
  }

  noteSnapshot(shardId: ShardId, snapshot: SnapshotMetadata): void {
    const group = this.of(shardId);
    assert(snapshot.index >= group.baseIndex, 'the beginning of a log never moves back');
    this.noteBase(group, snapshot);
    group.extents = [];
  }

  noteRelease(shardId: ShardId, snapshot: SnapshotMetadata): void {
    const group = this.of(shardId);
    this.noteBase(group, snapshot);
    group.extents = group.extents.filter((extent) => extent.last > snapshot.index);
  }

  private noteBase(group: GroupState, snapshot: SnapshotMetadata): void {
    group.baseIndex = snapshot.index;
    group.baseSegment = unwritten;
    group.hardStateSegment = unwritten;
    this.touched.add(group);
  }

  remove(shardId: ShardId): void {
    const group = this.groups.get(shardId);
    this.groups.delete(shardId);
    if (group !== undefined) this.touched.delete(group);
  }

  /** Everything noted since the last call is being written to this segment. */
  flushed(segment: number): void {
    for (const group of this.touched) {
      if (group.baseSegment === unwritten) group.baseSegment = segment;
      if (group.hardStateSegment === unwritten) group.hardStateSegment = segment;
      const { extents } = group;
      for (let at = extents.length - 1; at >= 0; at--) {
        const extent = extents[at] as Extent;
        if (extent.segment !== unwritten) break;
        extent.segment = segment;
        const before = extents[at - 1];
        if (before?.segment === segment && before.last + 1 === extent.first) {
          before.last = extent.last;
          extents.splice(at, 1);
        }
      }
    }
    this.touched.clear();
  }

  /** The oldest segment the group needs; `current` when it needs no older one. */
  oldestSegment(shardId: ShardId, current: number): number {
    const group = this.groups.get(shardId);
    return group === undefined ? current : oldest(group, current);
  }

  oldestOfAll(current: number): number {
    let least = current;
    for (const group of this.groups.values()) least = Math.min(least, oldest(group, current));
    return least;
  }
}

const oldest = (group: GroupState, current: number): number =>
  Math.min(current, group.baseSegment, group.hardStateSegment, group.extents[0]?.segment ?? current);
