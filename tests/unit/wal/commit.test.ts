/** Group commit, failed writes and a full disk. */
import test from 'ava';
import { replicaId } from '../../../src/base/index.js';
import { MemoryDisk } from '../../support/memory-disk.js';
import { VirtualClock } from '../../support/virtual-clock.js';
import { committed, entriesOf, openLog, settled, shard, snapshotAt, textsOf } from '../../support/wal-calls.js';

const one = shard(1);

async function startedLog(segmentBytes = 65536, clock = new VirtualClock()) {
  const disk = new MemoryDisk();
  const wal = await openLog(disk, { segmentBytes, clock });
  wal.appendGroup(one, replicaId(1), snapshotAt(0, 0));
  await committed(wal);
  return { disk, wal, clock };
}

test('pitfall 9: commits that come while a write is under way share one more sync, and wait for it', async (t) => {
  const { disk, wal } = await startedLog();
  const before = wal.statistics.syncs;
  disk.hold();
  const ran: number[] = [];
  for (let index = 1; index <= 101; index++) {
    wal.appendEntries(one, entriesOf(index, [`e${index}`]));
    wal.commit((error) => {
      t.is(error, undefined);
      ran.push(index);
    });
  }
  await settled();
  t.deepEqual(ran, [], 'nothing is acknowledged before it is durable');
  t.not(wal.writingSinceMs, undefined);
  t.is(disk.waiting, 1, 'one write at a time');
  disk.release();
  await settled();
  t.is(wal.statistics.syncs - before, 2);
  t.deepEqual(
    ran,
    Array.from({ length: 101 }, (_, at) => at + 1),
  );
  t.is(wal.writingSinceMs, undefined);
});

test('a commit with nothing new waits for what is under way, and costs no sync', async (t) => {
  const { disk, wal } = await startedLog();
  const before = wal.statistics.syncs;
  disk.hold();
  wal.appendEntries(one, entriesOf(1, ['a']));
  const order: string[] = [];
  wal.commit(() => order.push('first'));
  wal.commit(() => order.push('second'));
  await settled();
  t.deepEqual(order, []);
  disk.release();
  await settled();
  t.deepEqual(order, ['first', 'second']);
  t.is(wal.statistics.syncs - before, 1);
});

test('pitfall 9: what is not durable at a crash was never acknowledged', async (t) => {
  const { disk, wal } = await startedLog();
  wal.appendEntries(one, entriesOf(1, ['acknowledged']));
  await committed(wal);
  disk.hold();
  wal.appendEntries(one, entriesOf(2, ['lost']));
  wal.commit(() => t.fail('acknowledged before it was durable'));
  disk.crash();
  t.deepEqual(textsOf((await openLog(disk)).recovered.get(one)), ['1:acknowledged']);
});

test('pitfall 34: a failed write poisons the log: every commit fails and nothing is written again', async (t) => {
  const { disk, wal, clock } = await startedLog();
  disk.failWrite = 1;
  const results: (string | undefined)[] = [];
  for (let index = 1; index <= 3; index++) {
    wal.appendEntries(one, entriesOf(index, ['x']));
    wal.commit((error) => results.push(error?.message));
  }
  await settled();
  t.is(results.length, 3);
  for (const message of results) t.regex(message ?? '', /write-ahead log failed: EIO/);
  const { writes, creates } = { ...disk.counts };
  for (let index = 4; index <= 6; index++) {
    wal.appendEntries(one, entriesOf(index, ['x']));
    wal.commit((error) => results.push(error?.message));
  }
  t.is(results.length, 3, 'callbacks run on a later turn');
  await clock.advance(100_000);
  t.is(results.length, 6);
  for (const message of results) t.is(message, results[0]);
  t.is(disk.counts.writes, writes);
  t.is(disk.counts.creates, creates);
  await wal.close();
  t.is(disk.counts.writes, writes);
});

test('pitfall 34: a full disk is waited for at a segment boundary, and the log goes on once there is room', async (t) => {
  const { disk, wal, clock } = await startedLog(1000);
  disk.freeBytes = 0;
  let acknowledged = 0;
  const errors: Error[] = [];
  for (let index = 1; index <= 20; index++) {
    wal.appendEntries(one, entriesOf(index, [String(index).padEnd(100, '.')]));
    wal.commit((error) => {
      if (error !== undefined) errors.push(error);
      else acknowledged++;
    });
    await settled(5);
  }
  t.true(wal.isFull);
  t.true(acknowledged >= 5 && acknowledged < 10, `${acknowledged}: the current segment is used up first`);
  t.is(clock.armed, 1, 'one retry at a time');
  const soFar = acknowledged;
  for (let second = 0; second < 5; second++) {
    await clock.advance(1000);
    await settled();
    t.true(wal.isFull);
    t.is(clock.armed, 1);
  }
  t.is(acknowledged, soFar);
  t.is(wal.writingSinceMs, undefined);
  disk.freeBytes = 1_000_000;
  await clock.advance(1000);
  await settled(50);
  t.false(wal.isFull);
  t.deepEqual(errors, []);
  t.is(acknowledged, 20);
  disk.crash();
  const group = (await openLog(disk, { segmentBytes: 1000 })).recovered.get(one);
  t.is(group?.entries.length, 20);
  t.is(group?.damage, undefined);
});

test('closing writes what was appended, and the next opening reads it', async (t) => {
  const { disk, wal } = await startedLog();
  wal.appendEntries(one, entriesOf(1, ['a', 'b']));
  await wal.close();
  await wal.close();
  disk.crash();
  t.deepEqual(textsOf((await openLog(disk)).recovered.get(one)), ['1:a', '2:b']);
});
