/** Goal: a disk told to be full or slow is what the log would see of a real one, and is itself again afterwards. */
import test from 'ava';
import { replicaId } from '../../../src/base/index.js';
import { FaultsInForce, faultyClock, faultyDisk } from '../../../src/faults/index.js';
import { MemoryDisk } from '../../support/memory-disk.js';
import { VirtualClock, wallStartMs } from '../../support/virtual-clock.js';
import { entriesOf, openLog, settled, shard, snapshotAt, textsOf } from '../../support/wal-calls.js';

const one = shard(1);
const segmentBytes = 65_536;

function faulty() {
  const clock = new VirtualClock();
  const faults = new FaultsInForce();
  const memory = new MemoryDisk();
  return { clock, faults, memory, disk: faultyDisk(memory, faults, clock) };
}

async function log() {
  const world = faulty();
  const wal = await openLog(world.disk, { segmentBytes, clock: world.clock });
  wal.appendGroup(one, replicaId(1), snapshotAt(0, 0));
  const committed = (): { readonly isDone: () => boolean } => {
    let done = false;
    wal.commit((error) => {
      if (error !== undefined) throw error;
      done = true;
    });
    return { isDone: () => done };
  };
  return { ...world, wal, committed };
}

test('a full disk refuses new files as node does, and nothing else', async (t) => {
  const { faults, disk } = faulty();
  const file = await disk.create('/d/old', 100);
  faults.replace({ disk: { full: true } });
  await t.throwsAsync(disk.create('/d/new', 100), {
    code: 'ENOSPC',
    message: 'ENOSPC: no space left on device, write',
  });
  t.is(faults.refusedWrites, 1);
  t.deepEqual(await disk.list('/d'), ['old'], 'nothing is left of it');
  await new Promise<void>((resolve, reject) => {
    file.writeDurably([Buffer.from('x')], 0, (error) => (error === undefined ? resolve() : reject(error)));
  });
  await disk.rename('/d/old', '/d/older');
  await disk.remove('/d/older');
  faults.replace({});
  t.is(await (await disk.create('/d/new', 100)).sizeBytes(), 100);
  t.is(faults.refusedWrites, 1);
});

test('a log on a full disk goes on to the end of its segments, then waits, and loses nothing', async (t) => {
  const { wal, faults, clock, committed, memory } = await log();
  faults.replace({ disk: { full: true } });
  const texts: string[] = [];
  let last = committed();
  let acknowledged = 0;
  for (let index = 1; index <= 30 && !wal.isFull; index++) {
    texts.push(`${index}:${'x'.repeat(8000)}`);
    wal.appendEntries(one, entriesOf(index, ['x'.repeat(8000)]));
    last = committed();
    await settled();
    if (last.isDone()) acknowledged++;
  }
  t.true(wal.isFull);
  t.true(acknowledged >= 7, `${acknowledged} writes had room in the segment that was there`);
  t.true(faults.refusedWrites > 0);
  await clock.advance(5000);
  t.true(faults.refusedWrites >= 5, 'it tries again');
  t.false(last.isDone());
  faults.replace({});
  await clock.advance(1500);
  await settled(50);
  t.true(last.isDone());
  t.false(wal.isFull);
  memory.crash();
  t.deepEqual(textsOf((await openLog(memory)).recovered.get(one)), texts);
});

test('a slow disk reports every write so much later, and not before it is durable', async (t) => {
  const { wal, faults, clock, committed, memory } = await log();
  const first = committed();
  await settled();
  t.true(first.isDone());
  faults.replace({ disk: { writeDelayMs: 200 } });
  memory.hold();
  wal.appendEntries(one, entriesOf(1, ['a']));
  const slow = committed();
  await clock.advance(1000);
  memory.release();
  await clock.advance(199);
  t.false(slow.isDone(), 'the delay begins where the real write ends');
  await clock.advance(1);
  t.true(slow.isDone());
  t.is(faults.delayedWrites, 1);
});

test('what a slow disk holds back is let go when it is told to be faster', async (t) => {
  const { wal, faults, clock, committed } = await log();
  await settled();
  faults.replace({ disk: { writeDelayMs: 600_000 } });
  wal.appendEntries(one, entriesOf(1, ['a']));
  const hung = committed();
  await clock.advance(3000);
  t.false(hung.isDone());
  faults.replace({ disk: { writeDelayMs: 4000 } });
  await clock.advance(999);
  t.false(hung.isDone());
  await clock.advance(2);
  t.true(hung.isDone());
  faults.replace({ disk: { writeDelayMs: 600_000 } });
  wal.appendEntries(one, entriesOf(2, ['b']));
  const last = committed();
  await clock.advance(10);
  faults.replace({});
  await clock.advance(1);
  t.true(last.isDone());
  t.is(clock.armed, 0);
});

test('a clock that is off is off by its wall time alone, and whole', async (t) => {
  const { clock, faults } = faulty();
  const seen = faultyClock(clock, faults);
  await clock.advance(7);
  faults.replace({ clockOffsetMs: -3_600_000.5 });
  t.is(seen.wallMs(), wallStartMs + 7 - 3_600_001);
  t.is(seen.nowMs(), 7);
  let ran = false;
  seen.after(5, () => {
    ran = true;
  });
  await clock.advance(5);
  t.true(ran);
  faults.replace({});
  t.is(seen.wallMs(), wallStartMs + 12);
});
