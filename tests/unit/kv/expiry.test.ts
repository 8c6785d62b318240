/** What has expired is found in the order of time, and its room is given back; nothing that lives is lost by it. */
import test from 'ava';
import { CommandKind } from '../../../src/wire/index.js';
import { StoreFixture, theShard } from '../../support/store-fixture.js';

test('expired keys are found in the order of time, page by page, and no key that lives', async (t) => {
  const store = await StoreFixture.start();
  await store.apply({
    timeMs: 100,
    commands: [
      { key: 'c', value: '3', expiresAtMs: 300 },
      { key: 'a', value: '1', expiresAtMs: 150 },
      { key: 'b', value: '2', expiresAtMs: 200 },
      { key: 'd', value: '4' },
    ],
  });
  await store.sync();
  t.deepEqual(await store.store.expired(149, undefined, 10), []);
  const all = await store.store.expired(300, undefined, 10);
  t.deepEqual(
    all.map(({ key, expiresAtMs }) => [key.toString(), expiresAtMs]),
    [
      ['a', 150],
      ['b', 200],
      ['c', 300],
    ],
  );
  const first = await store.store.expired(300, undefined, 2);
  t.is(first.length, 2);
  const rest = await store.store.expired(300, first[1]?.hint, 2);
  t.deepEqual(
    rest.map(({ key }) => key.toString()),
    ['c'],
  );
});

test('a reclaim leaves nothing of the key, and takes away a hint that has outlived its time', async (t) => {
  const store = await StoreFixture.start();
  const reclaim = (key: string, expiresAtMs: number) => ({ key, value: '', kind: CommandKind.Reclaim, expiresAtMs });
  await store.apply({
    timeMs: 100,
    commands: [
      { key: 'a', value: '1', expiresAtMs: 150 },
      { key: 'b', value: '2', expiresAtMs: 150 },
    ],
  });
  await store.sync();
  t.is(store.expiryHints, 2);
  await store.restart();
  // Nobody remembers the old value: its hint stays behind.
  await store.apply({ timeMs: 110, commands: [{ key: 'b', value: '3' }] });
  await store.sync();
  t.is(store.expiryHints, 2);
  await store.apply({ timeMs: 200, commands: [reclaim('a', 150), reclaim('b', 150)] });
  await store.sync();
  t.is(store.expiryHints, 0);
  t.is(await store.text('a', 100), undefined);
  t.is(await store.text('b', 1000), '3');
  t.deepEqual(
    store.dump().filter((pair) => pair.startsWith('64') || pair.startsWith('69')).length,
    2,
    'the data and the index of one key',
  );
});

test('an installed snapshot brings the hints of what will expire', async (t) => {
  const source = await StoreFixture.start();
  await source.apply({
    timeMs: 100,
    commands: [
      { key: 'a', value: '1', expiresAtMs: 150 },
      { key: 'b', value: '2' },
    ],
  });
  await source.sync();
  const target = await StoreFixture.start();
  const { path, metadata } = await source.stageSnapshot(target.files);
  await target.store.installSnapshot(theShard, path, metadata);
  t.deepEqual(
    (await target.store.expired(1000, undefined, 10)).map(({ key }) => key.toString()),
    ['a'],
  );
});
