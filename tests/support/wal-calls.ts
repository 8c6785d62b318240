/** The log with promises and short ways to make entries, for tests. */
import { noReplica, replicaId, type ShardId, shardId, systemClock } from '../../src/base/index.js';
import { type Configuration, type Entry, EntryType, type SnapshotMetadata } from '../../src/raft/index.js';
import { type Disk, openWal, type RecoveredGroup, type Wal, type WalOptions } from '../../src/wal/index.js';

export const walDirectory = '/wal';
export const noHardState = { currentTerm: 0, votedFor: noReplica, commitIndex: 0 };
export const configuration: Configuration = {
  voters: [replicaId(1), replicaId(2), replicaId(3)],
  outgoing: [],
  learners: [],
  learnersNext: [],
};
export const snapshotAt = (index: number, term = 1): SnapshotMetadata => ({ index, term, configuration });
export const shard = (number: number): ShardId => shardId(number);

/** Entries from `first` on, one a text. */
export const entriesOf = (first: number, texts: readonly string[], term = 1): Entry[] =>
  texts.map((text, at) => ({ term, index: first + at, type: EntryType.Normal, data: Buffer.from(text) }));

export const openLog = (disk: Disk, options: Partial<WalOptions> = {}) =>
  openWal(disk, { directory: walDirectory, segmentBytes: 4096, clock: systemClock, ...options });

export const committed = (wal: Wal): Promise<void> =>
  new Promise((resolve, reject) => wal.commit((error) => (error ? reject(error) : resolve())));

export const textsOf = (group: RecoveredGroup | undefined): readonly string[] =>
  (group?.entries ?? []).map(({ index, data }) => `${index}:${data}`);

export const segmentNames = async (disk: Disk): Promise<readonly number[]> =>
  (await disk.list(walDirectory))
    .filter((name) => name.startsWith('wal-'))
    .map((name) => Number.parseInt(name.slice(4, 20), 16));

/** Lets everything under way on a simulated disk finish. */
export async function settled(turns = 20): Promise<void> {
  for (let turn = 0; turn < turns; turn++) await new Promise((resolve) => setImmediate(resolve));
}
