/** Goal: the keys of several sorted arrays come out in order, each once, either way round. Method: compared with a sorted set. */
import test from 'ava';
import fc from 'fast-check';
import type { BucketId } from '../../../src/base/index.js';
import { AddedCursor, AddedKeys } from '../../../src/kv/added-keys.js';

const bucket = 7 as BucketId;
const seed = Number(process.env.TEST_SEED ?? Date.now() % 1_000_000);

const key = fc.uint8Array({ minLength: 1, maxLength: 2 }).map((bytes) => Buffer.from(bytes).toString('latin1'));
const lists = fc.array(fc.array(key, { maxLength: 12 }), { maxLength: 3 });

test('a cursor gives each key of the interval once, in the order of bytes or the reverse', (t) => {
  t.log(`seed ${seed}`);
  fc.assert(
    fc.property(lists, key, fc.option(key, { nil: undefined }), fc.boolean(), (keys, first, end, reverse) => {
      const sources = keys.map((some) => {
        const added = new AddedKeys();
        for (const one of some) added.add(bucket, one);
        added.add(8 as BucketId, 'of another bucket');
        return added.sorted(bucket);
      });
      const cursor = new AddedCursor(sources, first, end, reverse);
      const found: string[] = [];
      for (let next = cursor.peek(); next !== undefined; next = cursor.peek()) {
        found.push(next);
        cursor.skip(next);
      }
      const bytes = (text: string): Buffer => Buffer.from(text, 'latin1');
      const wanted = [...new Set(keys.flat())]
        .filter((one) => one >= first && (end === undefined || one < end))
        .sort((a, b) => (reverse ? -1 : 1) * Buffer.compare(bytes(a), bytes(b)));
      t.deepEqual(found, wanted);
    }),
    { seed, numRuns: 300 },
  );
});

test('keys that are added after they were asked for sorted are sorted in the next time', (t) => {
  const added = new AddedKeys();
  for (const one of ['b', 'c']) added.add(bucket, one);
  t.deepEqual(added.sorted(bucket), ['b', 'c']);
  const cursor = new AddedCursor([added.sorted(bucket)], '', undefined, false);
  added.add(bucket, 'a');
  t.deepEqual(added.sorted(bucket), ['a', 'b', 'c']);
  t.is(cursor.peek(), 'b', 'a cursor is of its moment');
});
