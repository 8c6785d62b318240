/**
 * Goal: after a crash at any step the shard's position and its data belong together, and going on from there gives what
 * an undisturbed replica has. Method: the engine in memory loses unsynced batches; the log is applied again from there.
 */
import test from 'ava';
import { randomBetween, seededRandom } from '../../../src/base/index.js';
import type { Entry } from '../../../src/raft/index.js';
import { type CommandSpec, entryAt, StoreFixture } from '../../support/store-fixture.js';

const seed = Number(process.env.TEST_SEED ?? Date.now() % 1_000_000);

/** A log whose every entry matters: counters by compare-and-set, deletes, expiry, repeated commands, clocks that jump. */
function randomLog(length: number, logSeed: number): Entry[] {
  const random = seededRandom(logSeed);
  const pick = (max: number): number => randomBetween(random, 0, max);
  return Array.from({ length }, (_, at) => {
    const commands = Array.from({ length: pick(4) }, (): CommandSpec => {
      const key = `k${pick(7)}`;
      const kind = pick(4);
      const sequence = pick(12) + 1;
      if (kind === 0) return { key, sequence };
      if (kind === 1) return { key, value: `v${at}`, absent: true, sequence };
      if (kind === 2) return { key, value: `v${at}`, ifRevision: pick(at + 1), sequence };
      return { key, value: `v${at}`, expiresAtMs: pick(3) === 0 ? 1000 + at + pick(5) : 0, sequence };
    });
    const jumpMs = pick(4) === 0 ? 40_000 * pick(4) : 0;
    return entryAt(at + 1, { timeMs: 1000 + at + jumpMs, client: `client-${pick(2)}`, ackedBelow: pick(4), commands });
  });
}

test('pitfall 33: after a crash at every step position and data belong together', async (t) => {
  t.log(`seed ${seed}`);
  const log = randomLog(24, seed);
  const whole = await StoreFixture.start();
  const dumps = [whole.dump()];
  const outcomes: unknown[] = [];
  for (const entry of log) {
    const [applied] = await whole.applyEntries([entry]);
    outcomes.push(applied?.outcomes);
    await whole.sync();
    dumps.push(whole.dump());
  }
  for (let crashAt = 1; crashAt <= log.length; crashAt++) {
    for (const [keep, syncAt] of [
      [0, 0],
      [1, crashAt >>> 1],
      [3, crashAt >>> 2],
    ] as const) {
      const store = await StoreFixture.start();
      for (const entry of log.slice(0, crashAt)) {
        await store.applyEntries([entry]);
        if (entry.index === syncAt) await store.sync();
        else await new Promise((resolve) => setImmediate(resolve));
      }
      store.engine.crash(keep);
      const appliedIndex = await store.restart();
      t.true(appliedIndex >= syncAt && appliedIndex <= crashAt);
      t.deepEqual(store.dump(), dumps[appliedIndex], `crash at ${crashAt}, restart at ${appliedIndex}`);
      const rest = await store.applyEntries(log.slice(appliedIndex));
      t.deepEqual(
        rest.map((applied) => applied.outcomes),
        outcomes.slice(appliedIndex),
      );
      await store.sync();
      t.deepEqual(store.dump(), dumps[log.length]);
    }
  }
});

test('the sync marker tells positions that a crash keeps', async (t) => {
  const store = await StoreFixture.start();
  for (const entry of randomLog(10, seed)) await store.applyEntries([entry]);
  const durable = await new Promise<number | undefined>((resolve, reject) => {
    store.store.syncMarker((error, positions) => (error ? reject(error) : resolve(positions[0]?.appliedIndex)));
  });
  t.is(durable, 10);
  store.engine.crash();
  t.is(await store.restart(), 10);
});

test('a failed engine write stops the node and fails every waiting sync', async (t) => {
  const store = await StoreFixture.start();
  const { engine } = store;
  await store.apply({ commands: [{ key: 'a', value: '1' }] });
  await store.sync();
  const original = engine.batch.bind(engine);
  engine.batch = () => ({
    ...original(),
    write: (_sync, callback) => void setImmediate(() => callback(new Error('EIO'))),
  });
  await store.apply({ commands: [{ key: 'a', value: '2' }] });
  const first = store.sync();
  const second = store.sync();
  await t.throwsAsync(first, { message: /failed to write: EIO/ });
  await t.throwsAsync(second, { message: /failed to write: EIO/ });
  await t.throwsAsync(store.sync(), { message: /failed to write: EIO/ });
  t.is(store.failures.length, 1);
  engine.crash();
  engine.batch = original;
  t.is(await store.restart(), 1);
  t.is(await store.text('a'), '1');
});
