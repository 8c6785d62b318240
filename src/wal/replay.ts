/**
 * What the records of a log add up to, group by group, in the order they were written.
 *
 * Invariants:
 * 1. A record replaces what it contradicts: entries replace a suffix, a base (Group, Snapshot, Release) a prefix.
 * 2. Segments are deleted from the front only, so entries may come before the base they build on; whether it all fits
 *    together is judged at the end.
 * 3. After damage a group is whole again only once a Group or Snapshot record, which forgets the past, came after it.
 */
import { assertNever, noReplica, type ReplicaId, type ShardId } from '../base/index.js';
import type { Entry, HardState, SnapshotMetadata } from '../raft/index.js';
import type { DecodedRecord } from './record.js';
import type { RecoveredGroup } from './types.js';

type GroupReplay = {
  replicaId: ReplicaId;
  snapshot: SnapshotMetadata | undefined;
  /** Its commit index is the highest that any record speaks of. */
  hardState: HardState;
  entries: Entry[];
  damage: string | undefined;
};

const noHardState: HardState = { currentTerm: 0, votedFor: noReplica, commitIndex: 0 };

/** What a base stands for is committed. */
const knownCommitOf = ({ hardState, snapshot }: GroupReplay): number =>
  Math.max(hardState.commitIndex, snapshot?.index ?? 0);

export class Replay {
  private readonly groups = new Map<ShardId, GroupReplay>();
  /** What damage a group that is seen for the first time after it must assume. */
  damage: string | undefined;

  private group(shardId: ShardId): GroupReplay {
    let group = this.groups.get(shardId);
    if (group === undefined) {
      const { damage } = this;
      group = {
        replicaId: noReplica,
        snapshot: undefined,
        hardState: noHardState,
        entries: [],
        damage,
      };
      this.groups.set(shardId, group);
    }
    return group;
  }

  apply(record: DecodedRecord): void {
    const group = this.group(record.shardId);
    switch (record.type) {
      case 'Group':
        Object.assign(group, { hardState: noHardState, entries: [], damage: undefined });
        this.base(group, record);
        break;
      case 'Snapshot':
        // All of it, whatever the log held: what can be read of the past must not decide what is kept of it. A hard state
        // follows in the same batch.
        Object.assign(group, { hardState: noHardState, entries: [], damage: undefined });
        this.base(group, record);
        break;
      case 'Release':
        this.base(group, record);
        break;
      case 'Entries':
        this.entries(group, record.entries);
        this.hardState(group, group.hardState, record.commitIndex);
        break;
      case 'HardState':
        this.hardState(group, record.hardState, group.hardState.commitIndex);
        break;
      case 'Tombstone':
        this.groups.delete(record.shardId);
        break;
      default:
        assertNever(record);
    }
  }

  private base(
    group: GroupReplay,
    { replicaId, snapshot }: { replicaId: ReplicaId; snapshot: SnapshotMetadata },
  ): void {
    group.replicaId = replicaId;
    group.snapshot = snapshot;
    const kept = group.entries.findIndex((entry) => entry.index > snapshot.index);
    group.entries = kept < 0 ? [] : group.entries.slice(kept);
  }

  /** A commit index comes with either kind of record, and never falls. */
  private hardState(group: GroupReplay, hardState: HardState, commitIndex: number): void {
    group.hardState = commitIndex > hardState.commitIndex ? { ...hardState, commitIndex } : hardState;
  }

  private entries(group: GroupReplay, entries: readonly Entry[]): void {
    const first = entries[0]?.index ?? 0;
    const known = group.entries;
    const start = known[0]?.index ?? first;
    // Beyond the end: what is between was in a deleted segment, or is missing; the end will tell.
    if (first > start + known.length || first < start) known.length = 0;
    else known.length = first - start;
    for (const entry of entries) known.push(entry);
    const base = group.snapshot?.index ?? 0;
    if (first <= base) group.entries = known.filter((entry) => entry.index > base);
  }

  /** Records are missing or unreadable here. */
  damaged(what: string): void {
    this.damage ??= what;
    for (const group of this.groups.values()) group.damage ??= what;
  }

  /** The highest index of the group known to be committed, from records read so far. */
  knownCommit(shardId: ShardId): number {
    const group = this.groups.get(shardId);
    return group === undefined ? 0 : knownCommitOf(group);
  }

  result(): ReadonlyMap<ShardId, RecoveredGroup> {
    const recovered = new Map<ShardId, RecoveredGroup>();
    for (const [shardId, group] of this.groups) {
      const { replicaId, snapshot, hardState, entries } = group;
      const base = snapshot ?? {
        index: 0,
        term: 0,
        configuration: { voters: [], outgoing: [], learners: [], learnersNext: [] },
      };
      const last = entries[entries.length - 1]?.index ?? base.index;
      let { damage } = group;
      if (snapshot === undefined) damage ??= 'the record that begins its log is missing';
      else if (entries.length > 0 && entries[0]?.index !== base.index + 1)
        damage ??= 'entries are missing after its base';
      else if (last < knownCommitOf(group))
        damage ??= `the log ends at ${last}, ${knownCommitOf(group)} is known committed`;
      recovered.set(shardId, { shardId, replicaId, hardState, snapshot: base, entries, damage });
    }
    return recovered;
  }
}
