/**
 * Goal: whatever is on its way into the engine, in one batch or in two, a reader sees the newest mutation of each key.
 * Method: an engine whose writes end when the test says so; no cache, so that what memory knows is the overlay alone.
 */
import test, { type ExecutionContext } from 'ava';
import { systemClock } from '../../../src/base/index.js';
import { heldEngine } from '../../support/held-engine.js';
import { bucket, type CommandSpec, StoreFixture } from '../../support/store-fixture.js';

/** A batch is written when the test asks for it, however slow the machine is. */
const clock = { ...systemClock, after: () => ({ cancel: () => {} }) };
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** What is read of a key: from memory alone, and in whatever way there is. */
async function reads(store: StoreFixture, key: string): Promise<readonly [now: string | undefined, text: unknown]> {
  const now = store.store.getNow(bucket, Buffer.from(key), 1000);
  const fromMemory = now === undefined ? 'unknown' : now.value?.value.toString();
  return [fromMemory, await store.text(key)];
}

async function scanned(t: ExecutionContext, store: StoreFixture): Promise<readonly string[]> {
  const text = (pairs: readonly { key: Buffer; value: Buffer }[]): string[] =>
    pairs.map(({ key, value }) => `${key}=${value}`);
  const { pairs } = await store.scan();
  const backwards = await store.scan({ reverse: true });
  t.deepEqual(text(backwards.pairs), text(pairs).reverse());
  return text(pairs);
}

test('a mutation made while the batch before is written is what is read, before and after that write ends', async (t) => {
  const { engine, writes } = heldEngine();
  const store = await StoreFixture.start({ cacheBytes: 0, clock }, engine);
  await store.apply({
    commands: [
      { key: 'a', value: '1' },
      { key: 'b', value: '1' },
      { key: 'c', value: '1' },
    ],
  });
  const first = store.sync();
  t.is(writes.length, 1);
  await store.apply({ commands: [{ key: 'a', value: '2' }, { key: 'b' }, { key: 'd', value: '2' }] });
  t.is(store.store.statistics.unwrittenEntries, 4, 'a key in both counts once');
  const expected = { a: '2', b: undefined, c: '1', d: '2' };
  const check = async (knownNow: (key: string) => boolean): Promise<void> => {
    for (const [key, value] of Object.entries(expected)) {
      t.deepEqual(await reads(store, key), [knownNow(key) ? value : 'unknown', value], key);
    }
    t.deepEqual(await scanned(t, store), ['a=2', 'c=1', 'd=2']);
  };
  await check(() => true);
  writes.shift()?.finish();
  await first;
  t.is(store.store.statistics.unwrittenEntries, 3, 'of the first one c alone was still the newest');
  await check((key) => key !== 'c');
  const second = store.sync();
  writes.shift()?.finish();
  await second;
  t.is(store.store.statistics.unwrittenEntries, 0);
  await check(() => false);
});

test('a key deleted in one batch and put in the next is there, and the other way round it is not', async (t) => {
  const { engine, writes } = heldEngine();
  const store = await StoreFixture.start({ cacheBytes: 0, clock }, engine);
  const write = async (): Promise<void> => {
    const synced = store.sync();
    writes.shift()?.finish();
    await synced;
  };
  await store.apply({
    commands: [
      { key: 'back', value: '1' },
      { key: 'gone', value: '1' },
    ],
  });
  await write();
  await store.apply({ commands: [{ key: 'back' }, { key: 'gone', value: '2' }] });
  const synced = store.sync();
  await store.apply({ commands: [{ key: 'back', value: '3', absent: true }, { key: 'gone' }] });
  t.deepEqual(await scanned(t, store), ['back=3']);
  t.deepEqual(await reads(store, 'back'), ['3', '3']);
  t.deepEqual(await reads(store, 'gone'), [undefined, undefined]);
  writes.shift()?.finish();
  await synced;
  t.deepEqual(await scanned(t, store), ['back=3']);
  await write();
  t.deepEqual(await scanned(t, store), ['back=3']);
  t.is(await store.text('gone'), undefined);
});

test('after a failed write both generations are still what is read, and nothing is written any more', async (t) => {
  const { engine, writes } = heldEngine();
  const store = await StoreFixture.start({ cacheBytes: 0, clock }, engine);
  await store.apply({ commands: [{ key: 'a', value: '1' }] });
  const synced = store.sync();
  await store.apply({ commands: [{ key: 'b', value: '2' }] });
  writes.shift()?.finish(new Error('EIO'));
  await t.throwsAsync(synced, { message: /failed to write: EIO/ });
  t.is(store.failures.length, 1);
  await t.throwsAsync(store.sync(), { message: /failed to write: EIO/ });
  await turn();
  t.is(writes.length, 0);
  t.deepEqual(await reads(store, 'a'), ['1', '1']);
  t.deepEqual(await reads(store, 'b'), ['2', '2']);
  t.deepEqual(await scanned(t, store), ['a=1', 'b=2']);
});

test('a key that is there already gets no second entry in the ordered index', async (t) => {
  for (const cacheBytes of [100_000, 0]) {
    const store = await StoreFixture.start({ cacheBytes });
    const mutations = async (...commands: CommandSpec[]): Promise<number> => {
      const before = store.store.statistics.engineMutations;
      await store.apply({ commands });
      await store.sync();
      return store.store.statistics.engineMutations - before;
    };
    const withIndex = await mutations({ key: 'a', value: '1' });
    const isKnown = cacheBytes > 0;
    t.is(await mutations({ key: 'a', value: '2' }), isKnown ? withIndex - 1 : withIndex);
    t.is(
      await mutations({ key: 'a', value: '3', ifValue: '2' }),
      withIndex - 1,
      'the engine was asked, or memory knew',
    );
  }
});
