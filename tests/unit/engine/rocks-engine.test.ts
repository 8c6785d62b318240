/** Goal: batches leave no memory behind that only V8's collector gives back, and one used again holds nothing of its last use. */
import { createRequire } from 'node:module';
import test from 'ava';
import { AssertionError, RingraftError } from '../../../src/base/index.js';
import { type Engine, type EngineBatch, openEngine } from '../../../src/engine/index.js';
import { getValues } from '../../support/engine-calls.js';
import { inDirectory } from '../../support/temporary-directory.js';

type Binding = { prototype: { _chainedBatch(): object } };
const binding = createRequire(import.meta.url)('rocksdb') as Binding;

/** How many batches the binding has made, whose memory it frees when they are collected. */
let made = 0;
const make = binding.prototype._chainedBatch;
binding.prototype._chainedBatch = function (this: object): object {
  made++;
  return make.call(this);
};

const write = (batch: EngineBatch): Promise<void> =>
  new Promise((resolve, reject) => batch.write(false, (error) => (error ? reject(error) : resolve())));

function filled(engine: Engine, key: string, bytes = 100): EngineBatch {
  const batch = engine.batch();
  batch.put(Buffer.from(key), Buffer.alloc(bytes, key));
  return batch;
}

const withEngine = (body: (engine: Engine) => Promise<void>): Promise<void> =>
  inDirectory('engine', async (directory) => {
    const engine = openEngine('rocksdb', directory);
    await engine.open();
    try {
      await body(engine);
    } finally {
      await engine.close();
    }
  });

test.serial('batches are written in the memory of those before', (t) =>
  withEngine(async (engine) => {
    const before = made;
    for (let count = 0; count < 100; count++) await write(filled(engine, `k${count}`));
    t.is(made - before, 1);
    for (let count = 0; count < 20; count++) {
      await Promise.all(['a', 'b', 'c'].map((name) => write(filled(engine, `${name}${count}`))));
    }
    // Two are kept.
    t.is(made - before, 1 + 2 + 19);
  }),
);

test.serial('one that has grown large is left to the collector', (t) =>
  withEngine(async (engine) => {
    const before = made;
    await write(filled(engine, 'large', 3 * 1024 * 1024));
    await write(filled(engine, 'small'));
    t.is(made - before, 2);
  }),
);

test.serial('a batch has nothing of the one whose memory it has', (t) =>
  withEngine(async (engine) => {
    await write(filled(engine, 'k', 1));
    const [first, deletion] = [filled(engine, 'x', 1), engine.batch()];
    deletion.delete(Buffer.from('k'));
    await write(first);
    await write(deletion);
    const again = [filled(engine, 'y', 1), filled(engine, 'z', 1)];
    t.deepEqual(
      again.map(({ size }) => size),
      [1, 1],
    );
    // One of these was the first, which put what the deletion took.
    await Promise.all(again.map(write));
    t.deepEqual(await getValues(engine, ['k', 'x', 'y', 'z']), [undefined, 'x', 'y', 'z']);
  }),
);

test.serial('a batch that was written is not to be used: its memory may be another’s', (t) =>
  withEngine(async (engine) => {
    const batch = filled(engine, 'k');
    const written = write(batch);
    for (const use of [
      () => batch.put(Buffer.from('k'), Buffer.from('2')),
      () => batch.delete(Buffer.from('k')),
      () => batch.write(false, () => {}),
    ]) {
      t.throws(use, { instanceOf: AssertionError });
    }
    await written;
    t.throws(() => batch.put(Buffer.from('k'), Buffer.from('2')), { instanceOf: AssertionError });
  }),
);

test.serial('memory of a database that was closed is not used for another', (t) =>
  inDirectory('engine', async (directory) => {
    const engine = openEngine('rocksdb', directory);
    const before = made;
    for (let count = 0; count < 3; count++) {
      await engine.open();
      await write(filled(engine, `k${count}`, 3));
      t.deepEqual(await getValues(engine, [`k${count}`]), [`k${count}k`]);
      await engine.close();
      t.throws(() => engine.batch(), { instanceOf: RingraftError, message: /not open/ });
    }
    t.is(made - before, 3);
  }),
);
