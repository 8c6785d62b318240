/** The numbered contract of src/engine/engine.ts, against every adapter. */
import test from 'ava';
import fc from 'fast-check';
import { RingraftError } from '../../src/base/index.js';
import { type Engine, engineTypes, memoryEngine, openEngine } from '../../src/engine/index.js';
import { type Change, drain, everything, getValues, nextPairs, writeChanges } from '../support/engine-calls.js';
import { inDirectory } from '../support/temporary-directory.js';

type Fixture = { readonly name: string; make(directory: string): Engine };

const fixtures: readonly Fixture[] = [
  { name: 'memory', make: () => memoryEngine() },
  ...engineTypes.map((type) => ({ name: type, make: (directory: string) => openEngine(type, directory) })),
];

for (const { name, make } of fixtures) {
  const withEngine = (body: (engine: Engine, directory: string) => Promise<void>): Promise<void> =>
    inDirectory('engine', async (directory) => {
      const engine = make(directory);
      await engine.open();
      try {
        await body(engine, directory);
      } finally {
        await engine.close();
      }
    });

  test(`${name}: keys order as unsigned bytes, empty values are values`, (t) =>
    withEngine(async (engine) => {
      const keys = ['\x00', '\x00\x00', 'a', 'a\x00', 'aa', 'b', '\x7f', '\x80', '\xff', '\xff\xff'];
      const shuffled = [...keys].reverse();
      await writeChanges(
        engine,
        shuffled.map((key): Change => [key, key === 'a' ? '' : `value of ${key}`]),
      );
      const found = await drain(engine.iterate(everything));
      t.deepEqual(
        found.map(([key]) => key),
        keys,
      );
      t.deepEqual(await getValues(engine, ['b', 'a', 'none', '\xff']), ['value of b', '', undefined, 'value of \xff']);
    }));

  test(`${name}: ranges include gte and exclude lt, either way round, with or without values`, (t) =>
    withEngine(async (engine) => {
      await writeChanges(
        engine,
        ['a', 'b', 'c', 'd'].map((key): Change => [key, key.toUpperCase()]),
      );
      const range = { gte: Buffer.from('b'), lt: Buffer.from('d') };
      const keyOnly = await drain(engine.iterate({ ...range, keysOnly: true }));
      t.deepEqual(await drain(engine.iterate(range)), [
        ['b', 'B'],
        ['c', 'C'],
      ]);
      t.deepEqual(await drain(engine.iterate({ ...range, reverse: true })), [
        ['c', 'C'],
        ['b', 'B'],
      ]);
      t.deepEqual(keyOnly, [
        ['b', ''],
        ['c', ''],
      ]);
      t.deepEqual(await drain(engine.iterate({ gte: Buffer.from('x'), lt: Buffer.from('z') })), []);
    }));

  test(`${name}: the last change of a key in a batch wins, and a batch counts its changes`, (t) =>
    withEngine(async (engine) => {
      const batch = engine.batch();
      batch.put(Buffer.from('k'), Buffer.from('1'));
      batch.delete(Buffer.from('k'));
      batch.put(Buffer.from('k'), Buffer.from('2'));
      t.is(batch.size, 3);
      await new Promise<void>((resolve, reject) => batch.write(true, (error) => (error ? reject(error) : resolve())));
      t.deepEqual(await getValues(engine, ['k']), ['2']);
      await writeChanges(engine, [['k', undefined]]);
      t.deepEqual(await getValues(engine, ['k']), [undefined]);
    }));

  test(`${name}: what a batch was given may be changed as soon as it has it`, (t) =>
    withEngine(async (engine) => {
      await writeChanges(engine, [['gone', 'here']]);
      const batch = engine.batch();
      const key = Buffer.from('keyA');
      const value = Buffer.alloc(5000, 'a');
      const deleted = Buffer.from('gone');
      batch.put(key, value);
      batch.delete(deleted);
      key.write('keyB');
      value.fill('b');
      deleted.write('keyA');
      await new Promise<void>((resolve, reject) => batch.write(true, (error) => (error ? reject(error) : resolve())));
      key.write('keyC');
      value.fill('c');
      t.deepEqual(await getValues(engine, ['keyA', 'keyB', 'keyC', 'gone']), [
        'a'.repeat(5000),
        undefined,
        undefined,
        undefined,
      ]);
    }));

  test(`${name}: an iterator sees the state at its creation`, (t) =>
    withEngine(async (engine) => {
      await writeChanges(engine, [
        ['a', '1'],
        ['b', '1'],
      ]);
      const iterator = engine.iterate(everything);
      const written = writeChanges(engine, [
        ['a', '2'],
        ['b', undefined],
        ['c', '2'],
      ]);
      await written;
      t.deepEqual(await drain(iterator, 1), [
        ['a', '1'],
        ['b', '1'],
      ]);
      t.deepEqual(await drain(engine.iterate(everything)), [
        ['a', '2'],
        ['c', '2'],
      ]);
    }));

  test(`${name}: a page holds at most the count asked, and an empty one ends the range`, (t) =>
    withEngine(async (engine) => {
      const keys = Array.from({ length: 400 }, (_, at) => `key-${String(at).padStart(4, '0')}`);
      await writeChanges(
        engine,
        keys.map((key): Change => [key, 'v'.repeat(700)]),
      );
      const iterator = engine.iterate(everything);
      const found: string[] = [];
      for (;;) {
        const pairs = await nextPairs(iterator, 150);
        t.true(pairs.length <= 150);
        if (pairs.length === 0) break;
        for (const [key] of pairs) found.push(key.toString());
      }
      iterator.close();
      t.deepEqual(found, keys);
    }));

  test(`${name}: small pairs come by the hundred, whatever is read ahead`, (t) =>
    withEngine(async (engine) => {
      const keys = Array.from({ length: 300 }, (_, at) => `key-${String(at).padStart(4, '0')}`);
      await writeChanges(
        engine,
        keys.map((key): Change => [key, 'v']),
      );
      const page = engine.iterate(everything);
      t.true((await nextPairs(page, 250)).length >= 100);
      page.close();
      const found = await drain(engine.iterate({ ...everything, readAheadBytes: 64, keysOnly: true }));
      t.deepEqual(
        found,
        keys.map((key) => [key, '']),
      );
    }));

  test(`${name}: batches become visible in the order they were written`, (t) =>
    withEngine(async (engine) => {
      for (let at = 0; at < 20; at++) {
        await writeChanges(engine, [['k', String(at)]], at % 7 === 0);
        t.deepEqual(await getValues(engine, ['k']), [String(at)]);
      }
    }));

  test(`${name}: callbacks never run before the call returns`, (t) =>
    withEngine(async (engine) => {
      await writeChanges(engine, [['a', '1']]);
      const iterator = engine.iterate(everything);
      const ran: string[] = [];
      const all = Promise.all([
        new Promise<void>((resolve) => {
          engine.getMany([Buffer.from('a')], () => {
            ran.push('getMany');
            resolve();
          });
        }),
        nextPairs(iterator, 1).then(() => ran.push('next')),
        new Promise<void>((resolve) => {
          const batch = engine.batch();
          batch.put(Buffer.from('b'), Buffer.from('2'));
          batch.write(false, () => {
            ran.push('write');
            resolve();
          });
        }),
      ]);
      t.deepEqual(ran, []);
      await all;
      t.deepEqual([...ran].sort(), ['getMany', 'next', 'write']);
      iterator.close();
    }));

  test(`${name}: compacting a range and asking for its size change nothing`, (t) =>
    withEngine(async (engine) => {
      await writeChanges(engine, [
        ['a', '1'],
        ['b', '2'],
      ]);
      await engine.compactRange(everything.gte, everything.lt);
      const bytes = await engine.approximateBytes(everything.gte, everything.lt);
      t.true(bytes === undefined || bytes >= 0);
      t.deepEqual(await getValues(engine, ['a', 'b']), ['1', '2']);
    }));

  test(`${name}: agrees with a map`, (t) =>
    withEngine(async (engine) => {
      const key = fc.constantFrom('a', 'b', 'c', '\x00', '\xff', 'ab');
      const change = fc.tuple(key, fc.option(fc.constantFrom('', '1', '2'), { nil: undefined }));
      const model = new Map<string, string>();
      const property = fc.asyncProperty(fc.array(change, { maxLength: 8 }), fc.boolean(), async (changes, sync) => {
        await writeChanges(engine, changes, sync);
        for (const [name, value] of changes) {
          if (value === undefined) model.delete(name);
          else model.set(name, value);
        }
        const expected = [...model].sort(([a], [b]) => (a < b ? -1 : 1));
        t.deepEqual(await drain(engine.iterate(everything)), expected);
      });
      await fc.assert(property, { numRuns: 40 });
    }));
}

for (const type of engineTypes) {
  test(`${type}: what was written is there after closing and opening again`, (t) =>
    inDirectory('engine', async (directory) => {
      const first = openEngine(type, directory);
      await first.open();
      await writeChanges(first, [['a', '1']], false);
      await first.close();
      const second = openEngine(type, directory);
      await second.open();
      t.deepEqual(await getValues(second, ['a']), ['1']);
      await second.close();
    }));

  test(`${type}: a second opening of a directory in use is refused as LOCKED`, (t) =>
    inDirectory('engine', async (directory) => {
      const first = openEngine(type, directory);
      await first.open();
      const error = await t.throwsAsync(openEngine(type, directory).open(), { instanceOf: RingraftError });
      t.is(error.code, 'LOCKED');
      await first.close();
    }));
}

test('memory: a crash loses the batches after the last synced one, from some point on', async (t) => {
  const engine = memoryEngine();
  await writeChanges(engine, [['a', '1']], false);
  await writeChanges(engine, [['b', '1']], true);
  await writeChanges(engine, [['c', '1']], false);
  await writeChanges(engine, [
    ['d', '1'],
    ['a', '2'],
  ]);
  engine.crash(1);
  t.deepEqual(await drain(engine.iterate(everything)), [
    ['a', '1'],
    ['b', '1'],
    ['c', '1'],
  ]);
  await writeChanges(engine, [['c', '2']], false);
  engine.crash();
  t.deepEqual(await getValues(engine, ['a', 'b', 'c', 'd']), ['1', '1', '1', undefined]);
});
