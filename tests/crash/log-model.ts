/** What a log must give back, kept beside it by plain rules: no segments, no batches, no bytes. */
import { crc32 } from 'node:zlib';
import type { ReplicaId, ShardId } from '../../src/base/index.js';
import type { Entry, HardState, SnapshotMetadata } from '../../src/raft/index.js';
import type { RecoveredGroup, Wal } from '../../src/wal/index.js';
import { noHardState } from '../support/wal-calls.js';

/** An entry without its data. */
export type Mark = { readonly index: number; readonly term: number; readonly type: number; readonly crc: number };

export type GroupState = {
  readonly replicaId: ReplicaId;
  readonly base: SnapshotMetadata;
  readonly hardState: HardState;
  readonly entries: readonly Mark[];
};

/** Never changed once made: a milestone keeps it. */
export type LogState = ReadonlyMap<ShardId, GroupState>;

const markOf = ({ index, term, type, data }: Entry): Mark => ({ index, term, type, crc: crc32(data) });

export const lastIndexOf = ({ base, entries }: GroupState): number => entries[entries.length - 1]?.index ?? base.index;

/** Does one operation to the log and to the model, so that both have seen the same. */
export class Twin {
  private readonly groups = new Map<ShardId, GroupState>();

  constructor(private wal: Wal) {}

  /** The log was opened anew. */
  reopened(wal: Wal): void {
    this.wal = wal;
  }

  get state(): LogState {
    return new Map(this.groups);
  }

  of(shardId: ShardId): GroupState | undefined {
    return this.groups.get(shardId);
  }

  private change(shardId: ShardId, change: Partial<GroupState>): void {
    this.groups.set(shardId, { ...(this.groups.get(shardId) as GroupState), ...change });
  }

  begin(shardId: ShardId, replicaId: ReplicaId, base: SnapshotMetadata): void {
    this.wal.appendGroup(shardId, replicaId, base);
    this.groups.set(shardId, { replicaId, base, hardState: noHardState, entries: [] });
  }

  append(shardId: ShardId, entries: readonly Entry[]): void {
    this.wal.appendEntries(shardId, entries);
    const first = entries[0]?.index ?? 0;
    const before = (this.of(shardId)?.entries ?? []).filter(({ index }) => index < first);
    this.change(shardId, { entries: [...before, ...entries.map(markOf)] });
  }

  hardState(shardId: ShardId, hardState: HardState): void {
    this.wal.appendHardState(shardId, hardState);
    this.change(shardId, { hardState });
  }

  release(shardId: ShardId, base: SnapshotMetadata): void {
    this.wal.release(shardId, base);
    const entries = (this.of(shardId)?.entries ?? []).filter(({ index }) => index > base.index);
    this.change(shardId, { base, entries });
  }

  snapshot(shardId: ShardId, base: SnapshotMetadata): void {
    this.wal.appendSnapshot(shardId, base);
    this.change(shardId, { base, entries: [] });
  }

  remove(shardId: ShardId): void {
    this.wal.appendTombstone(shardId);
    this.groups.delete(shardId);
  }
}

export const stateOf = ({ replicaId, snapshot, hardState, entries }: RecoveredGroup): GroupState => ({
  replicaId,
  base: snapshot,
  hardState,
  entries: entries.map(markOf),
});

const plain = ({ replicaId, base, hardState, entries }: GroupState): string =>
  JSON.stringify([
    replicaId,
    [base.index, base.term, base.configuration.voters],
    [hardState.currentTerm, hardState.votedFor, hardState.commitIndex],
    entries.map(({ index, term, type, crc }) => [index, term, type, crc]),
  ]);

export const isEqual = (one: GroupState | undefined, other: GroupState | undefined): boolean =>
  one === other || (one !== undefined && other !== undefined && plain(one) === plain(other));
