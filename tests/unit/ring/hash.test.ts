/** Goal: the position of a key never changes: it stands in every stored key. */
import test from 'ava';
import fc from 'fast-check';
import { arcAt, equalArcs, initHash, placementBytes, ringHash, ringSize } from '../../../src/ring/index.js';

test.before(() => initHash());

/** xxHash32 after its specification, in plain arithmetic: what the WebAssembly is held against. */
function xxh32(bytes: Buffer): number {
  const [p1, p2, p3, p4, p5] = [0x9e3779b1, 0x85ebca77, 0xc2b2ae3d, 0x27d4eb2f, 0x165667b1] as const;
  const rotate = (value: number, by: number): number => (value << by) | (value >>> (32 - by));
  const round = (lane: number, word: number): number => Math.imul(rotate((lane + Math.imul(word, p2)) | 0, 13), p1);
  let at = 0;
  let hash: number = p5;
  if (bytes.length >= 16) {
    let [a, b, c, d] = [(p1 + p2) | 0, p2 | 0, 0, -p1 | 0];
    for (; at + 16 <= bytes.length; at += 16) {
      a = round(a, bytes.readInt32LE(at));
      b = round(b, bytes.readInt32LE(at + 4));
      c = round(c, bytes.readInt32LE(at + 8));
      d = round(d, bytes.readInt32LE(at + 12));
    }
    hash = (rotate(a, 1) + rotate(b, 7) + rotate(c, 12) + rotate(d, 18)) | 0;
  }
  hash = (hash + bytes.length) | 0;
  for (; at + 4 <= bytes.length; at += 4) {
    hash = Math.imul(rotate((hash + Math.imul(bytes.readInt32LE(at), p3)) | 0, 17), p4);
  }
  for (; at < bytes.length; at++) hash = Math.imul(rotate((hash + Math.imul(bytes[at] as number, p5)) | 0, 11), p1);
  hash = Math.imul(hash ^ (hash >>> 15), p2);
  hash = Math.imul(hash ^ (hash >>> 13), p3);
  return (hash ^ (hash >>> 16)) >>> 0;
}

test('golden positions', (t) => {
  const golden: Readonly<Record<string, number>> = {
    '': 0x02cc5d05,
    a: 0x550d7456,
    abc: 0x32d153ff,
  };
  for (const [key, position] of Object.entries(golden)) t.is(ringHash(Buffer.from(key)), position, key);
});

test('the hash is xxHash32 with seed 0 for any bytes', (t) => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      const key = Buffer.from(bytes);
      t.is(ringHash(key), xxh32(placementBytes(key)));
    }),
  );
});

test('keys with the same tag share their position; an empty or open tag is no tag', (t) => {
  const placed = (key: string): string => placementBytes(Buffer.from(key)).toString();
  t.is(placed('{user1}/name'), 'user1');
  t.is(placed('a{user1}b{user2}'), 'user1');
  t.is(placed('{}x'), '{}x');
  t.is(placed('{open'), '{open');
  t.is(placed('}{x}'), 'x');
  t.is(placed('{a{b}c}'), 'a{b');
  t.is(ringHash(Buffer.from('{user1}/name')), ringHash(Buffer.from('user1')));
});

test('arcs cover the ring without gap or overlap, as equal as can be', (t) => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 4096 }), (count) => {
      const arcs = equalArcs(count);
      t.is(arcs.length, count);
      t.is(arcs[0]?.start, 0);
      t.is(arcs.at(-1)?.end, ringSize);
      let [least, most] = [ringSize, 0];
      for (const [at, { start, end, shardId }] of arcs.entries()) {
        if (at > 0 && arcs[at - 1]?.end !== start) t.fail(`a gap before arc ${at} of ${count}`);
        if (shardId !== at + 1) t.fail(`arc ${at} has shard ${shardId}`);
        least = Math.min(least, end - start);
        most = Math.max(most, end - start);
      }
      t.true(most - least <= 1);
    }),
    { numRuns: 50 },
  );
});

test('every position is found in the one arc that holds it', (t) => {
  const position = fc.oneof(fc.integer({ min: 0, max: ringSize - 1 }), fc.constantFrom(0, ringSize - 1));
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 300 }), position, fc.nat(), (count, anywhere, pick) => {
      const arcs = equalArcs(count);
      const starts = arcs.map(({ start }) => start);
      const edge = starts[pick % count] as number;
      for (const at of [anywhere, edge, Math.max(0, edge - 1)]) {
        const arc = arcs[arcAt(starts, at)];
        t.true(arc !== undefined && arc.start <= at && at < arc.end);
      }
    }),
  );
});
