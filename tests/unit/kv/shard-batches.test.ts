/**
 * Goal: what shards apply goes to the engine shard by shard, each as it was after one entry of its log, however their batches mix
 * with what is applied meanwhile; in time, in batches of bounded size, and a key that is written over and over goes there once.
 * Method: an engine whose writes end when the test says so, a clock that moves when it says so. After a crash every shard must be,
 * byte for byte, what a state machine has that applied as much of its log and nothing else.
 */
import test, { type ExecutionContext } from 'ava';
import fc from 'fast-check';
import { type ShardId, shardId } from '../../../src/base/index.js';
import { Store, type StoreOptions } from '../../../src/kv/index.js';
import type { WritePipeline } from '../../../src/kv/write-pipeline.js';
import type { Entry } from '../../../src/raft/index.js';
import { initHash, ringSize } from '../../../src/ring/index.js';
import { type HeldEngine, heldEngine } from '../../support/held-engine.js';
import {
  bucket,
  type CommandSpec,
  configuration,
  entryAt,
  MemoryFiles,
  StoreFixture,
} from '../../support/store-fixture.js';
import { VirtualClock } from '../../support/virtual-clock.js';

/** A shard is enough for a batch as soon as it has anything: no other goes with it, unless it is asked for. */
const oneShard = { bytesOfShard: 1, bytes: 1e6, added: 1e6, ageMs: 3000, recordsATurn: 256 };
/** Little, so that anything may be what makes something go. */
const limits = { bytesOfShard: 600, bytes: 1200, added: 8, ageMs: 3000, recordsATurn: 2 };
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
const shards = [1, 2, 3].map(shardId);
const arcOf = (id: ShardId) => ({ start: ((id - 1) * ringSize) / 4, end: (id * ringSize) / 4 });

class Shards {
  readonly clock = new VirtualClock();
  readonly applied = new Map<ShardId, number>();

  private constructor(
    readonly held: HeldEngine,
    readonly store: Store,
  ) {}

  static async open(held = heldEngine(), options: Partial<StoreOptions> = {}): Promise<Shards> {
    await initHash();
    await held.engine.open();
    const clock = new VirtualClock();
    const failed = (error: Error): never => {
      throw error;
    };
    const files = new MemoryFiles();
    const parts = { clock, cacheBytes: 100_000, files, onFailure: failed, ...options };
    const store = await Store.open(held.engine, parts);
    const opened = new Shards(held, store);
    Object.assign(opened, { clock });
    for (const id of shards) {
      const { appliedIndex } = await store.openShard(id, arcOf(id));
      if (appliedIndex === 0) store.createShard(id, configuration);
      opened.applied.set(id, appliedIndex);
    }
    return opened;
  }

  async apply(id: ShardId, entries: readonly Entry[]): Promise<void> {
    await new Promise<void>((resolve) => this.store.apply(id, entries, () => resolve()));
    this.applied.set(id, (this.applied.get(id) ?? 0) + entries.length);
  }

  /** Puts of the shard's own keys, one entry. */
  async put(id: ShardId, keys: readonly string[], value: string): Promise<void> {
    const commands = keys.map((key) => ({ key: `${id}-${key}`, value }));
    await this.apply(id, [entryAt((this.applied.get(id) ?? 0) + 1, { commands })]);
  }

  /** Ends the write under way. */
  async finish(): Promise<void> {
    this.held.writes.shift()?.finish();
    await turn();
  }

  /** Ends writes until none is under way. */
  async settle(): Promise<void> {
    await this.clock.advance(0);
    while (this.held.writes.length > 0) {
      await this.finish();
      await this.clock.advance(0);
    }
  }

  get dump(): readonly string[] {
    return StoreFixture.prototype.dump.call({ engine: this.held.engine });
  }

  /** Keys that scans are given beside the index, or none. */
  get knowsAdded(): boolean {
    const { pipeline } = this.store as unknown as { readonly pipeline: WritePipeline };
    return pipeline.addedKeys.some((keys) => !keys.isEmpty);
  }

  get batches(): number {
    return this.store.statistics.engineBatches;
  }
}

/** Counters, conditions, deletes, repeated commands: of keys that are the shard's own. */
const logOf = (id: ShardId, specs: readonly (readonly CommandSpec[])[]): readonly Entry[] =>
  specs.map((commands, at) =>
    entryAt(at + 1, {
      timeMs: 1000 + at,
      client: `client-${id}`,
      commands: commands.map((command) => ({
        ...command,
        key: `${id}-${command.key}`,
        ifRevision: command.ifRevision,
      })),
    }),
  );

const commandSpec: fc.Arbitrary<CommandSpec> = fc.record({
  key: fc.constantFrom('a', 'b', 'c', 'd', 'e'),
  value: fc.option(fc.constantFrom('1', '22', 'x'.repeat(300), 'y'.repeat(5000)), { nil: undefined }),
  absent: fc.boolean(),
  sequence: fc.integer({ min: 1, max: 30 }),
  expiresAtMs: fc.constantFrom(0, 0, 0, 1010),
});
const shardLog = fc.array(fc.array(commandSpec, { maxLength: 4 }), { minLength: 8, maxLength: 30 });
const step = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      kind: fc.constant('apply' as const),
      id: fc.constantFrom(...shards),
      count: fc.integer({ min: 1, max: 3 }),
    }),
  },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('finish' as const) }) },
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('turn' as const) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('time' as const) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constantFrom('syncWritten' as const, 'syncMarker' as const) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('snapshot' as const), id: fc.constantFrom(...shards) }) },
);

async function checkCrash(
  t: ExecutionContext,
  specs: readonly (readonly (readonly CommandSpec[])[])[],
  steps: readonly (typeof step extends fc.Arbitrary<infer Step> ? Step : never)[],
  keep: number,
  cacheBytes: number,
): Promise<void> {
  const logs = new Map(shards.map((id, at) => [id, logOf(id, specs[at] ?? [])]));
  const some = await Shards.open(undefined, { cacheBytes, pending: limits });
  const durable = new Map<ShardId, number>();
  const noteDurable = (_: unknown, positions: readonly { shardId: ShardId; appliedIndex: number }[]): void => {
    for (const { shardId: id, appliedIndex } of positions) durable.set(id, appliedIndex);
  };
  for (const each of steps) {
    if (each.kind === 'apply') {
      const from = some.applied.get(each.id) ?? 0;
      await some.apply(each.id, logs.get(each.id)?.slice(from, from + each.count) ?? []).catch(() => {});
    } else if (each.kind === 'finish') await some.finish();
    else if (each.kind === 'turn') await some.clock.turn();
    else if (each.kind === 'time') await some.clock.advance(5000);
    else if (each.kind === 'snapshot') {
      const atLeast = some.applied.get(each.id) ?? 0;
      some.store.createSnapshot(each.id).then(
        (source) => {
          t.true(source.position.appliedIndex >= atLeast, 'a snapshot has all that was applied when it was asked for');
          void source.close();
        },
        () => t.is(atLeast, 0),
      );
    } else some.store[each.kind](noteDurable);
  }
  some.held.engine.crash(keep);
  const after = await Shards.open({ ...some.held, writes: [] });
  const reference = await Shards.open();
  for (const id of shards) {
    const position = after.applied.get(id) ?? 0;
    t.true(position >= (durable.get(id) ?? 0), `shard ${id} is at ${position}, ${durable.get(id)} was durable`);
    t.true(position <= (some.applied.get(id) ?? 0));
    const entries = logs.get(id)?.slice(0, position) ?? [];
    if (entries.length > 0) await reference.apply(id, entries);
  }
  reference.store.syncMarker(() => {});
  await reference.settle();
  t.deepEqual(after.dump, reference.dump);
}

for (const cacheBytes of [100_000, 0]) {
  test(`after a crash every shard is as it was after one entry of its log (cache of ${cacheBytes} bytes)`, async (t) => {
    await fc.assert(
      fc.asyncProperty(
        fc.tuple(shardLog, shardLog, shardLog),
        fc.array(step, { minLength: 10, maxLength: 60 }),
        fc.integer({ min: 0, max: 6 }),
        (specs, steps, keep) => checkCrash(t, specs, steps, keep, cacheBytes),
      ),
      { numRuns: 60 },
    );
  });
}

test('a key that is written over and over goes to the engine once', async (t) => {
  const some = await Shards.open();
  for (let round = 0; round < 200; round++) await some.put(shards[0] as ShardId, ['a', 'b'], `value ${round}`);
  t.is(some.batches, 0);
  await some.clock.advance(3000);
  await some.settle();
  t.is(some.batches, 1);
  // Two values, their two entries in the index, and the shard's position.
  t.is(some.store.statistics.engineMutations, 5);
});

test('what waits is written when it is three seconds old, the rest of the oldest shards with it', async (t) => {
  const some = await Shards.open();
  await some.put(shards[0] as ShardId, ['a'], '1');
  await some.clock.advance(2000);
  await some.put(shards[1] as ShardId, ['a'], '1');
  await some.clock.advance(999);
  t.is(some.held.writes.length, 0);
  await some.clock.advance(1);
  t.is(some.held.writes.length, 1);
  await some.settle();
  t.is(some.store.statistics.unwrittenEntries, 0);
  await some.clock.advance(10_000);
  t.is(some.batches, 1);
  t.is(some.clock.armed, 0);
});

test('a shard with a batch of its own is written at once, and no other', async (t) => {
  const some = await Shards.open(undefined, { cacheBytes: 30_000_000 });
  const [one, two] = shards as [ShardId, ShardId];
  const value = 'x'.repeat(100_000);
  await some.put(one, ['a'], '1');
  for (let each = 0; each < 10; each++) await some.put(two, [`k${each}`], value);
  t.is(some.held.writes.length, 0);
  await some.put(two, ['last'], value);
  t.is(some.held.writes.length, 1);
  await some.settle();
  t.is(some.store.statistics.unwrittenEntries, 1);
  t.is(some.store.pendingWriteBytes > 0, true);
});

test('when all shards together have too much the oldest is written, and no more than it takes', async (t) => {
  const some = await Shards.open(undefined, { pending: { ...oneShard, bytesOfShard: 1000, bytes: 1200 } });
  const [one, two] = shards as [ShardId, ShardId];
  const { store } = some;
  await some.put(two, ['a'], 'x'.repeat(700));
  await some.put(one, ['a'], 'x'.repeat(300));
  t.is(some.held.writes.length, 0);
  await some.put(one, ['b'], 'x'.repeat(300));
  t.is(some.held.writes.length, 1);
  await some.settle();
  // One of them alone is not enough for a batch.
  t.is(store.statistics.unwrittenEntries, 0);
  await some.put(two, ['a'], 'x'.repeat(990));
  await some.settle();
  t.is(some.batches, 2);
  await some.put(one, ['a'], 'x'.repeat(300));
  await some.put(two, ['a'], 'x'.repeat(900));
  t.is(some.held.writes.length, 1, 'both together');
  await some.settle();
  t.is(store.pendingWriteBytes, 0);
});

test('all that is applied becomes durable on demand, in as many batches as it takes', async (t) => {
  const some = await Shards.open(undefined, { pending: { ...oneShard, bytesOfShard: 1000 } });
  for (const id of shards) await some.put(id, ['a'], 'x'.repeat(900));
  let durable: readonly number[] = [];
  some.store.syncMarker((_, positions) => {
    durable = positions.map(({ appliedIndex }) => appliedIndex);
  });
  await some.finish();
  t.deepEqual(durable, []);
  await some.settle();
  t.deepEqual(durable, [1, 1, 1]);
  t.is(some.batches, 2);
});

test('when too many keys are new to the index the oldest shards are written', async (t) => {
  const some = await Shards.open(undefined, { cacheBytes: 30_000_000 });
  const [one, two] = shards as [ShardId, ShardId];
  await some.put(one, ['first'], '1');
  // New to the index: 8,192 keys are enough, however small.
  for (let each = 0; each < 8191; each++) await some.put(two, [`k${each}`], '');
  await some.clock.advance(0);
  t.is(some.held.writes.length, 1);
  t.is(some.batches, 1);
  await some.settle();
  t.is(some.store.statistics.unwrittenEntries, 0);
});

test('what is written is made durable without what is not, and on demand all of it', async (t) => {
  const some = await Shards.open();
  const [one, two] = shards as [ShardId, ShardId];
  await some.put(one, ['a'], '1');
  some.store.syncMarker(() => {});
  await some.settle();
  await some.put(one, ['a'], '2');
  await some.put(two, ['a'], '1');
  const positions: (readonly [ShardId, number])[][] = [];
  const note = (_: unknown, found: readonly { shardId: ShardId; appliedIndex: number }[]): void => {
    positions.push(
      found.filter(({ appliedIndex }) => appliedIndex > 0).map((each) => [each.shardId, each.appliedIndex]),
    );
  };
  some.store.syncWritten(note);
  t.deepEqual(positions, []);
  await some.settle();
  // The batch that is synced takes the oldest with it: it is a write anyway.
  t.deepEqual(positions, [
    [
      [one, 2],
      [two, 1],
    ],
  ]);
  await some.put(two, ['a'], '2');
  some.store.syncMarker(note);
  await some.put(one, ['a'], '3');
  await some.settle();
  t.deepEqual(positions[1], [
    [one, 2],
    [two, 2],
  ]);
  some.held.engine.crash();
  const after = await Shards.open({ ...some.held, writes: [] });
  t.deepEqual([after.applied.get(one), after.applied.get(two)], [2, 2]);
});

test('a scan finds a new key until the index shows it, whichever shards are written before', async (t) => {
  const some = await Shards.open(undefined, { pending: { ...oneShard, bytesOfShard: 1000 } });
  const [one, two, three] = shards as [ShardId, ShardId, ShardId];
  // A batch of one shard alone: it has enough of its own.
  const filler = 'x'.repeat(1100);
  const keys = async (): Promise<readonly string[]> => {
    const query = { gte: Buffer.alloc(0), lt: undefined, reverse: false, keysOnly: true, limit: 100, maxBytes: 1e6 };
    return await new Promise((resolve) => {
      some.store.scan(bucket, { ...query, accept: () => true, share: 1, nowMs: 1 }, (_, page) =>
        resolve(page.pairs.map(({ key }) => String(key))),
      );
    });
  };
  const writeShard = async (id: ShardId): Promise<void> => {
    const source = some.store.createSnapshot(id);
    await some.settle();
    await (await source).close();
  };
  const expected: string[] = [];
  const put = async (id: ShardId, key: string): Promise<void> => {
    await some.put(id, [key], '1');
    expected.push(`${id}-${key}`);
    t.deepEqual(await keys(), [...expected].sort());
  };
  const write = async (id: ShardId, key: string): Promise<void> => {
    await some.put(id, [key], filler);
    expected.push(`${id}-${key}`);
    await writeShard(id);
    t.deepEqual(await keys(), [...expected].sort());
  };
  for (let round = 0; round < 6; round++) {
    for (const id of [one, two, three]) await put(id, `r${round}`);
    for (const id of round < 3 ? [two, three, two] : [one, three]) await write(id, `s${round}-${expected.length}`);
  }
  some.store.syncMarker(() => {});
  await some.settle();
  t.deepEqual(await keys(), [...expected].sort());
  await some.put(one, ['new'], '1');
  expected.push('1-new');
  some.store.syncMarker(() => {});
  await some.settle();
  t.deepEqual(await keys(), [...expected].sort());
  t.false(some.knowsAdded, 'the index shows all');
});

test('thousands of records go into a batch in many turns, and what is mutated meanwhile is in it as it was', async (t) => {
  const some = await Shards.open(undefined, {
    cacheBytes: 30_000_000,
    pending: { ...limits, bytes: 1e9, bytesOfShard: 1e9, added: 1e9 },
  });
  const [one] = shards as [ShardId];
  const keys = Array.from({ length: 99 }, (_, at) => `k${at}`);
  await some.put(one, keys, 'old');
  some.store.syncMarker(() => {});
  let turns = 0;
  while (some.held.writes.length === 0) {
    await some.put(one, [`k${turns % 99}`, `k${98 - (turns % 99)}`], turns % 2 === 0 ? 'new' : 'longer than it was');
    await some.clock.turn();
    turns++;
  }
  t.is(turns, 49);
  await some.finish();
  some.held.engine.crash(Number.POSITIVE_INFINITY);
  const after = await Shards.open({ ...some.held, writes: [] });
  t.is(after.applied.get(one), 1);
  const reference = await Shards.open();
  await reference.put(one, keys, 'old');
  reference.store.syncMarker(() => {});
  await reference.settle();
  t.deepEqual(after.dump, reference.dump);
});
