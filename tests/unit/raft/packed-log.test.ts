/**
 * Goal: a log whose oldest entries are packed says and does what one says and does that has them all as objects; memory is used
 * again, and what was read stays as it was.
 * Method: fast-check makes calls at random, of two logs alike, one of which packs; after each call everything that can be read is
 * the same. For the ring alone a list says what is right.
 */
import { isDeepStrictEqual } from 'node:util';
import test from 'ava';
import fc from 'fast-check';
import { noReplica } from '../../../src/base/index.js';
import { type Entry, EntryType, encodeConfiguration } from '../../../src/raft/index.js';
import { RaftLog } from '../../../src/raft/log.js';
import { PackedEntries } from '../../../src/raft/packed-entries.js';
import { configuration } from './one-core.js';

const dataOf = (bytes: number, fill: number): Buffer => Buffer.alloc(bytes, fill);
const bytesOfEntry = fc.oneof(
  { weight: 10, arbitrary: fc.nat({ max: 60 }) },
  { weight: 2, arbitrary: fc.nat({ max: 2000 }) },
  // Not packed.
  { weight: 1, arbitrary: fc.integer({ min: 16_380, max: 16_400 }) },
);

type Step =
  | {
      readonly type: 'append';
      readonly sizes: readonly number[];
      readonly changesAt: number;
      readonly newTerm: boolean;
    }
  | { readonly type: 'merge'; readonly back: number; readonly sizes: readonly number[] }
  | { readonly type: 'restore'; readonly ahead: number }
  | { readonly type: 'write' | 'apply' | 'pack' | 'compact'; readonly part: number };
const part = fc.nat({ max: 100 }).map((percent) => percent / 100);
const sizes = fc.array(bytesOfEntry, { minLength: 1, maxLength: 12 });
const restore = fc.record({ type: fc.constant('restore' as const), ahead: fc.integer({ min: 1, max: 30 }) });
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 1, arbitrary: restore },
  {
    weight: 6,
    arbitrary: fc.record({
      type: fc.constant('append' as const),
      sizes,
      changesAt: fc.nat({ max: 40 }),
      newTerm: fc.boolean(),
    }),
  },
  { weight: 6, arbitrary: fc.record({ type: fc.constant('merge' as const), back: fc.nat({ max: 6 }), sizes }) },
  { weight: 6, arbitrary: fc.record({ type: fc.constantFrom('write' as const, 'apply' as const), part }) },
  { weight: 6, arbitrary: fc.record({ type: fc.constant('pack' as const), part }) },
  {
    weight: 6,
    arbitrary: fc.record({ type: fc.constant('compact' as const), part: part.map((whole) => 0.6 * whole) }),
  },
);

const newLog = (): RaftLog =>
  new RaftLog({
    hardState: { currentTerm: 1, votedFor: noReplica, commitIndex: 0 },
    snapshot: { index: 0, term: 0, configuration },
    entries: [],
    appliedIndex: 0,
  });

/** How far along from one index to another. */
const between = (from: number, to: number, along: number): number => from + Math.round(Math.max(0, to - from) * along);

/** To the end of the log: as many as fit, at least one, in order. */
function checkedSlice(log: RaftLog, from: number, maxBytes: number): readonly Entry[] {
  const slice = log.slice(from, log.lastIndex, maxBytes);
  let fitting = 0;
  for (let bytes = 0, index = from; index <= log.lastIndex; index++, fitting++) {
    bytes += log.dataBytes(index, index);
    if (bytes > maxBytes && fitting > 0) break;
  }
  const isRight = slice.length === fitting && slice.every(({ index }, at) => index === from + at);
  if (!isRight) throw new Error(`${slice.length} entries from ${from} on for ${maxBytes} bytes, not ${fitting}`);
  return slice;
}

/** By what each entry counts for: 96 bytes and its data. */
function checkedTrailing(log: RaftLog, maxBytes: number): number {
  const found = log.indexForTrailingBytes(maxBytes);
  let right = log.lastIndex + 1;
  for (let bytes = 0; right > log.firstIndex; right--) {
    bytes += log.dataBytes(right - 1, right - 1) + 96;
    if (bytes > maxBytes) break;
  }
  if (found !== right) throw new Error(`${maxBytes} bytes are held from ${found} on, not from ${right}`);
  return found;
}

class TwoLogs {
  readonly plain = newLog();
  readonly packing = newLog();
  private term = 1;
  /** Entries that were packed. */
  packed = 0;
  private readonly read: { readonly entry: Entry; readonly text: string }[] = [];

  private entry(index: number, bytes: number, isChange = false): Entry {
    const { term } = this;
    if (isChange) return { index, term, type: EntryType.Configuration, data: encodeConfiguration(configuration) };
    return { index, term, type: EntryType.Normal, data: dataOf(bytes, index + term) };
  }

  private both(action: (log: RaftLog) => void): void {
    action(this.plain);
    action(this.packing);
  }

  take(taken: Step): void {
    const { plain } = this;
    switch (taken.type) {
      case 'append': {
        if (taken.newTerm) this.term++;
        const entries = taken.sizes.map((bytes, at) =>
          this.entry(plain.lastIndex + 1 + at, bytes, at === taken.changesAt),
        );
        for (const entry of entries) this.both((log) => log.append(entry));
        return;
      }
      case 'merge': {
        this.term++;
        const first = Math.max(plain.committed + 1, plain.lastIndex + 1 - taken.back);
        const entries = taken.sizes.map((bytes, at) => this.entry(first + at, bytes));
        this.both((log) => log.merge(entries));
        return;
      }
      case 'write': {
        const { lastIndex, lastTerm } = plain;
        this.both((log) => {
          if (log.takeUnwritten().length > 0) log.writtenTo(lastIndex, lastTerm);
        });
        return;
      }
      case 'apply': {
        const index = between(plain.committed, plain.persisted, taken.part);
        this.both((log) => {
          log.commitTo(index);
          log.takeApplicable();
          log.appliedTo(log.handedToApply);
        });
        return;
      }
      case 'restore': {
        const snapshot = { index: plain.committed + taken.ahead, term: this.term, configuration };
        this.both((log) => {
          log.restore(snapshot);
          log.installed(snapshot.index);
        });
        return;
      }
      case 'pack': {
        const before = this.packing.packed.count;
        this.packing.pack(between(plain.firstIndex - 1, plain.applied, taken.part));
        this.packed += this.packing.packed.count - before;
        return;
      }
      case 'compact': {
        const index = between(plain.firstIndex - 1, plain.applied, taken.part);
        this.both((log) => log.compact(index));
      }
    }
  }

  /** What can be read of a log. */
  private picture(log: RaftLog): unknown {
    const { firstIndex, lastIndex, lastTerm, committed, applied, persisted, snapshotMetadata } = log;
    const terms: (number | undefined)[] = [];
    for (let index = firstIndex - 2; index <= lastIndex + 1; index++) terms.push(log.term(index));
    const slices = [0, 50, 700, Number.POSITIVE_INFINITY].flatMap((bytes) =>
      [firstIndex, between(firstIndex, lastIndex, 0.3), between(firstIndex, lastIndex, 0.8)]
        .filter((from) => from <= lastIndex)
        .map((from) => checkedSlice(log, from, bytes)),
    );
    const trailing = [0, 100, 1000, 10_000, 1_000_000].map((bytes) => checkedTrailing(log, bytes));
    const sums = [0, 0.3, 0.8].map((along) => log.dataBytes(between(firstIndex, lastIndex, along), lastIndex));
    const snapshots = applied < firstIndex - 1 ? [] : [log.snapshotAt(applied), log.snapshotAt(firstIndex - 1)];
    const marks = { firstIndex, lastIndex, lastTerm, committed, applied, persisted, snapshotMetadata };
    return { marks, terms, slices, trailing, sums, snapshots };
  }

  check(): void {
    const { plain, packing } = this;
    if (!isDeepStrictEqual(this.picture(packing), this.picture(plain))) throw new Error('the logs differ');
    for (const { entry, text } of this.read) {
      if (entry.data.toString('latin1') !== text) throw new Error(`what was read of ${entry.index} has changed`);
    }
    if (plain.firstIndex > plain.lastIndex) return;
    const [entry] = packing.slice(plain.firstIndex, plain.firstIndex, 0);
    if (entry !== undefined) this.read.push({ entry, text: entry.data.toString('latin1') });
  }
}

test('a log that packs is the same log: terms, slices, sums, what is let go of and what conflicts', (t) => {
  let packed = 0;
  fc.assert(
    fc.property(fc.array(step, { minLength: 20, maxLength: 60 }), (steps) => {
      const logs = new TwoLogs();
      for (const taken of steps) {
        logs.take(taken);
        logs.check();
      }
      packed += logs.packed;
    }),
    { numRuns: 400 },
  );
  t.true(packed > 1000, `${packed} were packed`);
});

test('a log that is opened with entries counts them for what is let go of', (t) => {
  const entries = [10, 20, 30].map((bytes, at) => ({
    index: at + 4,
    term: 1,
    type: EntryType.Normal,
    data: dataOf(bytes, at),
  }));
  const hardState = { currentTerm: 1, votedFor: noReplica, commitIndex: 3 };
  const log = new RaftLog({ hardState, snapshot: { index: 3, term: 1, configuration }, entries, appliedIndex: 3 });
  for (const bytes of [0, 125, 126, 241, 242, 347, 348]) checkedTrailing(log, bytes);
  t.is(log.indexForTrailingBytes(348), 4);
  t.is(log.indexForTrailingBytes(347), 5);
});

test('a large entry is not packed, nor what follows it, until it is let go of', (t) => {
  const log = newLog();
  const packed = log.packed;
  [100, 20_000, 100].forEach((bytes, at) => {
    log.append({ index: at + 1, term: 1, type: EntryType.Normal, data: dataOf(bytes, 1) });
  });
  log.takeUnwritten();
  log.writtenTo(3, 1);
  log.commitTo(3);
  log.takeApplicable();
  log.appliedTo(3);
  log.pack(3);
  t.is(packed.count, 1);
  log.compact(2);
  log.pack(3);
  t.is(packed.count, 1);
  t.is(log.slice(3, 3, 0)[0]?.data.length, 100);
});

test('only what is applied is packed', (t) => {
  const log = newLog();
  log.append({ index: 1, term: 1, type: EntryType.Normal, data: dataOf(10, 1) });
  t.throws(() => log.pack(1), { message: /applied and durable/ });
});

type Call = { readonly type: 'push'; readonly bytes: number } | { readonly type: 'drop'; readonly part: number };
const callWith = (bytes: fc.Arbitrary<number>): fc.Arbitrary<Call> =>
  fc.oneof(
    { weight: 3, arbitrary: fc.record({ type: fc.constant('push' as const), bytes }) },
    { weight: 2, arbitrary: fc.record({ type: fc.constant('drop' as const), part }) },
  );
/** Records of 20 and 40 bytes often fill the ring to the last byte. */
const calls = fc.oneof(
  fc.array(callWith(bytesOfEntry), { maxLength: 300 }),
  fc.array(callWith(fc.constantFrom(7, 27)), { minLength: 50, maxLength: 300 }),
);

test('the ring holds what was put in and not dropped, in order, in memory that is used again', (t) => {
  fc.assert(
    fc.property(calls, (all) => {
      const ring = new PackedEntries();
      const expected: Entry[] = [];
      let index = 0;
      let most = 0;
      for (const made of all) {
        if (made.type === 'push') {
          const type = index % 3 === 0 ? EntryType.NoOp : EntryType.Normal;
          const entry = { index: ++index, term: index * 2 ** 40, type, data: dataOf(made.bytes, index) };
          ring.push(entry);
          expected.push(entry);
        } else {
          const count = Math.floor(made.part * expected.length);
          ring.dropFirst(count);
          expected.splice(0, count);
        }
        const bytes = expected.reduce((sum, { data }) => sum + data.length, 0);
        most = Math.max(most, bytes + 13 * expected.length);
        if (ring.count !== expected.length || ring.dataBytes !== bytes) throw new Error('a sum is wrong');
        expected.forEach((entry, at) => {
          const same = ring.term(at) === entry.term && ring.dataBytesOf(at) === entry.data.length;
          if (!same || !isDeepStrictEqual(ring.entry(at, entry.index), entry))
            throw new Error(`entry ${at} is another`);
        });
        // What does not fit behind the last goes to the beginning, and the end stays empty: at most twice, then half as much more.
        if (ring.capacity > 3 * most) throw new Error(`${ring.capacity} bytes of memory for ${most}`);
      }
    }),
    { numRuns: 300 },
  );
  t.pass();
});
