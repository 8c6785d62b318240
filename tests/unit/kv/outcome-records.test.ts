/**
 * Goal: whatever records of outcomes are in the engine, a repeated write is answered as the first time after a restart, and
 * records go when the session table covers them. Method: the engine in memory, crashes between batches; records of one
 * entry are what versions before wrote, with a position of their version.
 */
import test, { type ExecutionContext } from 'ava';
import { randomBetween, seededRandom } from '../../../src/base/index.js';
import type { Engine } from '../../../src/engine/index.js';
import { memoryEngine } from '../../../src/engine/memory-engine.js';
import { SystemKind, systemKey } from '../../../src/kv/keys.js';
import { type EntrySpec, StoreFixture, theShard } from '../../support/store-fixture.js';

const seed = Number(process.env.TEST_SEED ?? Date.now() % 1_000_000);
/** The session table is written every so many entries. */
const tableEvery = 512;

const write = (sequence: number): EntrySpec => ({
  client: `client-${sequence % 3}`,
  commands: [{ key: `k${sequence % 5}`, value: `${sequence}`, sequence }],
});

/** Every write of these is known, and changes nothing. */
async function checkKnown(t: ExecutionContext, store: StoreFixture, first: number, last: number): Promise<void> {
  for (let sequence = first; sequence <= last; sequence++) {
    const again = await store.apply(write(sequence));
    t.deepEqual(again, [{ code: 0, revision: sequence, found: true }], `write ${sequence}`);
  }
}

async function applyWrites(store: StoreFixture, first: number, last: number, syncEach = false): Promise<void> {
  for (let sequence = first; sequence <= last; sequence++) {
    await store.apply(write(sequence));
    if (syncEach) await store.sync();
  }
  await store.sync();
}

/** As a version before would have left it: its records have one entry each. */
async function makePositionOld(store: StoreFixture): Promise<void> {
  const key = systemKey(theShard, SystemKind.Position);
  const [, value] = store.engine.dump().find(([found]) => found.equals(key)) as readonly [Buffer, Buffer];
  const old = Buffer.from(value);
  old[0] = 2;
  const batch = store.engine.batch();
  batch.put(key, old);
  await new Promise<void>((resolve) => batch.write(true, () => resolve()));
}

const indexes = (store: StoreFixture): readonly number[] => store.outcomeRecords.map(({ index }) => index);

test('the entries of one batch are one record, which is known after a crash', async (t) => {
  const store = await StoreFixture.start();
  await applyWrites(store, 1, 7);
  await applyWrites(store, 8, 9);
  t.deepEqual(indexes(store), [7, 9]);
  store.engine.crash();
  t.is(await store.restart(), 9);
  await checkKnown(t, store, 1, 9);
});

test('an entry without sessions leaves no record, and a repeated write no second answer', async (t) => {
  const store = await StoreFixture.start();
  await store.apply({ commands: [{ key: 'a', value: '1' }] });
  await store.sync();
  t.deepEqual(indexes(store), []);
  await store.apply(write(2));
  await store.sync();
  await store.apply(write(2));
  await store.sync();
  const [first, again] = store.outcomeRecords;
  t.is((first?.bytes.length ?? 0) - (again?.bytes.length ?? 0), 22, 'a client id and an outcome');
});

test('records of versions before are known, and those of many entries beside them', async (t) => {
  const store = await StoreFixture.start();
  await applyWrites(store, 1, 5, true);
  t.deepEqual(indexes(store), [1, 2, 3, 4, 5]);
  await makePositionOld(store);
  store.engine.crash();
  t.is(await store.restart(), 5);
  await applyWrites(store, 6, 12);
  t.deepEqual(indexes(store), [1, 2, 3, 4, 5, 12]);
  store.engine.crash();
  t.is(await store.restart(), 12);
  await checkKnown(t, store, 1, 12);
});

test('the session table takes over what records of either kind hold, and no other records go', async (t) => {
  const store = await StoreFixture.start();
  await applyWrites(store, 1, 3, true);
  await makePositionOld(store);
  store.engine.crash();
  await store.restart();
  await applyWrites(store, 4, 300);
  await applyWrites(store, 301, tableEvery - 1);
  t.deepEqual(indexes(store), [1, 2, 3, 300, tableEvery - 1]);
  // The table is made in the middle of a batch.
  await applyWrites(store, tableEvery, tableEvery + 2);
  t.deepEqual(indexes(store), [tableEvery + 2]);
  store.engine.crash();
  t.is(await store.restart(), tableEvery + 2);
  await checkKnown(t, store, 1, tableEvery + 2);
});

/** Tells of each key that is deleted whether it was there. */
function watchDeletes(engine: Engine, onDelete: (key: Buffer) => void): void {
  const make = engine.batch.bind(engine);
  engine.batch = () => {
    const batch = make();
    const remove = batch.delete.bind(batch);
    batch.delete = (key) => {
      onDelete(key);
      remove(key);
    };
    return batch;
  };
}

test(`crashes anywhere around a session table leave every answer known, and every record goes once`, async (t) => {
  t.log(`seed ${seed}`);
  const random = seededRandom(seed);
  const last = 2 * tableEvery + 40;
  const dumps = new Map<number, readonly string[]>();
  const whole = await StoreFixture.start();
  for (let sequence = 1; sequence <= last; sequence++) {
    await whole.apply(write(sequence));
    await whole.sync();
    if (sequence > tableEvery - 20) dumps.set(sequence, whole.dump());
  }
  for (const crashAt of [0, 1, 2, 3].map((at) => tableEvery - 2 + 2 * at + randomBetween(random, 0, 3))) {
    const engine = memoryEngine();
    const inEngine = new Set<string>();
    const strays: string[] = [];
    watchDeletes(engine, (key) => {
      if (key[0] === 0x73 && key[3] === SystemKind.Outcomes && !inEngine.delete(key.toString('hex'))) {
        strays.push(key.toString('hex'));
      }
    });
    const note = (): void => {
      for (const { index } of store.outcomeRecords) {
        inEngine.add(systemKey(theShard, SystemKind.Outcomes, index).toString('hex'));
      }
    };
    const store = await StoreFixture.start({}, engine);
    await applyWrites(store, 1, 400);
    note();
    for (let sequence = 401; sequence <= crashAt; sequence++) {
      await store.apply(write(sequence));
      if (randomBetween(random, 0, 20) === 0) await store.sync();
      note();
    }
    store.engine.crash(randomBetween(random, 0, 2));
    const reached = await store.restart();
    inEngine.clear();
    note();
    t.true(reached >= 400 && reached <= crashAt);
    if (reached > tableEvery - 20) t.deepEqual(store.dump(), dumps.get(reached), `restart at ${reached}`);
    await applyWrites(store, reached + 1, last);
    t.deepEqual(store.dump(), dumps.get(last));
    t.deepEqual(strays, [], 'nothing is deleted that was not there');
    await store.restart();
    await checkKnown(t, store, 1, last);
  }
});
