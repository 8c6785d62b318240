/** Goal: what was reported durable is there again, what was not may be cut, and nothing else is ever cut. */
import { setTimeout as sleep } from 'node:timers/promises';
import test from 'ava';
import fc from 'fast-check';
import { noReplica, replicaId, type ShardId, shardId, systemClock } from '../../../src/base/index.js';
import { type Entry, EntryType } from '../../../src/raft/index.js';
import { openWal, type Wal } from '../../../src/wal/index.js';
import { SimpleDisk } from '../../support/simple-disk.js';
import { committed, snapshotAt } from '../../support/wal-calls.js';

const shard = shardId(7);
const other = shardId(8);
const entry = (index: number, term: number, text = `e${index}.${term}`): Entry => ({
  index,
  term,
  type: EntryType.Normal,
  data: Buffer.from(text),
});

const open = (disk: SimpleDisk, segmentBytes = 65_536): ReturnType<typeof openWal> =>
  openWal(disk, { directory: 'log', segmentBytes, clock: systemClock });

const shape = (entries: readonly Entry[]): string =>
  entries.map(({ index, term, data }) => `${index}/${term}/${data}`).join();

const texts = (wal: Wal, id: ShardId = shard): string[] =>
  (wal.recovered.get(id)?.entries ?? []).map(({ data }) => data.toString());

test('what was committed is there again: group, hard state, entries', async (t) => {
  const disk = new SimpleDisk();
  const wal = await open(disk);
  wal.appendGroup(shard, replicaId(2), snapshotAt(0, 0));
  wal.appendHardState(shard, { currentTerm: 3, votedFor: replicaId(2), commitIndex: 1 });
  wal.appendEntries(shard, [entry(1, 1), entry(2, 3)]);
  await committed(wal);
  disk.crash();
  const group = (await open(disk)).recovered.get(shard);
  t.like(group, { replicaId: 2, damage: undefined, hardState: { currentTerm: 3, votedFor: 2, commitIndex: 1 } });
  t.deepEqual(group?.entries, [entry(1, 1), entry(2, 3)]);
});

test('an entry without data reads back (the checksum of nothing must not restart the checksum)', async (t) => {
  const disk = new SimpleDisk();
  const wal = await open(disk);
  wal.appendGroup(shard, replicaId(1), snapshotAt(0, 0));
  wal.appendEntries(shard, [{ index: 1, term: 1, type: EntryType.NoOp, data: Buffer.alloc(0) }]);
  await committed(wal);
  wal.appendEntries(shard, [entry(2, 1)]);
  await committed(wal);
  const again = await open(disk);
  t.is(again.recovered.get(shard)?.damage, undefined);
  t.deepEqual(texts(again), ['', 'e2.1']);
});

test('a later append replaces the suffix it overlaps', async (t) => {
  const disk = new SimpleDisk();
  const wal = await open(disk);
  wal.appendGroup(shard, replicaId(1), snapshotAt(0, 0));
  wal.appendEntries(shard, [entry(1, 1), entry(2, 1), entry(3, 1)]);
  wal.appendEntries(shard, [entry(2, 2)]);
  await committed(wal);
  t.deepEqual(texts(await open(disk)), ['e1.1', 'e2.2']);
});

test('commits that come while a write is under way share the next one', async (t) => {
  const disk = new SimpleDisk();
  const wal = await open(disk);
  wal.appendGroup(shard, replicaId(1), snapshotAt(0, 0));
  await committed(wal);
  const before = disk.writes;
  disk.hold();
  wal.appendEntries(shard, [entry(1, 1)]);
  const first = committed(wal);
  const order: number[] = [];
  const rest = Array.from({ length: 100 }, (_, at) => {
    wal.appendEntries(shard, [entry(at + 2, 1)]);
    return committed(wal).then(() => order.push(at));
  });
  disk.resume();
  await first;
  await Promise.all(rest);
  t.is(disk.writes - before, 2, 'the one under way and one for all that came meanwhile');
  t.deepEqual(
    order,
    [...order].sort((a, b) => a - b),
  );
});

test('pitfall 9: nothing is reported durable before the write is', async (t) => {
  const disk = new SimpleDisk();
  const wal = await open(disk);
  disk.hold();
  let reported = false;
  wal.appendGroup(shard, replicaId(1), snapshotAt(0, 0));
  wal.commit(() => {
    reported = true;
  });
  await sleep(20);
  t.false(reported);
  t.not(wal.writingSinceMs, undefined, 'and a watchdog can see it');
});

test('pitfall 34: a failed write poisons the log, nothing is tried again', async (t) => {
  const disk = new SimpleDisk();
  const wal = await open(disk);
  wal.appendGroup(shard, replicaId(1), snapshotAt(0, 0));
  await committed(wal);
  disk.writeError = Object.assign(new Error('I/O error'), { code: 'EIO' });
  wal.appendEntries(shard, [entry(1, 1)]);
  await t.throwsAsync(committed(wal), { message: /write-ahead log failed/ });
  disk.writeError = undefined;
  const before = disk.writes;
  wal.appendEntries(shard, [entry(1, 1)]);
  await t.throwsAsync(committed(wal));
  t.is(disk.writes, before);
});

test('a full disk makes commits wait, loses nothing, and heals', async (t) => {
  const disk = new SimpleDisk();
  const wal = await open(disk, 4096);
  wal.appendGroup(shard, replicaId(1), snapshotAt(0, 0));
  await committed(wal);
  disk.createError = Object.assign(new Error('no space'), { code: 'ENOSPC' });
  const large = 'x'.repeat(3000);
  let index = 0;
  let waiting = 0;
  const commits = Array.from({ length: 4 }, () => {
    wal.appendEntries(shard, [entry(++index, 1, large)]);
    waiting++;
    return committed(wal).finally(() => waiting--);
  });
  await sleep(50);
  t.true(waiting > 0);
  t.true(wal.isFull);
  disk.createError = undefined;
  await Promise.all(commits);
  t.false(wal.isFull);
  t.is(texts(await open(disk, 4096)).length, 4);
});

test('released entries let old segments go; a quiet group does not pin them once it is released', async (t) => {
  const disk = new SimpleDisk();
  const wal = await open(disk, 4096);
  wal.appendGroup(shard, replicaId(1), snapshotAt(0, 0));
  wal.appendGroup(other, replicaId(1), snapshotAt(0, 0));
  wal.appendEntries(other, [entry(1, 1)]);
  for (let index = 1; index <= 60; index++) {
    wal.appendEntries(shard, [entry(index, 1, 'x'.repeat(500))]);
    await committed(wal);
    if (index % 10 === 0) wal.release(shard, snapshotAt(index - 1, 1));
  }
  const pinned = wal.statistics.segments;
  t.true(wal.segmentsBehind(other) > 3);
  wal.release(other, snapshotAt(1, 1));
  for (let index = 61; index <= 80; index++) {
    wal.appendEntries(shard, [entry(index, 1, 'x'.repeat(500))]);
    await committed(wal);
    if (index % 5 === 0) wal.release(shard, snapshotAt(index - 1, 1));
  }
  await committed(wal);
  t.true(wal.statistics.segments < pinned);
  const again = await open(disk, 4096);
  t.is(again.recovered.get(shard)?.damage, undefined);
  t.deepEqual(again.recovered.get(other)?.snapshot, snapshotAt(1, 1));
  t.is(again.recovered.get(shard)?.entries.at(-1)?.index, 80);
});

/** A log of some batches; the bytes of its only segment, and what was durable after each batch. */
async function sample(): Promise<{ bytes: Buffer; ends: number[]; states: string[][] }> {
  const disk = new SimpleDisk();
  const wal = await open(disk, 8192);
  const ends: number[] = [];
  const states: string[][] = [];
  wal.appendGroup(shard, replicaId(1), snapshotAt(0, 0));
  await committed(wal);
  for (let index = 1; index <= 12; index++) {
    wal.appendEntries(shard, [entry(index, 1)]);
    wal.appendHardState(shard, { currentTerm: 1, votedFor: replicaId(1), commitIndex: 0 });
    await committed(wal);
    ends.push(24 + wal.statistics.bytesWritten);
    states.push(Array.from({ length: index }, (_, at) => `e${at + 1}.1`));
  }
  const [file] = disk.files.values();
  return { bytes: Buffer.from(file?.durable ?? []), ends, states };
}

const diskWith = (bytes: Buffer): SimpleDisk => {
  const disk = new SimpleDisk();
  disk.files.set('log/wal-0000000000000001.log', { durable: Buffer.from(bytes), current: Buffer.from(bytes) });
  return disk;
};

test('every prefix of a log gives all that was acknowledged by then', async (t) => {
  const { bytes, ends, states } = await sample();
  const last = ends.at(-1) ?? 0;
  for (let length = 24; length <= last; length++) {
    const image = Buffer.concat([bytes.subarray(0, length), Buffer.alloc(bytes.length - length)]);
    const recovered = (await open(diskWith(image), 8192)).recovered.get(shard);
    const complete = ends.filter((end) => end <= length).length;
    if (recovered === undefined) {
      t.is(complete, 0);
      continue;
    }
    t.is(recovered.damage, undefined, `cut at ${length}`);
    const found = recovered.entries.map(({ data }) => data.toString());
    // A batch whose last bytes are zero anyway may be whole a little earlier.
    t.true(found.length >= complete, `cut at ${length}`);
    t.deepEqual(found, (states.at(-1) ?? []).slice(0, found.length));
  }
});

test('pitfall 35: no flipped bit loses an acknowledged entry silently', async (t) => {
  const { bytes, ends, states } = await sample();
  const beforeLast = ends.at(-2) ?? 0;
  for (let at = 24; at < beforeLast; at++) {
    const image = Buffer.from(bytes);
    image[at] = (image[at] as number) ^ (1 << (at % 8));
    const wal = await open(diskWith(image), 8192);
    const recovered = wal.recovered.get(shard);
    const found = recovered?.entries.map(({ data }) => data.toString()) ?? [];
    const isWhole = JSON.stringify(found) === JSON.stringify(states.at(-1));
    t.true(isWhole || (recovered ?? wal).damage !== undefined, `bit in byte ${at}`);
  }
});

test('any sequence of appends, truncations, releases, crashes gives what a plain model says', async (t) => {
  const step = fc.oneof(
    {
      weight: 5,
      arbitrary: fc.record({
        kind: fc.constant('append' as const),
        back: fc.nat(3),
        count: fc.integer({ min: 1, max: 4 }),
      }),
    },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('release' as const), share: fc.nat(100) }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('reopen' as const) }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('snapshot' as const) }) },
  );
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 40 }), async (steps) => {
      const disk = new SimpleDisk();
      let wal: Wal = await open(disk, 2048);
      wal.appendGroup(shard, replicaId(1), snapshotAt(0, 0));
      let snapshot = snapshotAt(0, 0);
      let entries: Entry[] = [];
      let term = 1;
      await committed(wal);
      for (const one of steps) {
        if (one.kind === 'append') {
          term++;
          const keep = Math.max(0, entries.length - one.back);
          const first = snapshot.index + keep + 1;
          const added = Array.from({ length: one.count }, (_, at) => entry(first + at, term, 'x'.repeat(100)));
          entries = [...entries.slice(0, keep), ...added];
          wal.appendEntries(shard, added);
        } else if (one.kind === 'release' && entries.length > 0) {
          const last = entries[Math.floor((one.share / 101) * entries.length)] as Entry;
          snapshot = snapshotAt(last.index, last.term);
          entries = entries.filter(({ index }) => index > last.index);
          wal.release(shard, snapshot);
        } else if (one.kind === 'snapshot') {
          snapshot = snapshotAt(snapshot.index + entries.length + 10, ++term);
          entries = [];
          wal.appendSnapshot(shard, snapshot);
        }
        await committed(wal);
        if (one.kind !== 'reopen') continue;
        disk.crash();
        wal = await open(disk, 2048);
        const found = wal.recovered.get(shard);
        if (found?.damage !== undefined) throw new Error(found.damage);
        if (JSON.stringify(found?.snapshot) !== JSON.stringify(snapshot)) throw new Error('another beginning');
        if (shape(found?.entries ?? []) !== shape(entries)) throw new Error('other entries');
      }
    }),
    { numRuns: 100, includeErrorInReport: true },
  );
  t.pass();
});

test('a group that was removed is gone', async (t) => {
  const disk = new SimpleDisk();
  const wal = await open(disk);
  wal.appendGroup(shard, replicaId(1), snapshotAt(0, 0));
  wal.appendHardState(shard, { currentTerm: 1, votedFor: noReplica, commitIndex: 0 });
  wal.appendTombstone(shard);
  await committed(wal);
  await wal.close();
  t.is((await open(disk)).recovered.size, 0);
});
