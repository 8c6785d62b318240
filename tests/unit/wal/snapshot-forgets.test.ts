/**
 * A bug `npm run crash:log` found: a snapshot record kept the entries after it when the log held its entry, and whether
 * it did was decided again at every start, from what could still be read. With the record that held the entry deleted or
 * damaged, acknowledged entries were gone: silently after damage, since a snapshot that replaces a log also heals it.
 * Now a snapshot forgets everything, as the Raft core does; to keep what follows there is `release`.
 */
import test from 'ava';
import { replicaId } from '../../../src/base/index.js';
import { MemoryDisk } from '../../support/memory-disk.js';
import { committed, entriesOf, openLog, settled, shard, snapshotAt, textsOf } from '../../support/wal-calls.js';

const [one, two] = [shard(1), shard(2)];
const segmentBytes = 700;

/** A log of `one` whose first entries were rewritten in the second segment, then its start forgotten. */
async function rewrittenLog(forget: 'release' | 'appendSnapshot') {
  const disk = new MemoryDisk();
  const wal = await openLog(disk, { segmentBytes });
  wal.appendGroup(two, replicaId(1), snapshotAt(0, 0));
  wal.appendGroup(one, replicaId(1), snapshotAt(0, 0));
  wal.appendEntries(one, entriesOf(1, ['a', 'b', 'c']));
  wal.appendEntries(two, entriesOf(1, ['x'.repeat(500)]));
  await committed(wal);
  wal.appendEntries(one, entriesOf(3, ['C', 'D', 'E'], 2));
  wal.appendEntries(two, entriesOf(2, ['x'.repeat(400)]));
  await committed(wal);
  wal[forget](one, snapshotAt(2, 1));
  wal.release(two, snapshotAt(2));
  await committed(wal);
  const early = MemoryDisk.of(disk.image());
  for (let index = 3; index <= 8; index++) {
    wal.appendEntries(two, entriesOf(index, ['x'.repeat(400)]));
    wal.release(two, snapshotAt(index));
    await committed(wal);
    await settled();
  }
  return { early, disk };
}

for (const [forget, kept] of [
  ['release', ['3:C', '4:D', '5:E']],
  ['appendSnapshot', []],
] as const) {
  test(`${forget}: what stays does not depend on segments that are gone`, async (t) => {
    const { early, disk } = await rewrittenLog(forget);
    t.true(disk.counts.removes > 0, 'the first segment went');
    disk.crash();
    for (const each of [early, disk]) {
      const { recovered, damage } = await openLog(each, { segmentBytes });
      t.is(damage, undefined);
      t.is(recovered.get(one)?.damage, undefined);
      t.deepEqual(textsOf(recovered.get(one)), kept);
    }
  });
}

test('damage in what a snapshot forgets loses nothing after it', async (t) => {
  const disk = new MemoryDisk();
  const wal = await openLog(disk);
  wal.appendGroup(one, replicaId(1), snapshotAt(0, 0));
  wal.appendEntries(one, entriesOf(1, ['a', 'held', 'after']));
  await committed(wal);
  disk.crash();
  const next = await openLog(disk);
  next.appendSnapshot(one, snapshotAt(2, 1));
  await committed(next);
  const undamaged = (await openLog(MemoryDisk.of(disk.image()))).recovered.get(one);
  const [path, bytes] = [...disk.image()].find(([, each]) => each.includes('held')) as [string, Buffer];
  disk.flipBit(path, bytes.indexOf('held') * 8);
  disk.crash();
  const damaged = (await openLog(disk)).recovered.get(one);
  t.true(damaged?.damage !== undefined || textsOf(damaged).join() === textsOf(undamaged).join());
});

test('a snapshot forgets how far a log of the same shard was committed that ended unseen, in damage', async (t) => {
  const disk = new MemoryDisk();
  let wal = await openLog(disk);
  wal.appendGroup(one, replicaId(1), snapshotAt(0, 0));
  wal.appendEntries(one, entriesOf(1, ['a', 'b', 'c', 'd', 'e', 'f']), 6);
  await committed(wal);
  wal.appendTombstone(one);
  wal.appendGroup(one, replicaId(2), snapshotAt(0, 0));
  wal.appendEntries(one, entriesOf(1, ['damaged']));
  await committed(wal);
  disk.crash();
  // In a segment of its own: nothing of one is read behind what is damaged in it.
  wal = await openLog(disk);
  wal.appendSnapshot(one, snapshotAt(2, 1));
  wal.appendEntries(one, entriesOf(3, ['kept']), 2);
  await committed(wal);
  const [path, bytes] = [...disk.image()].find(([, each]) => each.includes('damaged')) as [string, Buffer];
  disk.flipBit(path, bytes.indexOf('damaged') * 8);
  disk.crash();
  const found = (await openLog(disk)).recovered.get(one);
  t.is(found?.hardState.commitIndex, 2);
  t.is(found?.damage, undefined);
  t.deepEqual(textsOf(found), ['3:kept']);
});
