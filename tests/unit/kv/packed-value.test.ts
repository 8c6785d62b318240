import test from 'ava';
import fc from 'fast-check';
import { encodeValue, valueIn } from '../../../src/kv/keys.js';
import { pack, packedBytes, unpack } from '../../../src/kv/packed-value.js';

const u48 = fc.integer({ min: 0, max: 2 ** 48 - 1 });

test('what is packed is the same when it is unpacked', (t) => {
  fc.assert(
    fc.property(
      u48,
      fc.oneof(fc.constant(0), u48),
      fc.uint8Array({ maxLength: 5000 }),
      (revision, expiresAtMs, bytes) => {
        const stored = encodeValue(revision, expiresAtMs, Buffer.from(bytes));
        const packed = pack(stored);
        const { revision: again, expiresAtMs: expires, encoded } = unpack(packed);
        t.deepEqual({ again, expires, encoded }, { again: revision, expires: expiresAtMs, encoded: stored.encoded });
        t.deepEqual(valueIn(unpack(packed)), Buffer.from(bytes));
        t.is(packedBytes(packed), stored.encoded.length);
      },
    ),
  );
});

test('a small value keeps no memory alive that others use; a large one stays as it is', (t) => {
  t.is(typeof pack(encodeValue(1, 0, Buffer.alloc(256))), 'string');
  const large = encodeValue(1, 0, Buffer.alloc(8192));
  t.is(pack(large), large);
  t.is(large.encoded.buffer.byteLength, large.encoded.length);
});
