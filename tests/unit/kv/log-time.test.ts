/** Goal: what a shard takes for the time stays usable whatever the clocks of its leaders say. */
import test from 'ava';
import fc from 'fast-check';
import { replicaId, shardId } from '../../../src/base/index.js';
import { ShardState } from '../../../src/kv/shard-state.js';
import { type CommandSpec, StoreFixture, wholeRing } from '../../support/store-fixture.js';

const hourMs = 3_600_000;
const limits = { maxSessions: 10, maxOutcomes: 10, idleMs: hourMs };
const newShard = (): ShardState => new ShardState(shardId(1), wholeRing, limits);

test('log time stands still where a stamp is a little behind, and goes back where it is far behind', (t) => {
  const shard = newShard();
  shard.advanceTime(100_000);
  shard.advanceTime(50_000);
  t.is(shard.timeMs, 100_000);
  t.is(shard.expiryOf(50_000 + 7), 100_007, 'a time to live counts from log time');
  t.is(shard.expiryOf(0), 0, 'no time to live is none');
  shard.advanceTime(100_000 + hourMs);
  shard.advanceTime(101_000);
  t.is(shard.timeMs, 101_000);
  t.is(shard.expiryOf(101_007), 101_007);
});

test('session time never falls, and no entry adds more than 10 s to it', (t) => {
  const stamps = fc.array(fc.integer({ min: 0, max: 4 * hourMs }), { minLength: 1, maxLength: 50 });
  t.notThrows(() =>
    fc.assert(
      fc.property(stamps, (all) => {
        const shard = newShard();
        for (const stamp of all) {
          const before = shard.sessionTimeMs;
          shard.advanceTime(stamp);
          const step = shard.sessionTimeMs - before;
          if (step < 0 || step > 10_000) throw new Error(`${step} ms`);
        }
      }),
    ),
  );
});

test('sessions of a shard that is written to every second are forgotten after an hour of silence', (t) => {
  const shard = newShard();
  shard.advanceTime(5 * hourMs);
  shard.sessions.touch('client-1', 0, shard.sessionTimeMs);
  for (let second = 1; second <= 3601; second++) {
    t.is(shard.sessions.size, second === 1 ? 1 : 2);
    shard.advanceTime(5 * hourMs + second * 1000);
    shard.sessions.touch('client-2', 0, shard.sessionTimeMs);
  }
  t.is(shard.sessions.size, 1);
});

test('a repeated write gets its first answer after a leader jumped a day ahead, also from a store started again', async (t) => {
  const store = await StoreFixture.start();
  const write: CommandSpec = { key: 'a', value: '1', sequence: 1 };
  const [first] = await store.apply({ timeMs: 1000, client: 'client-1', commands: [write] });
  const ahead = 24 * hourMs;
  await store.apply({ timeMs: ahead, client: 'client-2', commands: [{ key: 'a', value: '2', sequence: 1 }] });
  await store.sync();
  await store.restart();
  await store.apply({ timeMs: ahead + 5, client: 'client-2', commands: [{ key: 'b', value: '3', sequence: 2 }] });
  const [again] = await store.apply({ timeMs: ahead + 9, client: 'client-1', commands: [write] });
  t.deepEqual(again, first);
  t.is(await store.text('a', ahead), '2');
});

test('a position written before session time was kept is read: sessions then aged by log time', (t) => {
  const shard = newShard();
  shard.advanceTime(7000);
  shard.appliedIndex = 12;
  shard.revision = 5;
  shard.configuration = { voters: [replicaId(1)], outgoing: [], learners: [], learnersNext: [] };
  const written = shard.encodePosition();
  const old = Buffer.concat([Buffer.from([1]), written.subarray(1, 25), written.subarray(31)]);
  const read = newShard();
  read.decodePosition(old);
  t.deepEqual(read.position, shard.position);
  t.is(read.timeMs, 7000);
  t.is(read.sessionTimeMs, 7000);
  const same = newShard();
  same.decodePosition(written);
  t.is(same.sessionTimeMs, shard.sessionTimeMs);
  const ofVersion = (version: number): Buffer => Buffer.concat([Buffer.from([version]), written.subarray(1)]);
  const before = newShard();
  before.decodePosition(ofVersion(2));
  t.deepEqual(before.encodePosition(), written);
  t.throws(() => same.decodePosition(ofVersion(4)), { code: 'CORRUPT' });
});
