/**
 * Goal: what came after damage stays readable while the damaged segment is set aside, one file after another, and a
 * crash comes in between. Method: a log with a flipped bit in the middle whose groups were begun anew; then every state
 * of the directory that letting go of old segments, from the front, passes through.
 */
import test from 'ava';
import { replicaId } from '../../../src/base/index.js';
import { MemoryDisk } from '../../support/memory-disk.js';
import { committed, entriesOf, openLog, settled, shard, snapshotAt, textsOf } from '../../support/wal-calls.js';

const one = shard(1);
const two = shard(2);
/** Never released: it keeps every segment. */
const keeper = shard(3);
const segmentBytes = 700;
const first = replicaId(1);
const second = replicaId(70_000);

/** That hold batches. */
const segmentsOf = (disk: MemoryDisk): string[] =>
  [...disk.image()].flatMap(([path, bytes]) => (bytes.includes('BTCH') ? [path] : [])).sort();

/** `before` batches, a bit flipped in the segment in their middle, then both groups begun anew and `after` batches. */
async function rebuiltLog(before: number, after: number) {
  const disk = new MemoryDisk();
  const wal = await openLog(disk, { segmentBytes });
  wal.appendGroup(one, first, snapshotAt(0, 0));
  wal.appendGroup(two, first, snapshotAt(0, 0));
  wal.appendGroup(keeper, first, snapshotAt(0, 0));
  for (let index = 1; index <= before; index++) {
    // Bases in the middle: the log reads as the old replicas' from any segment on that has one.
    if (index % 3 === 0) for (const group of [one, two]) wal.release(group, snapshotAt(index - 1, 1));
    for (const group of [one, two]) wal.appendEntries(group, entriesOf(index, [`old ${index}`]));
    await committed(wal);
  }
  await settled();
  disk.crash();
  const segments = segmentsOf(disk);
  const damaged = segments[Math.floor(segments.length / 2)] as string;
  disk.flipBit(damaged, 8 * 100);
  // All of them stay for now.
  disk.failRemove = (path) => segments.includes(path);
  const again = await openLog(disk, { segmentBytes });
  for (const group of [one, two, keeper]) again.appendGroup(group, second, snapshotAt(0, 0));
  await committed(again);
  for (let index = 1; index <= after; index++) {
    for (const group of [one, two]) again.appendEntries(group, entriesOf(index, [`new ${index}`]));
    await committed(again);
  }
  await settled();
  disk.crash();
  return { disk, damaged, old: segments };
}

test('a crash while damaged segments are let go one after another never brings back the replicas they held', async (t) => {
  for (const after of [1, 3, 12]) {
    const { disk, damaged, old } = await rebuiltLog(20, after);
    t.true(old.indexOf(damaged) < old.length - 2, 'whole segments follow the damaged one');
    for (let gone = 0; gone <= old.length; gone++) {
      const image = new Map(disk.image());
      for (const path of old.slice(0, gone)) {
        if (path === damaged) image.set(`${path}.damaged`, image.get(path) as Buffer);
        image.delete(path);
      }
      // Twice: what the first start does to the files must not matter to the second.
      const left = MemoryDisk.of(image);
      for (const start of ['first', 'second']) {
        const { recovered } = await openLog(left, { segmentBytes });
        for (const group of [one, two]) {
          const found = recovered.get(group);
          const state = `${after} batches after, ${gone} of ${old.length} gone, ${start} start`;
          t.is(found?.replicaId, second, state);
          t.is(found?.damage, undefined, state);
          t.is(textsOf(found).length, after, state);
        }
        left.crash();
      }
    }
  }
});
