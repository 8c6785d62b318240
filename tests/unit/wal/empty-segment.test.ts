/**
 * A bug `npm run crash` found: a node that was killed after its first write since a start had been too large for the
 * fresh segment refused to start ("segments of the log are missing"). The fresh segment stayed empty, the write went
 * to the next one, and the start after that deleted the empty one as if it had been made ahead of its use.
 */
import test from 'ava';
import { replicaId } from '../../../src/base/index.js';
import { MemoryDisk } from '../../support/memory-disk.js';
import { committed, entriesOf, openLog, segmentNames, shard, snapshotAt, textsOf } from '../../support/wal-calls.js';

const one = shard(1);
const segmentBytes = 1000;
const large = 'x'.repeat(2 * segmentBytes);

test('a fresh segment left empty by a first write too large for it is no gap, start after start', async (t) => {
  const disk = new MemoryDisk();
  let wal = await openLog(disk, { segmentBytes });
  wal.appendGroup(one, replicaId(1), snapshotAt(0, 0));
  await committed(wal);
  const texts: string[] = [];
  for (let start = 1; start <= 4; start++) {
    disk.crash();
    wal = await openLog(disk, { segmentBytes });
    t.is(wal.damage, undefined);
    t.is(wal.recovered.get(one)?.damage, undefined);
    t.deepEqual(textsOf(wal.recovered.get(one)), texts);
    if (start === 3) continue;
    wal.appendEntries(one, entriesOf(texts.length + 1, [large]));
    await committed(wal);
    texts.push(`${texts.length + 1}:${large}`);
  }
  const names = await segmentNames(disk);
  t.deepEqual(
    names,
    names.map((_, at) => (names[0] as number) + at),
    'numbers have no gaps',
  );
});

test('a segment with data that goes missing between two others is still reported', async (t) => {
  const disk = new MemoryDisk();
  const wal = await openLog(disk, { segmentBytes });
  wal.appendGroup(one, replicaId(1), snapshotAt(0, 0));
  await committed(wal);
  for (let index = 1; index <= 3; index++) {
    wal.appendEntries(one, entriesOf(index, [large]));
    await committed(wal);
  }
  const [first, ...rest] = [...disk.image()].sort(([a], [b]) => (a < b ? -1 : 1));
  const emptied = new Map([first as [string, Buffer], ...rest]);
  const [path, bytes] = rest[0] as [string, Buffer];
  // Its header alone is left, as in a segment that was never used: the numbers of the batches tell.
  emptied.set(path, Buffer.from(bytes).fill(0, 24));
  const { recovered } = await openLog(MemoryDisk.of(emptied), { segmentBytes });
  t.not(recovered.get(one)?.damage, undefined);
});
