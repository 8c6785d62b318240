/** An engine may give fewer pairs than asked before the range ends (contract of its iterators); nothing may be missed. */
import test from 'ava';
import { memoryEngine } from '../../../src/engine/memory-engine.js';
import { StoreFixture, theShard } from '../../support/store-fixture.js';

function stingyEngine(most: number) {
  const engine = memoryEngine();
  const iterate = engine.iterate.bind(engine);
  engine.iterate = (range) => {
    const iterator = iterate(range);
    return { ...iterator, next: (count, callback) => iterator.next(Math.min(count, most), callback) };
  };
  return engine;
}

test('scans and snapshots are whole over an engine that gives short pages', async (t) => {
  const store = await StoreFixture.start({}, stingyEngine(7));
  const names = Array.from({ length: 100 }, (_, at) => `k${String(at).padStart(3, '0')}`);
  await store.apply({ client: 'client-1', commands: names.map((key) => ({ key, value: key })) });
  await store.sync();
  const { pairs, more } = await store.scan();
  t.deepEqual(
    pairs.map(({ key }) => key.toString()),
    names,
  );
  t.false(more);
  const target = await StoreFixture.start({}, stingyEngine(3));
  const { path, metadata } = await store.stageSnapshot(target.files);
  await target.store.installSnapshot(theShard, path, metadata);
  t.deepEqual(target.dump(), store.dump());
});
