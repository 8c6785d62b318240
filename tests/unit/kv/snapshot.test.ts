/** Taking a snapshot, installing it, and stopping in the middle of either (RAFT-PITFALLS 30, 31, 32). */
import { join } from 'node:path';
import test from 'ava';
import { RingraftError } from '../../../src/base/index.js';
import type { EngineBatch } from '../../../src/engine/index.js';
import { nodeSnapshotFiles } from '../../../src/kv/index.js';
import { drain, everything } from '../../support/engine-calls.js';
import { StoreFixture, theShard, wholeRing } from '../../support/store-fixture.js';
import { inDirectory } from '../../support/temporary-directory.js';

/** A shard with values, deletions, sessions and expiry. */
async function filled(count: number, tag: string): Promise<StoreFixture> {
  const store = await StoreFixture.start();
  for (let at = 0; at < count; at++) {
    await store.apply({
      client: `client-${at % 3}`,
      commands: [
        { key: `k${at}`, value: `${tag}${at}`.repeat(1 + (at % 40)), sequence: at + 1 },
        { key: `gone${at % 5}`, value: tag, expiresAtMs: 5000 },
        { key: `gone${(at + 1) % 5}` },
      ],
    });
  }
  await store.sync();
  return store;
}

const isCorrupt = (error: unknown): boolean => error instanceof RingraftError && error.code === 'CORRUPT';

/** The shard's pairs without the intent to install. */
const stateOf = (store: StoreFixture): readonly string[] => store.dump().filter((pair) => !pair.startsWith('73000104'));

test('an installed snapshot is the same state, byte for byte, and repeated commands stay known', async (t) => {
  const source = await filled(60, 'new');
  const target = await filled(25, 'old');
  for (const chunkBytes of [1, 100, 1_000_000]) {
    const { path, metadata } = await source.stageSnapshot(target.files, chunkBytes);
    t.is(metadata.index, 60);
    await target.store.installSnapshot(theShard, path, metadata);
    t.deepEqual(target.dump(), source.dump());
    t.is(target.files.staged.size, 0);
  }
  t.is(await target.text('k59'), await source.text('k59'));
  t.deepEqual((await target.scan()).pairs, (await source.scan()).pairs);
  target.nextIndex = 61;
  const repeated = { client: 'client-2', commands: [{ key: 'k59', value: 'again', sequence: 60 }] };
  t.deepEqual(await target.apply(repeated), await source.apply(repeated));
  t.not(await target.text('k59'), 'again');
});

test('memory that grew by 10 MB a minute: no empty value goes to the engine, whose binding keeps a copy of each', async (t) => {
  const source = await StoreFixture.start();
  await source.apply({
    commands: [
      { key: 'a', value: '', expiresAtMs: 5000 },
      { key: 'b', value: '' },
    ],
  });
  await source.sync();
  const target = await StoreFixture.start();
  const { path, metadata } = await source.stageSnapshot(target.files, 100);
  await target.store.installSnapshot(theShard, path, metadata);
  for (const store of [source, target]) {
    const pairs = await drain(store.engine.iterate(everything));
    const empty = pairs.filter(([, value]) => value === '').map(([key]) => key);
    t.deepEqual(empty, []);
    t.is(pairs.filter(([key]) => key.startsWith('i') || key.startsWith('x')).length, 3);
  }
});

test('a snapshot shows one position, whatever is applied while it is read', async (t) => {
  const source = await filled(40, 'x');
  const still = source.dump();
  const staged = source.stageSnapshot(source.files, 64);
  for (let at = 0; at < 20; at++) {
    await source.apply({ commands: [{ key: `k${at}` }, { key: `later${at}`, value: 'y' }] });
    await new Promise((resolve) => setImmediate(resolve));
  }
  const { path, metadata } = await staged;
  const target = await StoreFixture.start();
  target.files.staged.set(path, source.files.staged.get(path) as Buffer);
  await target.store.installSnapshot(theShard, path, metadata);
  t.is(metadata.index, 40);
  t.deepEqual(target.dump(), still);
});

test('the cache forgets what an installed snapshot replaced', async (t) => {
  const source = await filled(10, 'new');
  const target = await filled(20, 'old');
  t.is(await target.text('k15'), 'old15'.repeat(16));
  t.is(await target.text('k0'), 'old0');
  const { path, metadata } = await source.stageSnapshot(target.files);
  await target.store.installSnapshot(theShard, path, metadata);
  t.is(await target.text('k15'), undefined);
  t.is(await target.text('k0'), 'new0');
});

test('what is read while a snapshot is installed, and comes late, does not stay in the cache', async (t) => {
  const source = await filled(10, 'new');
  const target = await filled(400, 'old');
  await target.sync();
  // Over an empty cache: every read goes to the engine.
  await target.restart();
  const { path, metadata } = await source.stageSnapshot(target.files);
  const { engine } = target;
  const getMany = engine.getMany.bind(engine);
  const held: (() => void)[] = [];
  engine.getMany = (keys, callback) => {
    const isLate = keys.some((key) => key[0] !== 0x73);
    getMany(keys, (error, values) => {
      if (isLate) held.push(() => callback(error, values));
      else callback(error, values);
    });
  };
  const reads = [target.text('k0'), target.text('k399')];
  let isInstalling = true;
  const installed = target.store.installSnapshot(theShard, path, metadata).finally(() => {
    isInstalling = false;
  });
  for (; isInstalling; await new Promise((resolve) => setImmediate(resolve))) {
    reads.push(target.text('k0'), target.text('k5'), target.text('k399'));
  }
  await installed;
  engine.getMany = getMany;
  for (const answer of held) answer();
  const found = await Promise.all(reads);
  t.true(found.includes('old0'));
  t.is(await target.text('k0'), 'new0');
  t.is((await target.text('k5'))?.slice(0, 4), 'new5');
  t.is(await target.text('k399'), undefined);
});

test('pitfall 31: a snapshot that is not the announced one, or not whole, leaves the state untouched', async (t) => {
  const source = await filled(12, 'new');
  const target = await filled(5, 'old');
  const before = target.dump();
  const { path, metadata } = await source.stageSnapshot(target.files, 50);
  const whole = target.files.staged.get(path) as Buffer;
  const install = (bytes: Buffer | undefined, expected = metadata): Promise<void> => {
    if (bytes === undefined) target.files.staged.delete(path);
    else target.files.staged.set(path, bytes);
    return target.store.installSnapshot(theShard, path, expected);
  };
  const refused = async (attempt: Promise<void>, what: string): Promise<void> => {
    t.true(isCorrupt(await t.throwsAsync(attempt, undefined, what)), what);
    t.deepEqual(target.dump(), before, what);
  };
  await refused(install(whole, { ...metadata, index: 11 }), 'another index');
  await refused(install(whole, { ...metadata, term: 2 }), 'another term');
  await refused(install(undefined), 'no file');
  await refused(install(Buffer.concat([whole, Buffer.from('T')])), 'more after the end');
  for (let cut = 0; cut < whole.length; cut += 13) await refused(install(whole.subarray(0, cut)), `cut at ${cut}`);
  for (let at = 0; at < whole.length; at += 7) {
    const flipped = Buffer.from(whole);
    flipped[at] = (flipped[at] as number) ^ (1 << (at % 8));
    await refused(install(flipped), `flip in byte ${at}`);
  }
  await target.restart();
  t.deepEqual(target.dump(), before);
});

/** Stops at the nth batch of the engine written from now on, in the middle of what is under way. */
function stopAtBatch(store: StoreFixture, number: number, keep: number): { readonly stopped: Promise<void> } {
  const { engine } = store;
  const original = engine.batch.bind(engine);
  let left = number;
  let stop: () => void = () => {};
  const stopped = new Promise<void>((resolve) => {
    stop = resolve;
  });
  engine.batch = (): EngineBatch => {
    const batch = original();
    return {
      put: (key, value) => batch.put(key, value),
      delete: (key) => batch.delete(key),
      get size() {
        return batch.size;
      },
      write(sync, callback) {
        if (left > 0) {
          left--;
          batch.write(sync, callback);
          return;
        }
        // The process is gone: this batch is never written and nothing hears of it.
        engine.batch = original;
        engine.crash(keep);
        stop();
      },
    };
  };
  return { stopped };
}

test('pitfall 30: a crash at any batch of an installation leaves the old state or is made good', async (t) => {
  const source = await filled(700, 'new');
  const [before, after] = [(await filled(30, 'old')).dump(), source.dump()];
  const ends = new Set<string>();
  let finished = false;
  for (let batches = 0; !finished; batches++) {
    for (const keep of [0, 1, 3]) {
      const target = await filled(30, 'old');
      const { path, metadata } = await source.stageSnapshot(target.files, 100_000);
      const { stopped } = stopAtBatch(target, batches, keep);
      const installed = target.store.installSnapshot(theShard, path, metadata).then(() => true);
      finished = await Promise.race([installed, stopped.then(() => false)]);
      const staged = target.files.staged.get(path);
      const isUntouched = stateOf(target).length === before.length && !finished;
      const appliedIndex = await target.restart();
      const state = target.dump();
      if (appliedIndex === 30) {
        t.deepEqual(state, before);
        t.true(isUntouched);
      } else {
        t.is(appliedIndex, 700, `stopped at batch ${batches}, ${keep} kept`);
        t.deepEqual(state, after);
        t.false(target.files.staged.has(path));
      }
      ends.add(`${appliedIndex} ${staged !== undefined}`);
      t.is(await target.text('k3'), appliedIndex === 30 ? 'old3'.repeat(4) : 'new3'.repeat(4));
    }
    t.true(batches < 50, 'the installation ends');
  }
  t.deepEqual([...ends].sort(), ['30 true', '700 false', '700 true']);
});

test('pitfall 30: an interrupted installation whose staged bytes are gone asks for another snapshot', async (t) => {
  const source = await filled(700, 'new');
  const target = await filled(30, 'old');
  const { path, metadata } = await source.stageSnapshot(target.files, 100_000);
  const { stopped } = stopAtBatch(target, 3, 5);
  void target.store.installSnapshot(theShard, path, metadata);
  await stopped;
  target.files.staged.delete(path);
  for (let restart = 0; restart < 2; restart++) {
    await target.restart();
    const position = await target.store.openShard(theShard, { start: 0, end: 2 ** 32 });
    t.true(position.needsSnapshot);
  }
  const again = await source.stageSnapshot(target.files, 100_000);
  await target.store.installSnapshot(theShard, again.path, again.metadata);
  t.deepEqual(target.dump(), source.dump());
  target.engine.crash();
  t.is(await target.restart(), 700);
  t.false((await target.store.openShard(theShard, { start: 0, end: 2 ** 32 })).needsSnapshot);
});

test('a shard that applied nothing has no snapshot', async (t) => {
  const store = await StoreFixture.start();
  const error = await t.throwsAsync(store.store.createSnapshot(theShard), { instanceOf: RingraftError });
  t.is(error.code, 'NOT_FOUND');
});

test('a snapshot holds, and the removal of a shard takes, every bucket that has data, whoever told the node of it', async (t) => {
  const joined = await StoreFixture.start();
  await joined.apply({ commands: [{ key: 'k', value: 'v' }] });
  await joined.sync();
  const target = await filled(5, 'old');
  const { path, metadata } = await joined.stageSnapshot(target.files);
  await target.store.installSnapshot(theShard, path, metadata);
  t.is(await target.text('k'), 'v');
  t.deepEqual(target.dump(), joined.dump());
  await joined.store.clearShard(theShard, wholeRing);
  t.deepEqual(joined.dump(), []);
});

test('pitfall 32: staged files hold what was appended, take no name in use, and an abandoned one is gone', (t) =>
  inDirectory('staging', async (directory) => {
    const files = nodeSnapshotFiles(join(directory, 'staging'));
    const first = await files.create(theShard);
    await first.append(Buffer.from('one '));
    await first.append(Buffer.from('two'));
    const { path } = await first.finish();
    const other = await nodeSnapshotFiles(join(directory, 'staging')).create(theShard);
    await other.append(Buffer.from('other'));
    const staged = await other.finish();
    t.not(staged.path, path);
    const text = async (name: string): Promise<string | undefined> => {
      const stream = await files.read(name);
      if (stream === undefined) return undefined;
      const pieces: Buffer[] = [];
      for await (const piece of stream) pieces.push(piece);
      return Buffer.concat(pieces).toString();
    };
    t.is(await text(path), 'one two');
    t.is(await text(staged.path), 'other');
    const abandoned = await files.create(theShard);
    await abandoned.append(Buffer.from('x'));
    await abandoned.abandon();
    await files.remove(path);
    await files.remove(path);
    t.is(await text(path), undefined);
  }));
