/**
 * Goal: what a removed bucket held goes from the disk, whenever the node dies meanwhile, and nothing that a replica answers
 * or counts depends on how far it has come with that. And the parts of the cache never serve what was replaced.
 */
import test from 'ava';
import fc from 'fast-check';
import { type BucketId, bucketId, systemClock } from '../../../src/base/index.js';
import { type MemoryEngine, memoryEngine } from '../../../src/engine/memory-engine.js';
import { codeNumber } from '../../../src/wire/index.js';
import { type CommandSpec, StoreFixture, theShard } from '../../support/store-fixture.js';

const [one, two] = [bucketId(1), bucketId(2)];
const dataTag = 0x64;
const indexTag = 0x69;
const notFound = { code: codeNumber('NOT_FOUND'), revision: 0, found: false };

/** Data and index keys of a bucket in the engine. */
const held = (engine: MemoryEngine, id: BucketId): number =>
  engine.dump().filter(([key]) => (key[0] === dataTag || key[0] === indexTag) && key.readUInt16BE(1) === id).length;

const pause = (): Promise<void> => new Promise((resolve) => systemClock.defer(resolve));

async function untilGone(engine: MemoryEngine, id: BucketId): Promise<void> {
  for (let turns = 0; held(engine, id) > 0; turns++) {
    if (turns > 10_000) throw new Error(`${held(engine, id)} keys of bucket ${id} stay`);
    await pause();
  }
}

const some = (count: number, id: number): CommandSpec[] =>
  Array.from({ length: count }, (_, at) => ({ bucketId: id, key: `k${at}`, value: `${id}-${at}` }));

async function filled(count: number, engine = memoryEngine()): Promise<StoreFixture> {
  const store = await StoreFixture.start({}, engine);
  await store.apply({ commands: [...some(count, one), ...some(count, two)] });
  await store.sync();
  return store;
}

test('a dropped bucket goes from the disk with its index, and the others stay', async (t) => {
  const store = await filled(500);
  t.is(held(store.engine, two), 1000);
  t.deepEqual(await store.apply({ commands: [{ key: '', bucketId: two, drop: true }] }), [
    { code: 0, revision: 0, found: true },
  ]);
  t.true(store.store.isDropped(two));
  t.deepEqual([...store.store.droppedBuckets(theShard)], [two]);
  await untilGone(store.engine, two);
  t.is(held(store.engine, one), 1000);
  t.is(await store.text('k7'), '1-7');
});

test('what was applied just before, and is not in the engine yet, goes as well', async (t) => {
  const store = await StoreFixture.start();
  await store.apply({ commands: [...some(300, two), { key: '', bucketId: two, drop: true }] });
  t.is(held(store.engine, two), 0, 'not there yet');
  for (let turns = 0; turns < 200; turns++) await pause();
  t.is(store.store.pendingWriteBytes, 0);
  t.is(held(store.engine, two), 0, 'there no more');
});

test('commands on a dropped bucket do nothing and take no revision, however far the removal has come', async (t) => {
  const late: CommandSpec[] = [
    { bucketId: two, key: 'k1', value: 'late' },
    { bucketId: two, key: 'k2', value: 'late', absent: true },
    { bucketId: two, key: 'k3' },
    { bucketId: two, key: 'k4', value: 'late', ifValue: '2-4' },
    { bucketId: one, key: 'k', value: 'v' },
  ];
  const [early, tardy] = [await filled(200), await filled(200)];
  for (const store of [early, tardy]) await store.apply({ commands: [{ key: '', bucketId: two, drop: true }] });
  await untilGone(early.engine, two);
  const outcomes = await early.apply({ commands: late });
  t.deepEqual(outcomes.slice(0, 4), [notFound, notFound, notFound, notFound]);
  t.deepEqual(await tardy.apply({ commands: late }), outcomes);
  for (const store of [early, tardy]) {
    await untilGone(store.engine, two);
    await store.sync();
  }
  t.deepEqual(early.dump(), tardy.dump());
});

/** The process dies with its n-th write from now on: that one and all later ones never happen. */
function dyingAfter(engine: MemoryEngine, writes: number): MemoryEngine {
  let left = writes;
  return {
    ...engine,
    getMany: engine.getMany.bind(engine),
    iterate: engine.iterate.bind(engine),
    batch() {
      const batch = engine.batch();
      const { write } = batch;
      batch.write = (sync, callback) => {
        if (left-- > 0) write.call(batch, sync, callback);
      };
      return batch;
    },
  } as MemoryEngine;
}

test('a removal that was broken off anywhere is gone on with by the next start, and done again it changes nothing', async (t) => {
  for (let writes = 0; writes < 8; writes++) {
    const engine = memoryEngine();
    await filled(400, engine);
    const dying = await StoreFixture.start({}, dyingAfter(engine, writes));
    await dying.apply({ commands: [{ key: '', bucketId: two, drop: true }] });
    for (let turns = 0; turns < 100; turns++) await pause();
    const isPartial = held(engine, two) < 800;
    const next = await StoreFixture.start({}, engine);
    const isKnown = next.store.isDropped(two);
    t.true(isKnown || !isPartial, `${writes} writes: nothing goes before it is durable that the bucket was dropped`);
    if (!isKnown) await next.apply({ commands: [{ key: '', bucketId: two, drop: true }] });
    await untilGone(engine, two);
    t.deepEqual(await next.apply({ commands: [{ key: '', bucketId: two, drop: true }] }), [
      { code: 0, revision: 0, found: false },
    ]);
    t.is(held(engine, one), 800);
    t.deepEqual(await next.apply({ commands: [{ bucketId: two, key: 'k1', value: 'x' }] }), [notFound]);
  }
});

test('a snapshot has no dropped bucket, tells of it, and takes what the receiver held of it', async (t) => {
  const [from, to] = [await filled(50), await filled(60)];
  await from.apply({ commands: [{ key: '', bucketId: two, drop: true }] });
  await from.sync();
  const { path, metadata } = await from.stageSnapshot(to.files);
  await to.store.installSnapshot(theShard, path, metadata);
  t.is(held(to.engine, two), 0);
  t.is(held(to.engine, one), 100);
  t.true(to.store.isDropped(two));
  await to.restart();
  t.deepEqual([...to.store.droppedBuckets(theShard)], [two]);
  t.deepEqual(await to.apply({ commands: [{ bucketId: two, key: 'k1', value: 'x' }] }), [notFound]);
});

test('a node that was never told of a bucket sends and replaces it all the same', async (t) => {
  const [from, to] = [await StoreFixture.start(), await filled(30)];
  await from.apply({ commands: some(10, 3) });
  await from.sync();
  const { path, metadata } = await from.stageSnapshot(to.files);
  await to.store.installSnapshot(theShard, path, metadata);
  t.deepEqual(
    [one, two, bucketId(3)].map((id) => held(to.engine, id)),
    [0, 0, 20],
  );
});

test('closing the store ends a removal; the next start has the rest', async (t) => {
  const engine = memoryEngine();
  const store = await filled(2000, engine);
  await store.apply({ commands: [{ key: '', bucketId: two, drop: true }] });
  await store.store.close();
  const before = held(engine, two);
  for (let turns = 0; turns < 20; turns++) await pause();
  t.is(held(engine, two), before);
  await StoreFixture.start({}, engine);
  await untilGone(engine, two);
  t.pass();
});

const share = (id: BucketId, cacheShare: number) => ({ id, cacheShare, isRemoved: false });

/** A head of 16, the data key of a key of 2, an encoded value of 4, in whole words. */
const leastRecordBytes = 36;

const bytesOf = (store: StoreFixture): number => store.store.statistics.cachedBytes;

test('a bucket with a share keeps its values however much the others read, and has no more than its share', async (t) => {
  const store = await StoreFixture.start({ cacheBytes: 20_000 });
  store.store.useBuckets([share(one, 0), share(two, 0.25)]);
  await store.apply({ commands: some(10, two) });
  await store.apply({ commands: some(1000, one) });
  await store.sync();
  for (let at = 0; at < 10; at++) t.truthy(store.store.getNow(two, Buffer.from(`k${at}`), 0));
  t.true(bytesOf(store) <= 20_000);
  await store.apply({ commands: some(1000, two) });
  await store.sync();
  const inMemory = some(1000, two).filter(({ key }) => store.store.getNow(two, Buffer.from(key), 0) !== undefined);
  const most = 5000 / leastRecordBytes;
  t.true(inMemory.length > most / 2 && inMemory.length <= most, `${inMemory.length} values in a share of 5000 bytes`);
});

test('shares of more than there is leave the others a tenth', async (t) => {
  const store = await StoreFixture.start({ cacheBytes: 50_000 });
  store.store.useBuckets([share(one, 0), share(two, 1), share(bucketId(3), 1)]);
  for (const id of [one, two, 3]) await store.apply({ commands: some(1500, id) });
  await store.sync();
  const inMemory = (id: number): number =>
    some(1500, id).filter(({ key }) => store.store.getNow(bucketId(id), Buffer.from(key), 0) !== undefined).length;
  t.true(bytesOf(store) <= 50_000);
  const most = 5000 / leastRecordBytes;
  t.true(inMemory(one) > most / 2 && inMemory(one) <= most, `${inMemory(one)}`);
  t.true(inMemory(two) > 3 * inMemory(one) && inMemory(two) < 6 * inMemory(one), `${inMemory(two)}`);
  t.is(inMemory(two), inMemory(3));
});

test('a bucket that gave its share up and has it back finds nothing old in the common cache', async (t) => {
  const store = await StoreFixture.start({ cacheBytes: 10_000 });
  const write = async (value: string): Promise<void> => {
    await store.apply({ commands: [{ key: 'a', value }] });
    await store.sync();
  };
  // As many bytes are common all along.
  store.store.useBuckets([share(one, 0), share(two, 0.3)]);
  await write('old');
  store.store.useBuckets([share(one, 0.3), share(two, 0)]);
  await write('new');
  store.store.useBuckets([share(one, 0), share(two, 0.3)]);
  t.is(await store.text('a'), 'new');
});

test('whatever the shares become, a read finds the newest value', async (t) => {
  const step = fc.oneof(
    fc.record({
      kind: fc.constant('put' as const),
      id: fc.constantFrom(1, 2),
      key: fc.constantFrom('a', 'b'),
      value: fc.option(fc.constantFrom('x', 'y', 'z'), { nil: undefined }),
    }),
    fc.record({ kind: fc.constant('share' as const), a: fc.constantFrom(0, 0.3), b: fc.constantFrom(0, 0.3, 0.6) }),
    fc.record({ kind: fc.constant('sync' as const) }),
  );
  const run = fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
    const store = await StoreFixture.start({ cacheBytes: 10_000 });
    const model = new Map<string, string | undefined>();
    for (const each of steps) {
      if (each.kind === 'sync') await store.sync();
      else if (each.kind === 'share') store.store.useBuckets([share(one, each.a), share(two, each.b)]);
      else {
        model.set(`${each.id} ${each.key}`, each.value);
        await store.apply({ commands: [{ bucketId: each.id, key: each.key, value: each.value }] });
      }
      for (const [name, expected] of model) {
        const [id, key] = name.split(' ') as [string, string];
        const [value] = await new Promise<readonly ({ value: Buffer } | undefined)[]>((resolve) =>
          store.store.getMany([{ bucketId: bucketId(Number(id)), key: Buffer.from(key) }], 0, (_error, values) =>
            resolve(values),
          ),
        );
        t.is(value?.value.toString(), expected, name);
      }
    }
  });
  await fc.assert(run, { numRuns: 100 });
});
