/**
 * Goal: memory has of every key the newest mutation, or what the engine has, or does not know it; it forgets nothing that the engine
 * does not show yet, and what is written has exactly what was mutated, and the entries of the ordered index that belong to it.
 * Method: fast-check makes calls at random, with values of few and of very different lengths, in caches from none to one that is
 * never full, for two shards that are written apart or together, piece by piece between the calls; maps of the mutations, and of what
 * the engine was given, say what is right. Ring positions are few, so that keys meet in the hash table.
 */
import test, { type ExecutionContext } from 'ava';
import fc from 'fast-check';
import { type BucketId, bucketId, emptyBytes } from '../../../src/base/index.js';
import type { EngineBatch } from '../../../src/engine/index.js';
import { dataKey, decodeValue, isDataKey, ringOfDataKey, userKeyOfIndexKey, valueIn } from '../../../src/kv/keys.js';
import { type GatheredValues, ValueTable } from '../../../src/kv/value-table.js';

const one = bucketId(1);
const ringOf = (key: string): number => [0, 1, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff][Number(key) % 5] as number;
const ringOfNumber = (each: number): number => Math.imul(each, 0x9e37_79b1) >>> 0;
/** Of `key-<number>`. */
const spreadOut = (key: Buffer): number => ringOfNumber(Number(key.toString().slice(4)));
const shardOf = (key: string): number => Number(key) % 2;
const shards = [0, 1] as const;

/** A batch that keeps what it is given. */
class KeptBatch implements EngineBatch {
  readonly data: (readonly [name: string, value: string | null])[] = [];
  readonly index: (readonly [name: string, isThere: boolean])[] = [];
  readonly rings: number[] = [];

  private add(key: Buffer, encoded: Buffer | null): void {
    if (isDataKey(key)) {
      this.rings.push(ringOfDataKey(key));
      const value = encoded === null ? null : valueIn(decodeValue(encoded)).toString();
      this.data.push([`${key.readUInt16BE(1)} ${key.toString('latin1', 7)}`, value]);
    } else this.index.push([`${key.readUInt16BE(1)} ${userKeyOfIndexKey(key)}`, encoded !== null]);
  }

  put(key: Buffer, value: Buffer): void {
    this.add(Buffer.from(key), Buffer.from(value));
  }

  delete(key: Buffer): void {
    this.add(Buffer.from(key), null);
  }

  get size(): number {
    return this.data.length + this.index.length;
  }

  write(): void {}
}

class Model {
  /** Of what the engine does not show, by shard: by name, newest last; null: deleted. */
  readonly gathering = [new Map<string, string | null>(), new Map<string, string | null>()] as const;
  private readonly gathered: (GatheredValues | undefined)[] = [undefined, undefined];
  private underWay: ReadonlyMap<string, string | null> | undefined;
  private underWayBatch = new KeptBatch();
  private underWayGathered: readonly GatheredValues[] = [];
  /** Of the gatherings under way, those that are not all in the batch. */
  private unfilled: GatheredValues[] = [];
  readonly engine = new Map<string, string>();
  private readonly index = new Set<string>();
  readonly table: ValueTable;
  private revision = 0;

  constructor(
    private readonly t: ExecutionContext,
    readonly cacheBytes: number,
  ) {
    this.table = new ValueTable(cacheBytes, (key) => ringOf(key.toString()));
  }

  private find(id: BucketId, key: string): number {
    return this.table.find(id, Buffer.from(key));
  }

  mutate(id: BucketId, key: string, value: string | null): void {
    const bytes = Buffer.from(key);
    const shard = shardOf(key);
    this.gathered[shard] ??= this.table.gathering();
    const into = this.gathered[shard] as GatheredValues;
    const reference = this.find(id, key);
    const isAdded = reference === 0 || this.table.isDeleted(reference);
    if (value === null) this.table.delete(into, reference, id, bytes);
    else this.table.put(into, reference, id, bytes, ++this.revision, 0, Buffer.from(value), isAdded);
    this.gathering[shard]?.set(`${id} ${key}`, value);
  }

  /** What is right for a key: whether it must be known, and what then. */
  expected(name: string): { readonly must: boolean; readonly value: string | null } {
    for (const mutations of [...this.gathering, this.underWay]) {
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

  begin(which: readonly number[]): void {
    if (this.underWay !== undefined) return;
    this.underWayBatch = new KeptBatch();
    const expected = new Map<string, string | null>();
    const written: GatheredValues[] = [];
    for (const shard of which) {
      const gathered = this.gathered[shard];
      if (gathered === undefined) continue;
      this.gathered[shard] = undefined;
      written.push(gathered);
      this.table.beginWriting(gathered, this.underWayBatch);
      for (const [name, value] of this.gathering[shard] ?? []) expected.set(name, value);
      this.gathering[shard]?.clear();
    }
    this.underWay = expected;
    this.underWayGathered = written;
    this.unfilled = [...written];
  }

  /** Brings so many records of what is under way into its batch. */
  write(count: number): void {
    const [gathered] = this.unfilled;
    if (gathered === undefined) return;
    const { rings } = this.underWayBatch;
    const from = rings.length;
    if (this.table.write(gathered, count) > 0) this.unfilled.shift();
    const order = rings.slice(from);
    this.t.deepEqual(
      [...order].sort((a, b) => a - b),
      order,
    );
    this.t.true(order.length <= count);
  }

  end(): void {
    if (this.underWay === undefined) return;
    while (this.unfilled.length > 0) this.write(2);
    const { data } = this.underWayBatch;
    this.t.is(data.length, this.underWay.size, 'one mutation of a key');
    this.t.deepEqual(Object.fromEntries(data), Object.fromEntries(this.underWay), 'as it was when that began');
    for (const [name, value] of this.underWay) {
      if (value === null) this.engine.delete(name);
      else this.engine.set(name, value);
    }
    for (const [name, isThere] of this.underWayBatch.index) {
      if (isThere) this.index.add(name);
      else this.index.delete(name);
    }
    this.t.deepEqual([...this.index].sort(), [...this.engine.keys()].sort(), 'the index has the keys there are');
    this.underWay = undefined;
    this.table.onWritten(this.underWayGathered);
    const isAllWritten = this.gathering.every((mutations) => mutations.size === 0);
    if (isAllWritten) this.t.true(this.table.bytes <= this.cacheBytes, `${this.table.bytes} bytes`);
    const unwritten = this.gathering.reduce((sum, mutations) => sum + mutations.size, 0);
    this.t.is(this.table.unwritten, unwritten);
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
    const name = `${id} ${key}`;
    this.table.forget(dataKey(id, ringOf(key), Buffer.from(key)));
    if (this.expected(name).must) {
      this.read(id, key);
      return;
    }
    this.t.is(this.find(id, key), 0);
    this.engine.delete(name);
    this.index.delete(name);
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
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('begin' as const), which: fc.subarray([...shards]) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('write' as const), count: fc.integer({ min: 1, max: 9 }) }) },
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
        else if (each.kind === 'begin') model.begin(each.which);
        else if (each.kind === 'write') model.write(each.count);
        else if (each.kind === 'end') model.end();
        else model.table.useShares(new Map(each.share === 0 ? [] : [[bucketId(2), each.share]]));
      }
      for (const bucket of [one, bucketId(2)]) for (let at = 0; at < 30; at++) model.read(bucket, String(at));
      model.begin(shards);
      model.end();
      model.begin(shards);
      model.end();
      for (const bucket of [one, bucketId(2)]) for (let at = 0; at < 30; at++) model.read(bucket, String(at));
    });
    fc.assert(property, { numRuns: 150 });
  });
}

function writeAll(table: ValueTable, gathered: GatheredValues, batch: EngineBatch): void {
  table.beginWriting(gathered, batch);
  while (table.write(gathered, 1000) === 0);
}

/** Puts keys one after another, each written at once. */
function write(table: ValueTable, keys: readonly number[], bytes = 100): void {
  for (const each of keys) {
    const into = table.gathering();
    const name = Buffer.from(`key-${each}`);
    table.put(into, table.find(one, name), one, name, 1, 0, Buffer.alloc(bytes, each));
    writeAll(table, into, new KeptBatch());
    table.onWritten([into]);
  }
}

const range = (from: number, to: number): number[] => Array.from({ length: to - from }, (_, at) => from + at);
const reference = (table: ValueTable, each: number): number => table.find(one, Buffer.from(`key-${each}`));
const known = (table: ValueTable, keys: readonly number[]): number =>
  keys.filter((each) => reference(table, each) !== 0).length;

test('many keys stay in order while the oldest make room: as many are known as there is room for, the newest', (t) => {
  const table = new ValueTable(1_000_000, spreadOut);
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
  const table = new ValueTable(1_000_000, spreadOut);
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
  const table = new ValueTable(1_000_000, spreadOut);
  const encoded = Buffer.alloc(107);
  for (const each of range(0, 30_000)) {
    table.fill(dataKey(one, ringOfNumber(each), Buffer.from(`key-${each}`)), encoded);
    table.use(reference(table, each));
    t.true(table.bytes <= 1_000_000);
  }
  t.true(table.size > 3000, `${table.size}`);
});

test('however much is unwritten is kept, and what is more than the cache goes once it is written', (t) => {
  const table = new ValueTable(10_000, spreadOut);
  const into = table.gathering();
  for (const each of range(0, 1000)) {
    const name = Buffer.from(`key-${each}`);
    table.put(into, 0, one, name, 1, 0, Buffer.alloc(100, each));
  }
  t.is(known(table, range(0, 1000)), 1000);
  t.is(table.unwritten, 1000);
  writeAll(table, into, new KeptBatch());
  t.is(known(table, range(0, 1000)), 1000);
  table.onWritten([into]);
  t.true(table.bytes <= 10_000);
  t.true(table.size > 40 && table.size < 75, `${table.size}`);
  t.is(table.unwritten, 0);
});

test('however much gathers while the engine is slow is one batch', (t) => {
  const table = new ValueTable(200_000_000, (key) => ringOfNumber(key.readUInt32BE(0)));
  const into = table.gathering();
  const most = 2 ** 21 + 1000;
  const name = Buffer.alloc(4);
  for (let each = 0; each < most; each++) {
    name.writeUInt32BE(each);
    table.put(into, 0, one, name, 1, 0, emptyBytes);
  }
  const written = new Set<number>();
  let begun = 0;
  let last = Number.POSITIVE_INFINITY;
  const put = (dataKeyBytes: Buffer): void => {
    written.add(dataKeyBytes.readUInt32BE(7));
    const ring = ringOfDataKey(dataKeyBytes);
    if (ring < last) begun++;
    last = ring;
  };
  writeAll(table, into, { put, delete: () => {}, size: 0, write: () => {} });
  t.is(written.size, most);
  t.is(begun, 2, 'in order, as far as it is sorted together');
  t.is(table.unwritten, most);
  table.onWritten([into]);
  t.deepEqual([table.unwritten, table.size], [0, most]);
});

test('with hardly any cache there is room for as much as may wait for the engine', (t) => {
  const table = new ValueTable(0, spreadOut);
  const into = table.gathering();
  const value = Buffer.alloc(30_000);
  for (const each of range(0, 3000)) table.put(into, 0, one, Buffer.from(`key-${each}`), 1, 0, value);
  for (const each of range(3000, 40_000))
    table.put(into, 0, one, Buffer.from(`key-${each}`), 1, 0, value.subarray(0, 60));
  t.is(known(table, range(0, 40_000)), 40_000);
  writeAll(table, into, new KeptBatch());
  table.onWritten([into]);
  t.is(table.bytes, 0);
});

test('keys of one place on the ring are found as quickly as others', (t) => {
  const spread = new ValueTable(10_000_000, spreadOut);
  const together = new ValueTable(10_000_000, () => 7);
  const first = spread.gathering();
  const second = together.gathering();
  const value = Buffer.alloc(10);
  for (const each of range(0, 30_000)) {
    const name = Buffer.from(`key-${each}`);
    spread.put(first, 0, one, name, 1, 0, value);
    together.put(second, 0, one, name, 1, 0, value);
  }
  t.deepEqual([together.longestProbe, together.size], [spread.longestProbe, 30_000]);
  t.true(together.longestProbe < 200, `${together.longestProbe}`);
});

test('large values have memory of their own and are written over in place', (t) => {
  const table = new ValueTable(1_000_000, spreadOut);
  write(table, range(0, 40), 100_000);
  t.true(table.bytes <= 1_000_000);
  t.is(table.size, 9);
  write(table, range(31, 40), 100_000);
  t.is(known(table, range(31, 40)), 9);
  write(table, [39], 90_000);
  t.is(table.value(reference(table, 39)).length, 90_000);
  t.is(table.unwritten, 0);
});
