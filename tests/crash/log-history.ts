/**
 * Writes a log with every kind of record on a real disk, and keeps, after every commit, what was acknowledged by then and
 * the bytes of its files.
 */
import { appendFileSync, readdirSync, readFileSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import { type Random, randomBetween, replicaId, type ShardId, shardId, systemClock } from '../../src/base/index.js';
import { type Entry, EntryType } from '../../src/raft/index.js';
import { type Disk, nodeDisk, openWal } from '../../src/wal/index.js';
import { inDirectory } from '../support/temporary-directory.js';
import { snapshotAt } from '../support/wal-calls.js';
import { type GroupState, type LogState, lastIndexOf, Twin } from './log-model.js';

export const segmentBytes = 4096;
const shards = [1, 2, 3, 4, 5].map(shardId);

/** File name to bytes. */
export type Image = ReadonlyMap<string, Buffer>;
/** After a commit. */
export type Milestone = { readonly image: Image; readonly state: LogState };

/** A batch in an image; found by the lengths and magic numbers in the bytes alone. */
export type BatchPlace = {
  readonly name: string;
  readonly start: number;
  readonly end: number;
  readonly number: number;
};

export const segmentHeaderBytes = 32;
export const batchHeaderBytes = 24;
export const recordHeaderBytes = 13;

/** What stands behind them is of an earlier use of the file. */
export function batchesIn(image: Image): readonly BatchPlace[] {
  const found: BatchPlace[] = [];
  for (const [name, bytes] of [...image].sort(([a], [b]) => (a < b ? -1 : 1))) {
    if (!name.startsWith('wal-')) continue;
    const from = bytes.length < segmentHeaderBytes ? 0 : Number(bytes.readBigUInt64BE(16));
    let start = segmentHeaderBytes;
    while (start + batchHeaderBytes <= bytes.length && bytes.toString('latin1', start, start + 4) === 'BTCH') {
      const number = Number(bytes.readBigUInt64BE(start + 8));
      if (number < from) break;
      const end = start + batchHeaderBytes + bytes.readUInt32BE(start + 16);
      found.push({ name, start, end, number });
      start = end;
    }
  }
  return found;
}

/** A file may be removed while the directory is read: then once more. */
function readImage(directory: string): Image {
  for (;;) {
    try {
      return new Map(readdirSync(directory).map((name) => [name, readFileSync(join(directory, name))] as const));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    }
  }
}

const someBytes = (random: Random, length: number): Buffer =>
  Buffer.from(Array.from({ length }, () => random.nextU32() & 0xff));

/** Entries from `first` on; now and then none has data, rarely one is larger than a segment. */
function entriesFrom(random: Random, first: number, term: number, isLarge: boolean): Entry[] {
  return Array.from({ length: randomBetween(random, 1, 4) }, (_, at) => {
    const length = isLarge && at === 0 ? segmentBytes + 100 : Math.max(0, randomBetween(random, -40, 160));
    return { index: first + at, term, type: EntryType.Normal, data: someBytes(random, length) };
  });
}

/** One operation that Raft could ask for in this state: nothing committed is replaced, no term falls. */
function operate(twin: Twin, random: Random, id: ShardId, group: GroupState): void {
  const { base, hardState, entries } = group;
  const last = lastIndexOf(group);
  const term = Math.max(hardState.currentTerm, 1);
  const committed = Math.max(hardState.commitIndex, base.index);
  const choice = randomBetween(random, 1, 100);
  if (choice <= 45) twin.append(id, entriesFrom(random, last + 1, term, choice === 1));
  else if (choice <= 58) {
    twin.hardState(id, { ...hardState, currentTerm: term + 1, votedFor: replicaId(randomBetween(random, 1, 3)) });
    // What was not committed gives way to the new leader's entries.
    if (committed < last)
      twin.append(id, entriesFrom(random, randomBetween(random, committed + 1, last), term + 1, false));
  } else if (choice <= 76) twin.hardState(id, { ...hardState, commitIndex: randomBetween(random, committed, last) });
  else if (choice <= 90) {
    const released = entries.filter(({ index }) => index <= committed).at(-1);
    if (released !== undefined) twin.release(id, snapshotAt(released.index, released.term));
  } else if (choice <= 96) {
    // Also one whose entry the log holds, with others after it.
    const held = choice <= 93 ? entries.find(({ index }) => index > committed) : undefined;
    const snapshot = held === undefined ? snapshotAt(last + 5, term) : snapshotAt(held.index, held.term);
    twin.snapshot(id, snapshot);
    twin.hardState(id, { ...hardState, commitIndex: Math.max(snapshot.index, hardState.commitIndex) });
  } else if (choice <= 98) twin.remove(id);
  else twin.begin(id, replicaId(randomBetween(random, 1, 3)), snapshotAt(0, 0));
}

/** What an unfinished write leaves behind the last batch of a stopped log. */
function tearTail(directory: string): void {
  const last = batchesIn(readImage(directory)).at(-1);
  if (last === undefined) return;
  const path = join(directory, last.name);
  truncateSync(path, last.end);
  appendFileSync(path, Buffer.from('BTCH unfinished'));
}

/** The real disk; `quiet` waits for the removals and creations that a closed log leaves under way, as a dead process would not. */
function watchedDisk(): { readonly disk: Disk; readonly quiet: () => Promise<void> } {
  const real = nodeDisk();
  const underway = new Set<Promise<unknown>>();
  const watched = <T>(work: Promise<T>): Promise<T> => {
    underway.add(work);
    const done = (): void => void underway.delete(work);
    work.then(done, done);
    return work;
  };
  return {
    disk: {
      ...real,
      create: (path, sizeBytes) => watched(real.create(path, sizeBytes)),
      remove: (path) => watched(real.remove(path)),
      rename: (from, to) => watched(real.rename(from, to)),
    },
    async quiet() {
      do {
        await Promise.allSettled(underway);
        await new Promise((resolve) => setImmediate(resolve));
      } while (underway.size > 0);
    },
  };
}

/** `commits` batches; about every twentieth is followed by a restart, every other of these over a torn tail. */
export function writeHistory(random: Random, commits: number): Promise<readonly Milestone[]> {
  return inDirectory('log', async (directory) => {
    const { disk, quiet } = watchedDisk();
    const open = () => openWal(disk, { directory, segmentBytes, clock: systemClock });
    let wal = await open();
    const twin = new Twin(wal);
    for (const id of shards) twin.begin(id, replicaId(1), snapshotAt(0, 0));
    const milestones: Milestone[] = [];
    for (let commit = 1; commit <= commits; commit++) {
      for (let step = randomBetween(random, 1, 3); step > 0; step--) {
        const id = shards[randomBetween(random, 0, shards.length - 1)] as ShardId;
        const group = twin.of(id);
        if (group === undefined) twin.begin(id, replicaId(2), snapshotAt(0, 0));
        else operate(twin, random, id, group);
      }
      // A commit without a record writes no batch: this one is there at least.
      const [some] = twin.state;
      if (some !== undefined) twin.hardState(some[0], some[1].hardState);
      await new Promise<void>((resolve, reject) => wal.commit((error) => (error ? reject(error) : resolve())));
      milestones.push({ image: readImage(directory), state: twin.state });
      if (randomBetween(random, 1, 20) > 1) continue;
      await wal.close();
      await quiet();
      if (randomBetween(random, 1, 2) === 1) tearTail(directory);
      wal = await open();
      twin.reopened(wal);
    }
    await wal.close();
    await quiet();
    return milestones;
  });
}
