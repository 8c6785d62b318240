/** Reads and scans show every applied mutation and nothing older, wherever it is on its way into the engine. */
import test from 'ava';
import fc from 'fast-check';
import { memoryEngine } from '../../../src/engine/index.js';
import { heldEngine } from '../../support/held-engine.js';
import { bucket, StoreFixture } from '../../support/store-fixture.js';

const keys = ['', 'a', 'a\x00', 'aa', 'b', 'ba', '\x80', '\xff', '\xff\xff'].filter((key) => key !== '');
const key = fc.constantFrom(...keys);
const step = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      kind: fc.constant('apply' as const),
      commands: fc.array(
        fc.record({ key, value: fc.option(fc.constantFrom('', '1', '22', '333'), { nil: undefined }) }),
        { minLength: 1, maxLength: 4 },
      ),
      wait: fc.boolean(),
    }),
  },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('read' as const), key }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('sync' as const) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('finish' as const) }) },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('scan' as const),
      gte: fc.constantFrom('', ...keys),
      lt: fc.option(key, { nil: undefined }),
      reverse: fc.boolean(),
      keysOnly: fc.boolean(),
      limit: fc.integer({ min: 1, max: 12 }),
    }),
  },
);
type Scan = Extract<typeof step extends fc.Arbitrary<infer T> ? T : never, { kind: 'scan' }>;

function expectedScan(model: ReadonlyMap<string, string>, { gte, lt, reverse, keysOnly }: Scan): string[] {
  const found = [...model]
    .filter(([name]) => name >= gte && (lt === undefined || name < lt))
    .sort(([a], [b]) => (a < b === reverse ? 1 : -1));
  return found.map(([name, value]) => `${name}=${keysOnly ? '' : value}`);
}

const runs = [0, 600, 100_000].flatMap((cacheBytes) => [false, true].map((isHeld) => ({ cacheBytes, isHeld })));
for (const { cacheBytes, isHeld } of runs) {
  const how = `cache of ${cacheBytes} bytes, ${isHeld ? 'long' : 'quick'} writes`;
  test(`reads and scans agree with a map while writes are under way (${how})`, async (t) => {
    const run = fc.asyncProperty(fc.array(step, { minLength: 3, maxLength: 50 }), async (steps) => {
      const held = isHeld ? heldEngine() : undefined;
      const store = await StoreFixture.start({ cacheBytes }, held?.engine);
      const model = new Map<string, string>();
      for (const one of steps) {
        if (one.kind === 'apply') {
          const applied = store.apply({ commands: one.commands });
          for (const { key: name, value } of one.commands) {
            if (value === undefined) model.delete(name);
            else model.set(name, value);
          }
          await applied;
          if (one.wait) await new Promise((resolve) => setImmediate(resolve));
        } else if (one.kind === 'read') {
          const now = store.store.getNow(bucket, Buffer.from(one.key, 'latin1'), 1000);
          if (now !== undefined) t.is(now.value?.value.toString('latin1'), model.get(one.key));
          t.is(await store.text(one.key), model.get(one.key));
        } else if (one.kind === 'sync') {
          const synced = store.sync();
          if (!isHeld) await synced;
        } else if (one.kind === 'finish') {
          held?.writes.shift()?.finish();
          await new Promise((resolve) => setImmediate(resolve));
        } else {
          const { pairs, more, resumeAfter } = await store.scan({
            gte: Buffer.from(one.gte, 'latin1'),
            lt: one.lt === undefined ? undefined : Buffer.from(one.lt, 'latin1'),
            reverse: one.reverse,
            keysOnly: one.keysOnly,
            limit: one.limit,
          });
          const found = pairs.map((pair) => `${pair.key.toString('latin1')}=${pair.value.toString('latin1')}`);
          const expected = expectedScan(model, one);
          t.deepEqual(found, expected.slice(0, one.limit));
          t.is(more, expected.length > one.limit);
          if (more) t.deepEqual(resumeAfter, pairs[pairs.length - 1]?.key);
        }
      }
    });
    await fc.assert(run, { numRuns: 60 });
  });
}

test('a value read from the engine never replaces a newer one in the cache', async (t) => {
  const store = await StoreFixture.start();
  await store.apply({ commands: [{ key: 'a', value: 'old' }] });
  await store.sync();
  await store.restart();
  for (const value of ['new', undefined, 'newest']) {
    const slow = store.text('a');
    const applied = store.apply({ commands: [{ key: 'a', value }] });
    await Promise.all([slow, applied]);
    t.is(await store.text('a'), value);
    await store.sync();
    t.is(await store.text('a'), value, 'nor once the engine has it');
  }
});

test('a value that was read before its key was deleted does not come back when the read ends after the deletion is written', async (t) => {
  const engine = memoryEngine();
  const slow: (() => void)[] = [];
  let isSlow = false;
  const getMany: typeof engine.getMany = (wanted, callback) => {
    if (!isSlow) engine.getMany(wanted, callback);
    else engine.getMany(wanted, (error, values) => slow.push(() => callback(error, values)));
  };
  const store = await StoreFixture.start({}, { ...engine, getMany });
  await store.apply({ commands: [{ key: 'a', value: 'old' }] });
  await store.sync();
  await store.restart();
  isSlow = true;
  const late = store.text('a');
  await new Promise((resolve) => setImmediate(resolve));
  isSlow = false;
  await store.apply({ commands: [{ key: 'a' }] });
  await store.sync();
  t.is(slow.length, 1);
  slow.shift()?.();
  t.is(await late, 'old', 'as it was when the read began');
  t.is(await store.text('a'), undefined);
});

test('pages of a long scan, taken one after another, hold every key once, either way round', async (t) => {
  const store = await StoreFixture.start();
  const names = Array.from({ length: 700 }, (_, at) => `key-${String(at).padStart(5, '0')}`);
  await store.apply({ commands: names.slice(0, 600).map((name) => ({ key: name, value: name })) });
  await store.sync();
  await store.apply({
    commands: [...names.slice(600).map((name) => ({ key: name, value: name })), { key: names[5] as string }],
  });
  const expected = names.filter((_, at) => at !== 5);
  const found: string[] = [];
  let gte = Buffer.alloc(0);
  for (;;) {
    const page = await store.scan({ gte, maxBytes: 5000 });
    found.push(...page.pairs.map((pair) => pair.key.toString()));
    if (!page.more) break;
    gte = Buffer.concat([page.resumeAfter, Buffer.alloc(1)]);
  }
  t.deepEqual(found, expected);
  const backwards = await store.scan({ reverse: true, limit: 650 });
  t.deepEqual(
    backwards.pairs.map((pair) => pair.key.toString()),
    [...expected].reverse().slice(0, 650),
  );
  const even = await store.scan({ accept: (name) => (name[name.length - 1] as number) % 2 === 0, limit: 5 });
  t.deepEqual(
    even.pairs.map((pair) => pair.key.toString()),
    ['key-00000', 'key-00002', 'key-00004', 'key-00006', 'key-00008'],
  );
});
