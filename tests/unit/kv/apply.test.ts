/** What commands do: put, delete, conditions, expiry, sessions; and that it depends on the log alone. */
import test from 'ava';
import fc from 'fast-check';
import { CommandKind, codeNumber } from '../../../src/wire/index.js';
import { type CommandSpec, type EntrySpec, entryAt, StoreFixture } from '../../support/store-fixture.js';

const conflict = codeNumber('CONFLICT');
const expired = codeNumber('SESSION_EXPIRED');

test('a put gives a fresh revision and is read at once, a delete takes it away', async (t) => {
  const store = await StoreFixture.start();
  t.deepEqual(await store.apply({ commands: [{ key: 'a', value: '1' }] }), [{ code: 0, revision: 1, found: true }]);
  t.is(await store.text('a'), '1');
  t.deepEqual(await store.apply({ commands: [{ key: 'a', value: '' }, { key: 'b' }] }), [
    { code: 0, revision: 2, found: true },
    { code: 0, revision: 0, found: false },
  ]);
  t.is(await store.text('a'), '');
  t.deepEqual(await store.apply({ commands: [{ key: 'a' }] }), [{ code: 0, revision: 3, found: true }]);
  t.is(await store.text('a'), undefined);
  await store.sync();
  t.is(await store.text('a'), undefined);
  t.deepEqual((await store.scan()).pairs, []);
});

test('conditions compare with what is there, earlier commands of the same entry included', async (t) => {
  const store = await StoreFixture.start();
  const outcomes = await store.apply({
    commands: [
      { key: 'a', value: '1', absent: true },
      { key: 'a', value: '2', absent: true },
      { key: 'a', value: '2', ifRevision: 1 },
      { key: 'a', value: '3', ifRevision: 1 },
      { key: 'a', value: '3', ifValue: '2' },
      { key: 'a', ifValue: '2' },
      { key: 'a', ifRevision: 3 },
      { key: 'a', value: '9', ifValue: '' },
      { key: 'a', value: '4', ifRevision: 0 },
    ],
  });
  t.deepEqual(outcomes, [
    { code: 0, revision: 1, found: true },
    { code: conflict, revision: 1, found: true },
    { code: 0, revision: 2, found: true },
    { code: conflict, revision: 2, found: true },
    { code: 0, revision: 3, found: true },
    { code: conflict, revision: 3, found: true },
    { code: 0, revision: 4, found: true },
    { code: conflict, revision: 0, found: false },
    { code: 0, revision: 5, found: true },
  ]);
  t.is(await store.text('a'), '4');
});

test('an expired value is not there for reads, conditions and scans, by log time', async (t) => {
  const store = await StoreFixture.start();
  await store.apply({ timeMs: 100, commands: [{ key: 'a', value: '1', expiresAtMs: 200 }] });
  t.is(await store.text('a', 199), '1');
  t.is(await store.text('a', 200), undefined);
  t.is((await store.scan({ nowMs: 199 })).pairs.length, 1);
  t.is((await store.scan({ nowMs: 200 })).pairs.length, 0);
  const [before] = await store.apply({ timeMs: 199, commands: [{ key: 'a', value: '2', absent: true }] });
  t.is(before?.code, conflict);
  // Log time never goes back: a smaller time stamp changes nothing.
  await store.apply({ timeMs: 200, commands: [] });
  const outcomes = await store.apply({ timeMs: 50, commands: [{ key: 'a' }, { key: 'a', value: '3', absent: true }] });
  t.deepEqual(outcomes, [
    { code: 0, revision: 0, found: false },
    { code: 0, revision: 2, found: true },
  ]);
});

test('a repeated command gets its first answer and changes nothing, also after a restart', async (t) => {
  const store = await StoreFixture.start();
  const client = 'client-1';
  const put: EntrySpec = { client, commands: [{ key: 'a', value: '1', sequence: 1, absent: true }] };
  const first = await store.apply(put);
  t.deepEqual(first, [{ code: 0, revision: 1, found: true }]);
  t.deepEqual(await store.apply(put), first);
  await store.apply({ client: 'client-2', commands: [{ key: 'a', value: 'other', sequence: 1 }] });
  t.deepEqual(await store.apply(put), first);
  t.is(await store.text('a'), 'other');
  await store.sync();
  store.engine.crash();
  t.is(await store.restart(), 4);
  t.deepEqual(await store.apply(put), first);
  t.is(await store.text('a'), 'other');
});

test('a command below ackedBelow is a stale copy: refused, never applied', async (t) => {
  const store = await StoreFixture.start();
  const client = 'client-1';
  await store.apply({ client, commands: [{ key: 'a', value: '1', sequence: 1 }] });
  await store.apply({ client, ackedBelow: 3, commands: [{ key: 'a', value: '3', sequence: 3 }] });
  const stale = await store.apply({ client, commands: [{ key: 'a', value: '1', sequence: 1 }] });
  t.is(stale[0]?.code, expired);
  t.is(await store.text('a'), '3');
});

test('the session table and the outcomes after it survive a restart far into the log', async (t) => {
  const store = await StoreFixture.start();
  const client = 'client-1';
  for (let sequence = 1; sequence <= 1100; sequence++) {
    await store.apply({
      client,
      ackedBelow: Math.max(0, sequence - 2),
      commands: [{ key: 'a', value: `${sequence}`, sequence }],
    });
  }
  await store.sync();
  const [first] = store.outcomeRecords;
  t.true(first !== undefined && first.index > 1024, `an outcome of entry ${first?.index} is kept`);
  store.engine.crash();
  await store.restart();
  t.deepEqual(await store.apply({ client, commands: [{ key: 'a', value: 'again', sequence: 1099 }] }), [
    { code: 0, revision: 1099, found: true },
  ]);
  const [stale] = await store.apply({ client, commands: [{ key: 'a', value: 'again', sequence: 5 }] });
  t.is(stale?.code, expired);
  t.is(await store.text('a'), '1100');
});

const keyNames = ['a', 'b', 'c', 'd', 'e'];
const commandSpec = fc.record({
  key: fc.constantFrom(...keyNames),
  value: fc.option(fc.constantFrom('', '1', '2', 'three'), { nil: undefined }),
  absent: fc.boolean(),
  ifRevision: fc.option(fc.nat(6), { nil: undefined }),
  ifValue: fc.option(fc.constantFrom('1', '2'), { nil: undefined }),
  expiresAtMs: fc.constantFrom(0, 0, 0, 1005, 1010),
  sequence: fc.integer({ min: 1, max: 6 }),
});
const entrySpec = fc.record({
  timeMs: fc.integer({ min: 995, max: 1015 }),
  client: fc.constantFrom('client-1', 'client-2', 'client-3'),
  ackedBelow: fc.nat(3),
  commands: fc.array(commandSpec, { maxLength: 5 }),
});

test('two stores agree on outcomes and on every byte, however the log is split, whatever is cached', async (t) => {
  const property = fc.asyncProperty(
    fc.array(entrySpec, { minLength: 1, maxLength: 25 }),
    fc.array(fc.record({ size: fc.integer({ min: 1, max: 6 }), pause: fc.boolean() }), { minLength: 1 }),
    async (specs, splits) => {
      const sessions = { maxSessions: 2, maxOutcomes: 3, idleMs: 12 };
      const one = await StoreFixture.start({ sessions });
      const other = await StoreFixture.start({ sessions, cacheBytes: 0 });
      const entries = specs.map((spec, at) => entryAt(at + 1, spec));
      const expected = await one.applyEntries(entries);
      const found: unknown[] = [];
      const running: Promise<void>[] = [];
      for (let at = 0, turn = 0; at < entries.length; turn++) {
        const { size, pause } = splits[turn % splits.length] as (typeof splits)[number];
        running.push(other.applyEntries(entries.slice(at, at + size)).then((some) => void found.push(...some)));
        if (pause) await other.sync();
        at += size;
      }
      await Promise.all(running);
      t.deepEqual(found, [...expected]);
      await one.sync();
      await other.sync();
      t.deepEqual(other.dump(), one.dump());
    },
  );
  await fc.assert(property, { numRuns: 80 });
});

test('a value that leaves memory between look-up and apply still decides its condition', async (t) => {
  const store = await StoreFixture.start({ cacheBytes: 0 });
  await store.apply({ commands: [{ key: 'old', value: 'x' }] });
  await store.sync();
  // "new" is only in the overlay; it leaves while "old" is being looked up.
  await store.apply({ commands: [{ key: 'new', value: '1' }] });
  const outcomes = await store.apply({
    commands: [
      { key: 'old', value: 'y', ifRevision: 1 },
      { key: 'new', value: '2', ifRevision: 2 },
    ],
  });
  t.deepEqual(
    outcomes.map(({ code }) => code),
    [0, 0],
  );
  t.is(await store.text('new'), '2');
});

test('a cached value evicted by an earlier command of the same entry still decides its condition', async (t) => {
  const store = await StoreFixture.start({ cacheBytes: 1000 });
  await store.apply({ commands: [{ key: 'k', value: '1' }] });
  await store.sync();
  t.is(await store.text('k'), '1');
  const big = 'x'.repeat(600);
  const outcomes = await store.apply({
    commands: [{ key: 'p', value: big }, { key: 'q', value: big }, { key: 'k' }],
  });
  t.deepEqual(outcomes[2], { code: 0, revision: 4, found: true });
});

const badRequest = codeNumber('BAD_REQUEST');
const tooLarge = codeNumber('TOO_LARGE');
const increment = (key: string, by: string, rest: Partial<CommandSpec> = {}): CommandSpec => ({
  key,
  value: by,
  kind: CommandKind.Increment,
  ...rest,
});

test('an increment counts from 0, within what can be counted exactly, and refuses what is no number', async (t) => {
  const store = await StoreFixture.start();
  const most = String(Number.MAX_SAFE_INTEGER);
  const outcomes = await store.apply({
    commands: [
      increment('a', '5'),
      increment('a', '-7'),
      { key: 'b', value: 'pear' },
      increment('b', '1'),
      { key: 'c', value: most },
      increment('c', '1'),
      increment('c', '-1'),
      increment('d', '1', { absent: true }),
      increment('d', '1', { absent: true }),
      { key: 'e', value: '1e3' },
      increment('e', '1'),
      { key: 'f', value: '' },
      increment('f', '1'),
    ],
  });
  t.deepEqual(outcomes, [
    { code: 0, revision: 1, found: true, number: 5 },
    { code: 0, revision: 2, found: true, number: -2 },
    { code: 0, revision: 3, found: true },
    { code: badRequest, revision: 3, found: true },
    { code: 0, revision: 4, found: true },
    { code: badRequest, revision: 4, found: true },
    { code: 0, revision: 5, found: true, number: Number.MAX_SAFE_INTEGER - 1 },
    { code: 0, revision: 6, found: true, number: 1 },
    { code: conflict, revision: 6, found: true },
    { code: 0, revision: 7, found: true },
    { code: badRequest, revision: 7, found: true },
    { code: 0, revision: 8, found: true },
    { code: badRequest, revision: 8, found: true },
  ]);
  t.is(await store.text('a'), '-2');
  t.is(await store.text('b'), 'pear');
});

test('an append adds to the end, up to the limit its leader had', async (t) => {
  const store = await StoreFixture.start();
  const append = (value: string): CommandSpec => ({ key: 'a', value, kind: CommandKind.Append, maxValueBytes: 5 });
  t.deepEqual(await store.apply({ commands: [append('abc'), append('de'), append('f')] }), [
    { code: 0, revision: 1, found: true, number: 3 },
    { code: 0, revision: 2, found: true, number: 5 },
    { code: tooLarge, revision: 2, found: true },
  ]);
  t.is(await store.text('a'), 'abcde');
});

test('a touch gives another time to live and keeps the value; increments and appends keep the time', async (t) => {
  const store = await StoreFixture.start();
  const touch = (expiresAtMs: number): CommandSpec => ({ key: 'a', value: '', kind: CommandKind.Touch, expiresAtMs });
  t.deepEqual(await store.apply({ timeMs: 100, commands: [touch(500)] }), [{ code: 0, revision: 0, found: false }]);
  await store.apply({ timeMs: 100, commands: [{ key: 'a', value: '1', expiresAtMs: 200 }, increment('a', '1')] });
  t.is(await store.text('a', 199), '2');
  t.is(await store.text('a', 200), undefined);
  t.deepEqual(await store.apply({ timeMs: 150, commands: [touch(400)] }), [{ code: 0, revision: 3, found: true }]);
  t.is(await store.text('a', 399), '2');
  await store.apply({ timeMs: 150, commands: [{ key: 'a', value: '0', kind: CommandKind.Append, maxValueBytes: 9 }] });
  t.is(await store.text('a', 400), undefined);
  await store.apply({ timeMs: 160, commands: [touch(0)] });
  t.is(await store.text('a', 10_000), '20');
  t.deepEqual(await store.apply({ timeMs: 450, commands: [increment('x', '1', { expiresAtMs: 460 })] }), [
    { code: 0, revision: 6, found: true, number: 1 },
  ]);
  t.deepEqual(
    await store.apply({ timeMs: 460, commands: [increment('x', '1')] }),
    [{ code: 0, revision: 7, found: true, number: 1 }],
    'what has expired counts from 0 again',
  );
});

test('an expired key is reclaimed with its place in the index; one that lives again is not', async (t) => {
  const store = await StoreFixture.start();
  const reclaim: CommandSpec = { key: 'a', value: '', kind: CommandKind.Reclaim };
  await store.apply({ timeMs: 100, commands: [{ key: 'a', value: '1', expiresAtMs: 200 }] });
  t.deepEqual(await store.apply({ timeMs: 199, commands: [reclaim] }), [{ code: 0, revision: 0, found: false }]);
  await store.apply({ timeMs: 199, commands: [{ key: 'a', value: '2', expiresAtMs: 300 }] });
  t.deepEqual(await store.apply({ timeMs: 250, commands: [reclaim] }), [{ code: 0, revision: 0, found: false }]);
  t.is(await store.text('a', 250), '2');
  t.deepEqual(await store.apply({ timeMs: 300, commands: [reclaim] }), [{ code: 0, revision: 0, found: true }]);
  await store.sync();
  t.deepEqual((await store.scan({ nowMs: 0 })).pairs, []);
  t.deepEqual(await store.apply({ commands: [{ key: 'b', value: '' }] }), [{ code: 0, revision: 3, found: true }]);
});

test('a repeated increment is answered as the first time, also by a store that was started again', async (t) => {
  const store = await StoreFixture.start();
  const once = { client: 'client-1', commands: [increment('a', '5', { sequence: 1 })] };
  const first = await store.apply(once);
  t.deepEqual(await store.apply(once), first);
  await store.restart();
  t.deepEqual(await store.apply(once), first);
  t.is(await store.text('a'), '5');
});
