/**
 * Goal: memory has of every key the newest mutation, or what the engine has, or does not know it; it forgets nothing that the engine
 * does not show yet, and a batch has exactly what was mutated.
 * Method: fast-check makes calls at random, with values of few and of very different lengths, in caches from none to one that is
 * never full; a map of the mutations, and one of what the engine was given, say what is right. Ring positions are few, so that
 * keys meet in the hash table.
 */
import test, { type ExecutionContext } from 'ava';
import fc from 'fast-check';
import { type BucketId, bucketId, emptyBytes } from '../../../src/base/index.js';
import type { EngineBatch } from '../../../src/engine/index.js';
import { dataKey, decodeValue, ringOfDataKey, valueIn } from '../../../src/kv/keys.js';
import { ValueTable } from '../../../src/kv/value-table.js';

const one = bucketId(1);
const ringOf = (key: string): number => [0, 1, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff][Number(key) % 5] as number;

type Written = { readonly dataKey: Buffer; readonly encoded: Buffer | null };

class Model {
  /** Of what the engine does not show: by name, newest last; null: deleted. */
  readonly gathering = new Map<string, string | null>();
  underWay: ReadonlyMap<string, string | null> | undefined;
  readonly engine = new Map<string, string>();
  readonly table: ValueTable;
  private revision = 0;

  constructor(
    private readonly t: ExecutionContext,
    readonly cacheBytes: number,
  ) {
    this.table = new ValueTable(cacheBytes);
  }

  private find(id: BucketId, key: string): number {
    return this.table.find(id, Buffer.from(key));
  }

  mutate(id: BucketId, key: string, value: string | null): void {
    const bytes = Buffer.from(key);
    if (value === null) this.table.delete(this.find(id, key), id, ringOf(key), bytes);
    else this.table.put(this.find(id, key), id, ringOf(key), bytes, ++this.revision, 0, Buffer.from(value));
    this.gathering.set(`${id} ${key}`, value);
  }

  /** What is right for a key: whether it must be known, and what then. */
  expected(name: string): { readonly must: boolean; readonly value: string | null } {
    for (const mutations of [this.gathering, this.underWay]) {
      const value = mutations?.get(name);
      if (value !== undefined) return { must: true, value };
    }
    return { must: false, value: this.engine.get(name) ?? null };
  }

  read(id: BucketId, key: string): void {
    const { must, value } = this.expected(`${id} ${key}`);
    const reference = this.find(id, key);
    if (reference === 0) {
      this.t.false(must, `${id} ${key} is forgotten, and the engine does not show it`);
      return;
    }
    this.table.use(reference);
    const known = this.table.isDeleted(reference) ? null : this.table.value(reference).toString();
    this.t.is(known, value);
    if (known === null) this.t.true(must, 'that a key is absent is not cached');
    else this.t.is(valueIn(this.table.stored(reference)).toString(), known);
  }

  begin(): void {
    if (this.underWay !== undefined) return;
    const written: Written[] = [];
    const batch: EngineBatch = {
      put: (key, value) => written.push({ dataKey: Buffer.from(key), encoded: Buffer.from(value) }),
      delete: (key) => written.push({ dataKey: Buffer.from(key), encoded: null }),
      get size() {
        return written.length;
      },
      write: () => {},
    };
    this.table.writeTo(batch);
    const rings = written.map(({ dataKey: bytes }) => ringOfDataKey(bytes));
    this.t.deepEqual(
      rings,
      [...rings].sort((a, b) => a - b),
    );
    const given = written.map(({ dataKey: bytes, encoded }) => [
      `${bytes.readUInt16BE(1)} ${bytes.toString('latin1', 7)}`,
      encoded === null ? null : valueIn(decodeValue(encoded)).toString(),
    ]);
    this.t.is(given.length, this.gathering.size, 'one mutation of a key');
    this.t.deepEqual(Object.fromEntries(given), Object.fromEntries(this.gathering));
    this.underWay = new Map(this.gathering);
    this.gathering.clear();
  }

  end(): void {
    if (this.underWay === undefined) return;
    for (const [name, value] of this.underWay) {
      if (value === null) this.engine.delete(name);
      else this.engine.set(name, value);
    }
    this.underWay = undefined;
    this.table.onWritten();
    if (this.gathering.size === 0) this.t.true(this.table.bytes <= this.cacheBytes, `${this.table.bytes} bytes`);
  }

  /** A read of the engine that began and ended with nothing in between. */
  fill(id: BucketId, key: string): void {
    const value = this.engine.get(`${id} ${key}`);
    if (value === undefined) return;
    const encoded = Buffer.alloc(7 + value.length);
    encoded.write(value, 7);
    this.table.fill(dataKey(id, ringOf(key), Buffer.from(key)), encoded);
  }

  /** A replacement took the key out of the engine; a mutation that is not written yet stays all the same. */
  forget(id: BucketId, key: string): void {
    this.table.forget(dataKey(id, ringOf(key), Buffer.from(key)));
    this.engine.delete(`${id} ${key}`);
    if (this.expected(`${id} ${key}`).must) this.read(id, key);
    else this.t.is(this.find(id, key), 0);
  }
}

const key = fc.nat(29).map(String);
const id = fc.constantFrom(1, 2).map(bucketId);
const value = fc.oneof(
  fc.constant(null),
  fc.constantFrom('a', 'b', 'ccc', ''),
  fc.integer({ min: 1, max: 700 }).map((length) => 'x'.repeat(length)),
);
const step = fc.oneof(
  { weight: 10, arbitrary: fc.record({ kind: fc.constant('mutate' as const), id, key, value }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('read' as const), id, key }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('fill' as const), id, key }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('forget' as const), id, key }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('begin' as const) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('end' as const) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('share' as const), share: fc.constantFrom(0, 0.2, 0.7, 1) }) },
);

for (const cacheBytes of [0, 700, 4000, 1_000_000]) {
  test(`memory knows the newest of what it knows, and all that is not written (${cacheBytes} bytes)`, (t) => {
    const property = fc.property(fc.array(step, { minLength: 20, maxLength: 400 }), (steps) => {
      const model = new Model(t, cacheBytes);
      for (const each of steps) {
        if (each.kind === 'mutate') model.mutate(each.id, each.key, each.value);
        else if (each.kind === 'read') model.read(each.id, each.key);
        else if (each.kind === 'fill') model.fill(each.id, each.key);
        else if (each.kind === 'forget') model.forget(each.id, each.key);
        else if (each.kind === 'begin') model.begin();
        else if (each.kind === 'end') model.end();
        else model.table.useShares(new Map(each.share === 0 ? [] : [[bucketId(2), each.share]]));
      }
      for (const bucket of [one, bucketId(2)]) for (let at = 0; at < 30; at++) model.read(bucket, String(at));
      model.begin();
      model.end();
      model.begin();
      model.end();
      for (const bucket of [one, bucketId(2)]) for (let at = 0; at < 30; at++) model.read(bucket, String(at));
    });
    fc.assert(property, { numRuns: 150 });
  });
}

/** Puts keys one after another, each written at once. */
function write(table: ValueTable, keys: readonly number[], bytes = 100): void {
  for (const each of keys) {
    const name = Buffer.from(`key-${each}`);
    const ring = Math.imul(each, 0x9e37_79b1) >>> 0;
    table.put(table.find(one, name), one, ring, name, 1, 0, Buffer.alloc(bytes, each));
    table.writeTo({ put: () => {}, delete: () => {}, size: 0, write: () => {} });
    table.onWritten();
  }
}

const range = (from: number, to: number): number[] => Array.from({ length: to - from }, (_, at) => from + at);
const reference = (table: ValueTable, each: number): number => table.find(one, Buffer.from(`key-${each}`));
const known = (table: ValueTable, keys: readonly number[]): number =>
  keys.filter((each) => reference(table, each) !== 0).length;

test('many keys stay in order while the oldest make room: as many are known as there is room for, the newest', (t) => {
  const table = new ValueTable(1_000_000);
  write(table, range(0, 20_000));
  t.true(table.bytes <= 1_000_000);
  t.true(table.size > 6000 && table.size < 8000, `${table.size}`);
  t.is(known(table, range(0, 20_000)), table.size);
  t.is(known(table, range(14_500, 20_000)), 5500);
  for (const each of range(14_500, 20_000)) {
    t.true(table.value(reference(table, each)).equals(Buffer.alloc(100, each)));
  }
});

test('what is read or written over stays when the oldest make room, what was once goes in the end', (t) => {
  const table = new ValueTable(1_000_000);
  write(table, range(0, 200));
  for (const each of range(100, 200)) table.use(reference(table, each));
  for (let from = 200; from < 30_000; from += 500) {
    t.is(known(table, range(0, 100)), 100);
    for (const each of range(0, 50)) table.use(reference(table, each));
    write(table, range(50, 100));
    write(table, range(from, from + 500));
  }
  t.is(known(table, range(100, 1000)), 0);
});

test('there is room for what is new although all that is there was read', (t) => {
  const table = new ValueTable(1_000_000);
  const encoded = Buffer.alloc(107);
  for (const each of range(0, 30_000)) {
    table.fill(dataKey(one, Math.imul(each, 0x9e37_79b1) >>> 0, Buffer.from(`key-${each}`)), encoded);
    table.use(reference(table, each));
    t.true(table.bytes <= 1_000_000);
  }
  t.true(table.size > 3000, `${table.size}`);
});

test('however much is unwritten is kept, and what is more than the cache goes once it is written', (t) => {
  const table = new ValueTable(10_000);
  for (const each of range(0, 1000)) {
    const name = Buffer.from(`key-${each}`);
    table.put(0, one, Math.imul(each, 0x9e37_79b1) >>> 0, name, 1, 0, Buffer.alloc(100, each));
  }
  t.is(known(table, range(0, 1000)), 1000);
  t.is(table.unwritten, 1000);
  table.writeTo({ put: () => {}, delete: () => {}, size: 0, write: () => {} });
  t.is(known(table, range(0, 1000)), 1000);
  table.onWritten();
  t.true(table.bytes <= 10_000);
  t.true(table.size > 40 && table.size < 75, `${table.size}`);
  t.is(table.unwritten, 0);
});

test('however much gathers while the engine is slow is one batch', (t) => {
  const table = new ValueTable(200_000_000);
  const most = 2 ** 21 + 1000;
  const name = Buffer.alloc(4);
  for (let each = 0; each < most; each++) {
    name.writeUInt32BE(each);
    table.put(0, one, Math.imul(each, 0x9e37_79b1) >>> 0, name, 1, 0, emptyBytes);
  }
  const written = new Set<number>();
  const put = (dataKeyBytes: Buffer): void => void written.add(dataKeyBytes.readUInt32BE(7));
  table.writeTo({ put, delete: () => {}, size: 0, write: () => {} });
  t.is(written.size, most);
  t.is(table.unwritten, most);
  table.onWritten();
  t.deepEqual([table.unwritten, table.size], [0, most]);
});

test('with hardly any cache there is room for as much as may wait for the engine', (t) => {
  const table = new ValueTable(0);
  const value = Buffer.alloc(30_000);
  for (const each of range(0, 3000)) table.put(0, one, 0, Buffer.from(`key-${each}`), 1, 0, value);
  for (const each of range(3000, 40_000)) table.put(0, one, 0, Buffer.from(`key-${each}`), 1, 0, value.subarray(0, 60));
  t.is(known(table, range(0, 40_000)), 40_000);
  table.writeTo({ put: () => {}, delete: () => {}, size: 0, write: () => {} });
  table.onWritten();
  t.is(table.bytes, 0);
});

test('keys of one place on the ring are found as quickly as others', (t) => {
  const spread = new ValueTable(10_000_000);
  const together = new ValueTable(10_000_000);
  const value = Buffer.alloc(10);
  for (const each of range(0, 30_000)) {
    const name = Buffer.from(`key-${each}`);
    spread.put(0, one, Math.imul(each, 0x9e37_79b1) >>> 0, name, 1, 0, value);
    together.put(0, one, 7, name, 1, 0, value);
  }
  t.deepEqual([together.longestProbe, together.size], [spread.longestProbe, 30_000]);
  t.true(together.longestProbe < 200, `${together.longestProbe}`);
});

test('large values have memory of their own and are written over in place', (t) => {
  const table = new ValueTable(1_000_000);
  write(table, range(0, 40), 100_000);
  t.true(table.bytes <= 1_000_000);
  t.is(table.size, 9);
  write(table, range(31, 40), 100_000);
  t.is(known(table, range(31, 40)), 9);
  write(table, [39], 90_000);
  t.is(table.value(reference(table, 39)).length, 90_000);
  t.is(table.gatheredBytes, 0);
});
