/**
 * Goal: a file that was a segment before is as good as a new one: nothing of its earlier use is ever read, wherever a write was torn or
 * a bit flipped, and neither is it taken for damage. Method: a log on the simulated disk whose batches are all of one size, so that
 * what stood in the file before stands exactly where records are expected; its last write is torn in every way a disk may tear it.
 */
import test, { type ExecutionContext } from 'ava';
import { replicaId } from '../../../src/base/index.js';
import type { Wal } from '../../../src/wal/index.js';
import {
  batchHeaderBytes,
  decodeBatchHeader,
  decodeSegmentHeader,
  recordHeaderBytes,
} from '../../../src/wal/record.js';
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

const groups = [shard(1), shard(2)];
const segmentBytes = 2400;
const replica = replicaId(1);

const textOf = (index: number): string => `entry ${String(index).padStart(6, '0')} ${'x'.repeat(40)}`;

/** One batch with an entry of each group. */
async function append(wal: Wal, index: number): Promise<void> {
  for (const group of groups) wal.appendEntries(group, entriesOf(index, [textOf(index)]));
  await committed(wal);
}

async function begun(disk = new MemoryDisk()): Promise<{ readonly disk: MemoryDisk; readonly wal: Wal }> {
  const wal = await openLog(disk, { segmentBytes });
  for (const group of groups) wal.appendGroup(group, replica, snapshotAt(0, 0));
  await committed(wal);
  return { disk, wal };
}

/** Appends, and lets go of what is older than a few entries now and then. */
async function appendMany(wal: Wal, from: number, to: number, releaseEvery = 10): Promise<void> {
  for (let index = from; index <= to; index++) {
    if (index % releaseEvery === 0) for (const group of groups) wal.release(group, snapshotAt(index - 4));
    await append(wal, index);
    await settled(3);
  }
}

type Image = ReadonlyMap<string, Buffer>;
const segmentsIn = (image: Image): string[] => [...image.keys()].filter((path) => path.includes('/wal-')).sort();
const sparesIn = (image: Image): string[] => [...image.keys()].filter((path) => path.includes('/spare-'));
const isReused = (bytes: Buffer | undefined): boolean =>
  bytes !== undefined && (decodeSegmentHeader(bytes)?.from ?? 0) > 0;

/** The last batch of a log whose last segment was one before, where one with records of the same lengths stood. */
async function lastWrite() {
  const { disk, wal } = await begun();
  let index = 60;
  await appendMany(wal, 1, index, 1);
  for (;;) {
    const before = disk.image();
    await appendMany(wal, ++index, index, 1);
    await settled();
    const after = disk.image();
    for (const path of segmentsIn(after)) {
      const [old, now] = [before.get(path), after.get(path) as Buffer];
      if (old === undefined || now.equals(old) || !isReused(old)) continue;
      const start = now.lastIndexOf('BTCH', firstDifference(old, now));
      const [was, is] = [decodeBatchHeader(old, start), decodeBatchHeader(now, start)];
      if (start < 900 || is === undefined || was?.bytes !== is.bytes) continue;
      const bounds = [start, start + batchHeaderBytes];
      const end = start + batchHeaderBytes + is.bytes;
      for (let at = start + batchHeaderBytes; at < end; bounds.push(at)) at += recordHeaderBytes + now.readUInt32BE(at);
      return { before, after, path, start, end, bounds, index };
    }
  }
}

function firstDifference(one: Buffer, other: Buffer): number {
  let at = 0;
  while (one[at] === other[at]) at++;
  return at;
}

async function check(t: ExecutionContext, image: Image, lasts: readonly number[], what: string): Promise<number> {
  const disk = MemoryDisk.of(image);
  let last = 0;
  for (const start of ['first', 'second']) {
    const wal = await openLog(disk, { segmentBytes });
    t.is(wal.damage, undefined, `${what}, ${start} start`);
    for (const group of groups) {
      const found = wal.recovered.get(group);
      const texts = textsOf(found);
      t.is(found?.damage, undefined, `${what}, ${start} start`);
      last = (found?.snapshot.index ?? 0) + texts.length;
      t.true(lasts.includes(last), `${what}, ${start} start: up to ${last}`);
      texts.forEach((text, at) => {
        const index = last - texts.length + 1 + at;
        if (text !== `${index}:${textOf(index)}`) t.fail(`${what}, ${start} start: ${text} at ${index}`);
      });
    }
    await wal.close();
    disk.crash();
  }
  return last;
}

test('a torn write over an earlier use of the file is there as a whole or not at all, however it was torn', async (t) => {
  const { before, after, path, start, end, bounds, index } = await lastWrite();
  const [old, now] = [before.get(path) as Buffer, after.get(path) as Buffer];
  t.is(await check(t, before, [index - 1], 'not written'), index - 1);
  t.is(await check(t, after, [index], 'written'), index);
  const torn = async (from: number, to: number, what: string): Promise<void> => {
    // What is between the two did not reach the disk.
    const bytes = Buffer.from(now);
    old.copy(bytes, from, from, to);
    await check(t, new Map(before).set(path, bytes), bytes.equals(now) ? [index] : [index - 1], what);
  };
  for (let cut = start; cut < end; cut++) {
    await torn(cut, end, `cut at ${cut}`);
    await torn(start, cut + 1, `all but what is before ${cut + 1}`);
    await torn(cut, Math.min(end, cut + 16), `16 bytes missing at ${cut}`);
  }
  t.is(bounds.length, 8, 'releases, hard states and entries of both groups');
  for (const [at, from] of bounds.entries()) {
    for (const to of bounds.slice(at + 1)) {
      await torn(from, to, `records as they stood there before, from ${from} to ${to}`);
    }
  }
  const bytes = Buffer.from(now);
  old.copy(bytes, end - 60, end - 60, end);
  const disk = MemoryDisk.of(new Map(before).set(path, bytes));
  const { notes } = await openLog(disk, { segmentBytes });
  t.regex(notes.join(), /cut an unfinished write/);
});

test('after a flipped bit in a file that was used before all that was acknowledged is there, or damage is reported', async (t) => {
  const { after, path, start, index } = await lastWrite();
  const bytes = after.get(path) as Buffer;
  const seen = { exact: 0, reported: 0, lastCut: 0 };
  for (let bit = 0; bit < bytes.length * 8; bit += 3) {
    const disk = MemoryDisk.of(after);
    disk.flipBit(path, bit);
    const wal = await openLog(disk, { segmentBytes });
    const found = groups.map((group) => wal.recovered.get(group));
    if (found.some((group) => group === undefined || group.damage !== undefined)) {
      seen.reported++;
      continue;
    }
    const lasts = found.map((group) => (group?.snapshot.index ?? 0) + textsOf(group).length);
    if (lasts.every((last) => last === index)) seen.exact++;
    else {
      seen.lastCut++;
      t.deepEqual(lasts, [index - 1, index - 1]);
      t.true(bit >>> 3 >= start - 24, `bit ${bit}`);
    }
  }
  t.log(seen);
  t.true(Object.values(seen).every((count) => count > 0));
});

test('files of segments that nobody needs become the next ones: none is made any more, and few wait', async (t) => {
  const { disk, wal } = await begun();
  await appendMany(wal, 1, 60, 3);
  const { creates } = disk.counts;
  await appendMany(wal, 61, 400, 3);
  t.is(disk.counts.creates, creates);
  t.true(sparesIn(disk.image()).length <= 4);
  t.true(segmentsIn(disk.image()).length < 12);
  disk.crash();
  t.is(await check(t, disk.image(), [400], 'after many uses'), 400);
});

test('files that wait to be used again are removed by the next start', async (t) => {
  const { disk, wal } = await begun();
  let index = 0;
  while (sparesIn(disk.image()).length === 0) await appendMany(wal, ++index, index);
  disk.crash();
  await openLog(disk, { segmentBytes });
  await settled();
  t.deepEqual(sparesIn(disk.image()), []);
});

test('however many segments go at once, few of their files wait', async (t) => {
  const { disk, wal } = await begun();
  await appendMany(wal, 1, 90, 90);
  const { removes } = disk.counts;
  await appendMany(wal, 91, 120);
  t.true(sparesIn(disk.image()).length <= 4);
  t.true(disk.counts.removes > removes + 3);
});

test('a batch that is larger than a segment gets a file of its own', async (t) => {
  const { disk, wal } = await begun();
  let index = 0;
  while (sparesIn(disk.image()).length === 0) await appendMany(wal, ++index, index);
  const spares = sparesIn(disk.image());
  wal.appendEntries(groups[0] as (typeof groups)[number], entriesOf(index + 1, ['x'.repeat(3 * segmentBytes)]));
  await committed(wal);
  t.deepEqual(sparesIn(disk.image()), spares);
});

test('a segment made ahead of its use holds nothing, even where all others are gone', async (t) => {
  const { disk, wal } = await begun();
  let index = 60;
  await appendMany(wal, 1, index);
  const isAhead = (path: string): boolean => {
    const bytes = disk.image().get(path) as Buffer;
    const from = decodeSegmentHeader(bytes)?.from ?? 0;
    return from > 0 && (decodeBatchHeader(bytes, 32)?.number ?? from) < from;
  };
  while (!segmentsIn(disk.image()).some(isAhead)) await appendMany(wal, ++index, index);
  const path = segmentsIn(disk.image()).find(isAhead) as string;
  const { damage, notes, recovered } = await openLog(
    MemoryDisk.of(new Map([[path, disk.image().get(path) as Buffer]])),
    { segmentBytes },
  );
  t.deepEqual([damage, notes, recovered.size], [undefined, [], 0]);
});

test('a file that cannot be used again is let go of, and a new one is made', async (t) => {
  for (const fault of ['gone', 'not written'] as const) {
    const { disk, wal } = await begun();
    let index = 0;
    while (sparesIn(disk.image()).length === 0) await appendMany(wal, ++index, index);
    const { creates } = disk.counts;
    const open = disk.open.bind(disk);
    const tried: string[] = [];
    disk.open = async (path) => {
      if (path.includes('/spare-')) {
        tried.push(path);
        if (fault === 'gone') throw Object.assign(new Error('ENOENT'), { code: 'ENOENT' });
        disk.failWrite = 1;
      }
      return open(path);
    };
    await appendMany(wal, index + 1, index + 60);
    t.true(disk.counts.creates > creates, fault);
    disk.crash();
    await check(t, disk.image(), [index + 60], fault);
    t.true(tried.length > 0 && tried.every((path) => !disk.image().has(path)), fault);
  }
});

test('wherever the machine stops while files change hands, the log reads back as acknowledged', async (t) => {
  let images = 0;
  const { disk, wal } = await begun();
  await appendMany(wal, 1, 60);
  for (let index = 61; index <= 140; index++) {
    if (index % 10 === 0) for (const group of groups) wal.release(group, snapshotAt(index - 4));
    let isDone = false;
    const appended = append(wal, index).then(() => {
      isDone = true;
    });
    for (let turn = 0; turn < 6; turn++) {
      const wasDone = isDone;
      await check(t, disk.image(), wasDone ? [index] : [index - 1, index], `turn ${turn} of ${index}`);
      images++;
      await settled(1);
    }
    await appended;
  }
  t.true(images > 400);
});

test('a log of before files were used again reads as it did', async (t) => {
  const written =
    'UlJXQUwAAAEAAAAAAAAAAfKVBCYAAAAAQlRDSGNcK1UAAAAAAAAAAQAAAHYAAAACAAAAK6NeOs8AAAABAQAAAAEAAAAAAAAAAAAAAAAAAAAAAgADAAAAAQAAAAIAAAADAAAA' +
    'AAAAAAAAAAAxAah8sAAAAAECAAAAAAAAAAEAAAACAAAAAAAAAAAAAAAAAAAAAQAAAAABYQAAAAAAAAABAAAAAAJiY0JUQ0hJ61XxAAAAAAAAAAIAAAAhAAAAAQAAABQDn5p9' +
    'AAAAAQMAAAAAAAAAAwAAAAIAAAAAAAAAAQ==';
  const bytes = Buffer.alloc(512);
  bytes.write(written, 'base64');
  const disk = MemoryDisk.of(new Map([[`${walDirectory}/wal-0000000000000001.log`, bytes]]));
  const wal = await openLog(disk, { segmentBytes });
  const [one] = groups;
  const group = wal.recovered.get(one as (typeof groups)[number]);
  t.deepEqual([wal.damage, group?.damage, group?.replicaId], [undefined, undefined, replica]);
  t.deepEqual(textsOf(group), ['1:a', '2:bc']);
  t.deepEqual(group?.hardState, { currentTerm: 3, votedFor: replicaId(2), commitIndex: 1 });
  wal.appendEntries(one as (typeof groups)[number], entriesOf(3, ['d']));
  await committed(wal);
  disk.crash();
  t.deepEqual(textsOf((await openLog(disk)).recovered.get(one as (typeof groups)[number])), ['1:a', '2:bc', '3:d']);
});
