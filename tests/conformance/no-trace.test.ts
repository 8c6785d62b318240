/** A deleted key leaves nothing on disk once the engine has compacted: no tombstone of ours, no entry in the index. */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { systemClock } from '../../src/base/index.js';
import { engineTypes, openEngine } from '../../src/engine/index.js';
import { Store } from '../../src/kv/index.js';
import { initHash } from '../../src/ring/index.js';
import { CommandKind } from '../../src/wire/index.js';
import { configuration, entryAt, MemoryFiles, theShard, wholeRing } from '../support/store-fixture.js';

const all = { gte: Buffer.from([0]), lt: Buffer.from([0xff, 0xff]) };

for (const type of engineTypes) {
  test(`${type}: keys that were deleted or have expired leave no trace after compaction, others stay`, async (t) => {
    await initHash();
    const directory = mkdtempSync(join(tmpdir(), 'ringraft-trace-'));
    t.teardown(() => rmSync(directory, { recursive: true, force: true }));
    const engine = openEngine(type, join(directory, 'state'));
    await engine.open();
    const onFailure = (error: Error): void => t.fail(error.message);
    const store = await Store.open(engine, {
      clock: systemClock,
      cacheBytes: 1000,
      files: new MemoryFiles(),
      onFailure,
    });
    await store.openShard(theShard, wholeRing);
    store.createShard(theShard, configuration);
    const apply = (index: number, timeMs: number, commands: Parameters<typeof entryAt>[1]['commands']): Promise<void> =>
      new Promise((resolve) => store.apply(theShard, [entryAt(index, { timeMs, commands })], () => resolve()));
    await apply(1, 100, [
      { key: 'SECRET-deleted', value: 'VALUE-deleted' },
      { key: 'SECRET-expired', value: 'VALUE-expired', expiresAtMs: 200 },
      { key: 'SECRET-kept', value: 'VALUE-kept' },
    ]);
    await new Promise<void>((resolve) => store.syncMarker(() => resolve()));
    // In a table of their own, which the deletions have to be merged with.
    await engine.compactRange(all.gte, all.lt);
    await apply(2, 300, [
      { key: 'SECRET-deleted' },
      { key: 'SECRET-expired', value: '', kind: CommandKind.Reclaim, expiresAtMs: 200 },
    ]);
    await new Promise<void>((resolve) => store.syncMarker(() => resolve()));
    const held: string[] = [];
    const iterator = engine.iterate(all);
    for (;;) {
      const pairs = await new Promise<readonly (readonly [Buffer, Buffer])[]>((resolve, reject) => {
        iterator.next(100, (error, some) => (error === undefined ? resolve(some) : reject(error)));
      });
      if (pairs.length === 0) break;
      for (const [key, value] of pairs) held.push(key.toString('latin1'), value.toString('latin1'));
    }
    await new Promise<void>((resolve) => iterator.close(resolve));
    t.false(
      held.some((text) => /deleted|expired/.test(text)),
      'no key, no index, no hint',
    );
    t.is(held.filter((text) => text.includes('kept')).length, 3, 'a data key with its value, and the index');
    await engine.compactRange(all.gte, all.lt);
    await store.close();
    await engine.close();
    const files = readdirSync(join(directory, 'state')).filter((name) => /\.(sst|ldb)$/.test(name));
    const bytes = Buffer.concat(files.map((name) => readFileSync(join(directory, 'state', name))));
    t.true(files.length > 0);
    t.false(/deleted|expired/.test(bytes.toString('latin1')), 'on disk');
  });
}
