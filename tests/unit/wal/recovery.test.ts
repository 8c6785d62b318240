import test from 'ava';
import { replicaId } from '../../../src/base/index.js';
import { MemoryDisk } from '../../support/memory-disk.js';
import {
  committed,
  entriesOf,
  openLog,
  segmentNames,
  settled,
  shard,
  snapshotAt,
  textsOf,
} from '../../support/wal-calls.js';

const one = shard(1);
const two = shard(2);

test('pitfall 3: groups come back with vote, base and entries after each of several restarts', async (t) => {
  const disk = new MemoryDisk();
  let wal = await openLog(disk);
  wal.appendGroup(one, replicaId(11), snapshotAt(0, 0));
  wal.appendGroup(two, replicaId(12), snapshotAt(5, 2));
  wal.appendHardState(one, { currentTerm: 4, votedFor: replicaId(3), commitIndex: 0 });
  wal.appendEntries(one, entriesOf(1, ['a', 'b', '']));
  wal.appendEntries(two, entriesOf(6, ['x'], 3));
  await committed(wal);
  for (let restart = 0; restart < 4; restart++) {
    disk.crash();
    wal = await openLog(disk);
    const first = wal.recovered.get(one);
    t.deepEqual(first?.hardState, { currentTerm: 4, votedFor: replicaId(3), commitIndex: 0 });
    t.is(first?.replicaId, replicaId(11));
    t.deepEqual(textsOf(first), ['1:a', '2:b', '3:']);
    t.is(first?.damage, undefined);
    const second = wal.recovered.get(two);
    t.deepEqual(second?.snapshot, snapshotAt(5, 2));
    t.deepEqual(textsOf(second), ['6:x']);
    t.is(second?.damage, undefined);
  }
});

test('a commit index comes back that went with entries alone, and a later hard state or release keeps it', async (t) => {
  const disk = new MemoryDisk();
  let wal = await openLog(disk);
  wal.appendGroup(one, replicaId(1), snapshotAt(0, 0));
  wal.appendHardState(one, { currentTerm: 2, votedFor: replicaId(3), commitIndex: 0 });
  wal.appendEntries(one, entriesOf(1, ['a', 'b', 'c', 'd']), 2);
  // Nothing new, and a hard state of before: the index never falls.
  wal.appendEntries(one, entriesOf(5, ['e']));
  wal.appendHardState(one, { currentTerm: 4, votedFor: replicaId(1), commitIndex: 1 });
  await committed(wal);
  disk.crash();
  wal = await openLog(disk);
  t.deepEqual(wal.recovered.get(one)?.hardState, { currentTerm: 4, votedFor: replicaId(1), commitIndex: 2 });
  wal.appendEntries(one, entriesOf(6, ['f']), 5);
  wal.release(one, snapshotAt(3));
  await committed(wal);
  disk.crash();
  wal = await openLog(disk);
  t.deepEqual(wal.recovered.get(one)?.hardState, { currentTerm: 4, votedFor: replicaId(1), commitIndex: 5 });
  t.throws(() => wal.appendEntries(one, entriesOf(7, ['g']), 8), { message: /in the log/ });
});

test('rewriting a suffix truncates what was after it, also across a restart', async (t) => {
  const disk = new MemoryDisk();
  const wal = await openLog(disk);
  wal.appendGroup(one, replicaId(1), snapshotAt(0, 0));
  wal.appendEntries(one, entriesOf(1, ['a', 'b', 'c', 'd']));
  await committed(wal);
  wal.appendEntries(one, entriesOf(2, ['B'], 2));
  await committed(wal);
  disk.crash();
  const again = await openLog(disk);
  t.deepEqual(textsOf(again.recovered.get(one)), ['1:a', '2:B']);
  again.appendEntries(one, entriesOf(1, ['A'], 3));
  await committed(again);
  disk.crash();
  t.deepEqual(textsOf((await openLog(disk)).recovered.get(one)), ['1:A']);
});

test('a snapshot forgets the whole log, whether or not it held its entry', async (t) => {
  const disk = new MemoryDisk();
  const wal = await openLog(disk);
  for (const id of [one, two]) {
    wal.appendGroup(id, replicaId(1), snapshotAt(0, 0));
    wal.appendEntries(id, entriesOf(1, ['a', 'b', 'c']));
  }
  wal.appendSnapshot(one, snapshotAt(2, 1));
  wal.appendSnapshot(two, snapshotAt(2, 7));
  await committed(wal);
  disk.crash();
  const { recovered } = await openLog(disk);
  t.deepEqual(textsOf(recovered.get(one)), []);
  t.deepEqual(recovered.get(one)?.snapshot, snapshotAt(2, 1));
  t.deepEqual(textsOf(recovered.get(two)), []);
  t.deepEqual(recovered.get(two)?.snapshot, snapshotAt(2, 7));
});

test('a tombstone removes a group, and its shard may begin anew', async (t) => {
  const disk = new MemoryDisk();
  const wal = await openLog(disk);
  wal.appendGroup(one, replicaId(1), snapshotAt(0, 0));
  wal.appendEntries(one, entriesOf(1, ['a']));
  wal.appendHardState(one, { currentTerm: 9, votedFor: replicaId(2), commitIndex: 1 });
  wal.appendTombstone(one);
  wal.appendGroup(two, replicaId(1), snapshotAt(0, 0));
  wal.appendTombstone(two);
  wal.appendGroup(two, replicaId(2), snapshotAt(0, 0));
  await committed(wal);
  disk.crash();
  const { recovered } = await openLog(disk);
  t.false(recovered.has(one));
  t.is(recovered.get(two)?.replicaId, replicaId(2));
  t.deepEqual(recovered.get(two)?.hardState, { currentTerm: 0, votedFor: replicaId(0), commitIndex: 0 });
});

test('a full segment rolls; a batch larger than a segment gets one of its own', async (t) => {
  const disk = new MemoryDisk();
  const wal = await openLog(disk, { segmentBytes: 1000 });
  wal.appendGroup(one, replicaId(1), snapshotAt(0, 0));
  const texts: string[] = [];
  for (let index = 1; index <= 30; index++) {
    const text = String(index).repeat(index === 20 ? 4000 : 60);
    wal.appendEntries(one, entriesOf(index, [text]));
    await committed(wal);
    texts.push(`${index}:${text}`);
  }
  t.true(wal.statistics.segments > 4);
  disk.crash();
  const group = (await openLog(disk, { segmentBytes: 1000 })).recovered.get(one);
  t.deepEqual(textsOf(group), texts);
  t.is(group?.damage, undefined);
});

test('released segments go, from the front, and what is needed stays', async (t) => {
  const disk = new MemoryDisk();
  const wal = await openLog(disk, { segmentBytes: 1000 });
  wal.appendGroup(one, replicaId(1), snapshotAt(0, 0));
  wal.appendGroup(two, replicaId(2), snapshotAt(0, 0));
  wal.appendHardState(two, { currentTerm: 3, votedFor: replicaId(2), commitIndex: 0 });
  const write = async (index: number): Promise<void> => {
    wal.appendEntries(one, entriesOf(index, ['x'.repeat(100)]));
    await committed(wal);
  };
  for (let index = 1; index <= 40; index++) await write(index);
  wal.release(one, snapshotAt(38));
  t.true(wal.segmentsBehind(one) <= 1);
  for (let index = 41; index <= 60; index++) await write(index);
  await settled();
  t.is((await segmentNames(disk))[0], 1, 'the quiet group pins the first segment');
  t.true(wal.segmentsBehind(two) > 3);
  wal.release(two, snapshotAt(0, 0));
  for (let index = 61; index <= 80; index++) await write(index);
  await settled();
  const names = await segmentNames(disk);
  t.true((names[0] as number) > 3, `still there: ${names}`);
  t.deepEqual(
    names,
    names.map((_, at) => (names[0] as number) + at),
  );
  disk.crash();
  const { recovered } = await openLog(disk, { segmentBytes: 1000 });
  t.is(recovered.get(one)?.damage, undefined);
  t.deepEqual(
    recovered.get(one)?.entries.map(({ index }) => index),
    Array.from({ length: 42 }, (_, at) => 39 + at),
  );
  t.deepEqual(recovered.get(two)?.hardState, { currentTerm: 3, votedFor: replicaId(2), commitIndex: 0 });
  t.is(recovered.get(two)?.damage, undefined);
});

test('pitfall 3: a segment goes only after what replaces its records is durable', async (t) => {
  const disk = new MemoryDisk();
  const wal = await openLog(disk, { segmentBytes: 600 });
  wal.appendGroup(one, replicaId(1), snapshotAt(0, 0));
  wal.appendHardState(one, { currentTerm: 7, votedFor: replicaId(2), commitIndex: 0 });
  wal.appendEntries(one, entriesOf(1, ['x'.repeat(300)]));
  await committed(wal);
  await settled();
  // Replaces all the first segment holds, and does not fit into it.
  wal.appendEntries(one, entriesOf(2, ['y'.repeat(220)]));
  wal.release(one, snapshotAt(1));
  await committed(wal);
  // More than half full, the next segment is made ahead; then the log rolls into it at once.
  wal.appendHardState(one, { currentTerm: 7, votedFor: replicaId(2), commitIndex: 1 });
  await committed(wal);
  await settled();
  t.true((await segmentNames(disk)).length >= 2, 'the next segment is there');
  const large = entriesOf(3, ['z'.repeat(300)]);
  wal.release(one, snapshotAt(2));
  wal.appendHardState(one, { currentTerm: 8, votedFor: replicaId(1), commitIndex: 2 });
  wal.appendEntries(one, large);
  await settled();
  // The removal of a segment may be durable long before a write that was asked for at the same time.
  disk.hold('writes');
  wal.commit(() => t.fail('not durable before the crash'));
  await settled(50);
  disk.crash();
  const group = (await openLog(disk, { segmentBytes: 600 })).recovered.get(one);
  t.is(group?.damage, undefined);
  t.deepEqual(group?.hardState, { currentTerm: 7, votedFor: replicaId(2), commitIndex: 1 });
  t.is(group?.entries[group.entries.length - 1]?.index, 2);
});

test('entries that stay after a release keep their segment', async (t) => {
  const disk = new MemoryDisk();
  const wal = await openLog(disk, { segmentBytes: 600 });
  wal.appendGroup(two, replicaId(2), snapshotAt(0, 0));
  wal.appendGroup(one, replicaId(1), snapshotAt(0, 0));
  wal.appendEntries(one, entriesOf(1, ['a', 'b', 'c', 'd']));
  await committed(wal);
  for (let index = 1; index <= 20; index++) {
    if (index === 5) wal.release(one, snapshotAt(2, 1));
    wal.appendEntries(two, entriesOf(index, ['x'.repeat(200)]));
    await committed(wal);
    wal.release(two, snapshotAt(index - 1));
  }
  await settled();
  disk.crash();
  const group = (await openLog(disk, { segmentBytes: 600 })).recovered.get(one);
  t.is(group?.damage, undefined);
  t.deepEqual(textsOf(group), ['3:c', '4:d']);
});

test('a removal that fails leaves no gap between segments', async (t) => {
  const disk = new MemoryDisk();
  const wal = await openLog(disk, { segmentBytes: 600 });
  disk.failRemove = (path) => path.endsWith('2.log');
  wal.appendGroup(one, replicaId(1), snapshotAt(0, 0));
  for (let index = 1; index <= 30; index++) {
    wal.appendEntries(one, entriesOf(index, ['x'.repeat(200)]));
    await committed(wal);
    wal.release(one, snapshotAt(index - 1));
  }
  await committed(wal);
  await settled();
  const names = await segmentNames(disk);
  t.is(names[0], 2);
  disk.crash();
  disk.failRemove = undefined;
  const group = (await openLog(disk, { segmentBytes: 600 })).recovered.get(one);
  t.is(group?.damage, undefined);
  t.is(group?.snapshot.index, 29);
});

test('a first write of a segment that was torn leaves no gap, however often it happens', async (t) => {
  const disk = new MemoryDisk();
  let wal = await openLog(disk);
  wal.appendGroup(one, replicaId(1), snapshotAt(0, 0));
  wal.appendEntries(one, entriesOf(1, ['a']));
  await committed(wal);
  let last = 1;
  for (let crash = 0; crash < 4; crash++) {
    disk.crash();
    wal = await openLog(disk);
    disk.hold();
    wal.appendEntries(one, entriesOf(last + 1, ['never']));
    wal.commit(() => t.fail('never durable'));
    disk.crash(30);
    wal = await openLog(disk);
    t.is(wal.recovered.get(one)?.damage, undefined);
    t.is(wal.recovered.get(one)?.entries.length, last);
    wal.appendEntries(one, entriesOf(++last, ['b']));
    await committed(wal);
  }
  disk.crash();
  const group = (await openLog(disk)).recovered.get(one);
  t.is(group?.damage, undefined);
  t.is(group?.entries.length, last);
});

test('a release below an earlier one changes nothing: the log has no gap at the next start (simulation, seed 2390)', async (t) => {
  const disk = new MemoryDisk();
  const wal = await openLog(disk);
  wal.appendGroup(shard(1), replicaId(1), snapshotAt(0, 0));
  wal.appendEntries(shard(1), entriesOf(1, ['a', 'b', 'c', 'd']));
  await committed(wal);
  wal.release(shard(1), snapshotAt(3));
  await committed(wal);
  wal.release(shard(1), snapshotAt(1));
  await committed(wal);
  disk.crash();
  const recovered = (await openLog(disk)).recovered.get(shard(1));
  t.is(recovered?.damage, undefined);
  t.is(recovered?.snapshot.index, 3);
  t.deepEqual(textsOf(recovered), ['4:d']);
});
