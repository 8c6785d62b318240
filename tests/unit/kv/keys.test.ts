import test from 'ava';
import fc from 'fast-check';
import { type BucketId, bucketId, mapKey } from '../../../src/base/index.js';
import {
  bucketOfDataKey,
  bucketOfName,
  dataKey,
  dataKeyBytes,
  dataName,
  dataRange,
  decodeValue,
  encodedValueBytes,
  indexKey,
  indexRange,
  isDataKeyOf,
  isLive,
  ringOfDataKey,
  userKeyOfDataKey,
  userKeyOfIndexKey,
  userKeyOfName,
  valueIn,
  writeU48,
  writeValue,
} from '../../../src/kv/keys.js';

const bucket = fc.integer({ min: 0, max: 0xffff }).map(bucketId);
const ring = fc.integer({ min: 0, max: 0xffff_ffff });
const bytes = fc.uint8Array({ maxLength: 12 }).map((array) => Buffer.from(array));
const u48 = fc.integer({ min: 0, max: 2 ** 48 - 1 });

test('data keys order by bucket, ring position and key, and read back', (t) => {
  fc.assert(
    fc.property(bucket, ring, bytes, bucket, ring, bytes, (b1, r1, k1, b2, r2, k2) => {
      const expected = Math.sign(b1 - b2 || r1 - r2 || Buffer.compare(k1, k2));
      const key = dataKey(b1, r1, k1);
      t.is(Buffer.compare(key, dataKey(b2, r2, k2)), expected as 0);
      t.is(bucketOfDataKey(key), b1);
      t.deepEqual(userKeyOfDataKey(key), k1);
    }),
  );
});

test('the name of a data key is its bytes, however long the key', (t) => {
  const long = fc.uint8Array({ minLength: 1000, maxLength: 1100 }).map((array) => Buffer.from(array));
  fc.assert(
    fc.property(bucket, ring, fc.oneof(bytes, long), (b, r, key) => {
      const name = dataName(b, r, key);
      t.is(name, mapKey(dataKey(b, r, key)));
      t.is(bucketOfName(name), b);
      t.is(userKeyOfName(name), mapKey(key));
    }),
  );
});

test('48 bits are written as writeUIntBE writes them, and no other number is', (t) => {
  fc.assert(
    fc.property(u48, (number) => {
      const [found, expected] = [Buffer.alloc(8), Buffer.alloc(8)];
      t.is(writeU48(found, number, 1), expected.writeUIntBE(number, 1, 6));
      t.deepEqual(found, expected);
    }),
  );
  for (const number of [-1, 2 ** 48, Number.NaN]) t.throws(() => writeU48(Buffer.alloc(6), number, 0));
});

test('index keys order by bucket and key, and read back', (t) => {
  fc.assert(
    fc.property(bucket, bytes, bucket, bytes, (b1, k1, b2, k2) => {
      const expected = Math.sign(b1 - b2 || Buffer.compare(k1, k2));
      t.is(Buffer.compare(indexKey(b1, k1), indexKey(b2, k2)), expected as 0);
      t.deepEqual(userKeyOfIndexKey(indexKey(b1, k1)), k1);
    }),
  );
});

test('a data range holds exactly the arc, the end of the ring and the last bucket included', (t) => {
  const buckets = fc.oneof(bucket, fc.constantFrom(0, 0xffff).map(bucketId));
  const edges = fc.oneof(ring, fc.constantFrom(0, 0xffff_ffff, 0x1_0000_0000));
  fc.assert(
    fc.property(buckets, edges, edges, buckets, ring, bytes, (ours, a, b, other, position, key) => {
      const [start, end] = [Math.min(a, b, 0xffff_ffff), Math.max(a, b)];
      const { gte, lt } = dataRange(ours, start, end);
      for (const one of [ours, other]) {
        const encoded = dataKey(one, position, key);
        const isIn = Buffer.compare(encoded, gte) >= 0 && Buffer.compare(encoded, lt) < 0;
        t.is(isIn, one === ours && position >= start && position < end);
      }
    }),
  );
});

test('an index range holds exactly its keys', (t) => {
  fc.assert(
    fc.property(bucket, bytes, fc.option(bytes, { nil: undefined }), bucket, bytes, (ours, from, to, other, key) => {
      const { gte, lt } = indexRange(ours, from, to);
      for (const one of [ours, other]) {
        const encoded = indexKey(one, key);
        const isIn = Buffer.compare(encoded, gte) >= 0 && Buffer.compare(encoded, lt) < 0;
        const wanted = Buffer.compare(key, from) >= 0 && (to === undefined || Buffer.compare(key, to) < 0);
        t.is(isIn, one === ours && wanted);
      }
    }),
  );
});

/** A value as it stands in the engine. */
function encoded(revision: number, expiresAtMs: number, value: Buffer, at = 0): Buffer {
  const whole = Buffer.alloc(at + encodedValueBytes(expiresAtMs, value));
  writeValue(whole, at, revision, expiresAtMs, value);
  return whole.subarray(at);
}

test('values read back with revision and expiry, empty ones too, wherever they are', (t) => {
  fc.assert(
    fc.property(u48, fc.oneof(fc.constant(0), u48), bytes, fc.nat(9), (revision, expiresAtMs, value, at) => {
      const stored = decodeValue(encoded(revision, expiresAtMs, value, at));
      t.is(stored.revision, revision);
      t.is(stored.expiresAtMs, expiresAtMs);
      t.deepEqual(valueIn(stored), value);
    }),
  );
  const expiring = decodeValue(encoded(1, 500, Buffer.from('x')));
  t.deepEqual(
    [499, 500, 501].map((nowMs) => isLive(expiring, nowMs)),
    [true, false, false],
  );
});

test('a data key that is somewhere is told from those of other keys and buckets', (t) => {
  const long = fc.uint8Array({ minLength: 45, maxLength: 60 }).map((array) => Buffer.from(array));
  const key = fc.oneof(bytes, long);
  fc.assert(
    fc.property(bucket, bucket, ring, key, key, fc.nat(9), (one, two, place, a, b, at) => {
      const there = Buffer.concat([Buffer.alloc(at), dataKey(one, place, a), Buffer.alloc(3)]);
      const isOf = (id: BucketId, other: Buffer): boolean => isDataKeyOf(there, at, dataKeyBytes(a), id, other);
      t.is(ringOfDataKey(there, at), place);
      t.is(bucketOfDataKey(there, at), one);
      t.true(isOf(one, a));
      t.is(isOf(two, a), one === two);
      t.is(isOf(one, b), a.equals(b));
      const last = Buffer.concat([a.subarray(0, -1), Buffer.from([(a[a.length - 1] ?? 0) ^ 1])]);
      if (a.length > 0) t.false(isOf(one, last));
    }),
  );
});
