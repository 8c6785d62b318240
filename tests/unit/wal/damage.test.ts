/** What recovery makes of cut and corrupted logs (RAFT-PITFALLS 35; "Protocol-Aware Recovery", FAST'18). */
import test from 'ava';
import { randomBetween, replicaId, seededRandom } from '../../../src/base/index.js';
import { MemoryDisk } from '../../support/memory-disk.js';
import {
  committed,
  entriesOf,
  openLog,
  settled,
  shard,
  snapshotAt,
  textsOf,
  walDirectory,
} from '../../support/wal-calls.js';

const one = shard(1);
const two = shard(2);
const segmentBytes = 700;
const seed = Number(process.env.TEST_SEED ?? Date.now() % 1_000_000);

type Acknowledged = { readonly segment: string; readonly end: number; readonly texts: readonly string[] };

/** A log of `batches` batches, with what was acknowledged when each was durable and where its bytes end. */
async function writtenLog(batches: number) {
  const disk = new MemoryDisk();
  const wal = await openLog(disk, { segmentBytes });
  wal.appendGroup(one, replicaId(1), snapshotAt(0, 0));
  wal.appendGroup(two, replicaId(2), snapshotAt(0, 0));
  await committed(wal);
  const acknowledged: Acknowledged[] = [];
  const texts: string[] = [];
  for (let index = 1; index <= batches; index++) {
    const text = `entry ${index} `.repeat(1 + (index % 3));
    wal.appendEntries(one, entriesOf(index, [text]));
    if (index % 4 === 0) wal.appendHardState(two, { currentTerm: index, votedFor: replicaId(1), commitIndex: 0 });
    const before = disk.image();
    await committed(wal);
    texts.push(`${index}:${text}`);
    const [segment, bytes] = [...disk.image()].find(
      ([path, now]) => !now.equals(before.get(path) ?? Buffer.alloc(0)) && now.some((byte) => byte !== 0),
    ) as [string, Buffer];
    let end = bytes.length;
    while (bytes[end - 1] === 0) end--;
    acknowledged.push({ segment, end, texts: [...texts] });
  }
  await settled();
  return { image: disk.image(), acknowledged, texts };
}

const changed = (image: ReadonlyMap<string, Buffer>, path: string, change: (bytes: Buffer) => Buffer | undefined) => {
  const copy = new Map(image);
  const bytes = change(Buffer.from(copy.get(path) as Buffer));
  if (bytes === undefined) copy.delete(path);
  else copy.set(path, bytes);
  return MemoryDisk.of(copy);
};

test('every prefix of the last segment recovers all batches acknowledged before it, with no damage', async (t) => {
  const { image, acknowledged } = await writtenLog(14);
  const { segment, end } = acknowledged[acknowledged.length - 1] as Acknowledged;
  const inLast = acknowledged.filter((batch) => batch.segment === segment);
  t.true(inLast.length >= 2);
  const before = acknowledged.filter((batch) => batch.segment !== segment).pop() as Acknowledged;
  for (let cut = 32; cut <= end; cut++) {
    const disk = changed(image, segment, (bytes) => bytes.fill(0, cut));
    const wal = await openLog(disk, { segmentBytes });
    const expected = inLast.filter((batch) => batch.end <= cut).pop() ?? before;
    const found = textsOf(wal.recovered.get(one));
    t.is(wal.recovered.get(one)?.damage, undefined, `cut at ${cut}`);
    // Bytes that end in zero may be whole before their last byte is there.
    t.true(found.length >= expected.texts.length && found.length <= expected.texts.length + 1, `cut at ${cut}`);
    t.deepEqual(found.slice(0, expected.texts.length), expected.texts);
  }
});

test('pitfall 35: after any single flipped bit all acknowledged data are there or damage is reported', async (t) => {
  t.log(`seed ${seed}`);
  const random = seededRandom(seed);
  const { image, texts, acknowledged } = await writtenLog(30);
  const last = acknowledged[acknowledged.length - 1] as Acknowledged;
  const beforeLast = acknowledged[acknowledged.length - 2] as Acknowledged;
  const lastStart = beforeLast.segment === last.segment ? beforeLast.end : 32;
  const paths = [...image.keys()];
  let [whole, reported, cutLast] = [0, 0, 0];
  for (let flip = 0; flip < 400; flip++) {
    const path = paths[randomBetween(random, 0, paths.length - 1)] as string;
    const bit = randomBetween(random, 0, (image.get(path) as Buffer).length * 8 - 1);
    const disk = MemoryDisk.of(image);
    disk.flipBit(path, bit);
    const wal = await openLog(disk, { segmentBytes });
    const group = wal.recovered.get(one);
    const found = textsOf(group);
    if (group === undefined || group.damage !== undefined) {
      reported++;
      // The group may be gone only when another's damage, or a note, tells of it.
      t.true(group !== undefined || wal.notes.length > 0);
      continue;
    }
    if (found.length === texts.length) {
      whole++;
      t.deepEqual(found, texts);
      t.is(wal.recovered.get(two)?.damage, undefined);
      continue;
    }
    // The last batch cannot be told from a torn one; it is cut, and said so.
    cutLast++;
    t.is(path, last.segment);
    t.true(bit >>> 3 >= lastStart && bit >>> 3 < last.end + 8, `bit ${bit} of ${path}`);
    t.deepEqual(found, texts.slice(0, -1));
    t.true(wal.notes.length > 0);
  }
  t.log({ whole, reported, cutLast });
  t.true(whole > 0 && reported > 0);
});

test('pitfall 35: damage in the middle keeps the file as it is, restart after restart', async (t) => {
  const { image, acknowledged } = await writtenLog(20);
  const { segment, end } = acknowledged[3] as Acknowledged;
  const disk = MemoryDisk.of(image);
  disk.flipBit(segment, (end - 3) * 8);
  const before = disk.image().get(segment) as Buffer;
  for (let restart = 0; restart < 3; restart++) {
    const wal = await openLog(disk, { segmentBytes });
    t.regex(wal.recovered.get(one)?.damage ?? '', /does not read/);
    t.regex(wal.recovered.get(two)?.damage ?? '', /does not read/);
    t.deepEqual(disk.image().get(segment), before);
    wal.appendHardState(two, { currentTerm: 100 + restart, votedFor: replicaId(1), commitIndex: 0 });
    await committed(wal);
    disk.crash();
  }
});

test('a damaged group is whole again once a snapshot replaced its log', async (t) => {
  const { image, acknowledged } = await writtenLog(20);
  const { segment, end } = acknowledged[3] as Acknowledged;
  const disk = MemoryDisk.of(image);
  disk.flipBit(segment, (end - 3) * 8);
  const wal = await openLog(disk, { segmentBytes });
  wal.appendSnapshot(one, snapshotAt(50, 3));
  wal.appendEntries(one, entriesOf(51, ['new'], 3));
  await committed(wal);
  disk.crash();
  const { recovered } = await openLog(disk, { segmentBytes });
  t.is(recovered.get(one)?.damage, undefined);
  t.deepEqual(textsOf(recovered.get(one)), ['51:new']);
  t.not(recovered.get(two)?.damage, undefined);
});

test('pitfall 35: a segment missing in the middle is reported, for every group', async (t) => {
  const { image } = await writtenLog(20);
  const [, second] = [...image.keys()].sort();
  const disk = changed(image, second as string, () => undefined);
  const { recovered, notes } = await openLog(disk, { segmentBytes });
  t.regex(notes.join(), /missing/);
  t.not(recovered.get(one)?.damage, undefined);
  t.not(recovered.get(two)?.damage, undefined);
});

test('a last batch that goes missing below a known commit index is damage, not a torn tail', async (t) => {
  const disk = new MemoryDisk();
  const wal = await openLog(disk);
  wal.appendGroup(one, replicaId(1), snapshotAt(0, 0));
  wal.appendGroup(two, replicaId(1), snapshotAt(0, 0));
  wal.appendHardState(one, { currentTerm: 1, votedFor: replicaId(1), commitIndex: 2 });
  await committed(wal);
  wal.appendEntries(one, entriesOf(1, ['a', 'b']));
  await committed(wal);
  const [path, bytes] = [...disk.image()].find(([name]) => name.startsWith(walDirectory)) as [string, Buffer];
  disk.flipBit(path, bytes.lastIndexOf('b') * 8);
  disk.crash();
  const { recovered } = await openLog(disk);
  t.regex(recovered.get(one)?.damage ?? '', /known committed/);
  t.is(recovered.get(two)?.damage, undefined);
});
