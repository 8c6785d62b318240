/**
 * Goal: no two segments in use are the same memory; memory of the cache is used again, and what is needed beyond it is given back.
 * Method: records are added until the cache has been filled several times, some of them held as if the engine had not got them; the
 * segments in use are looked at.
 */
import test from 'ava';
import { bucketId } from '../../../src/base/index.js';
import { recordBytes, type Segment, ValueArena, wordOf } from '../../../src/kv/value-arena.js';

const MiB = 1024 * 1024;
const bucket = bucketId(1);
const keyBytes = 20;

function fixture(cacheBytes: number) {
  const held = new Set<number>();
  const forgotten = { count: 0 };
  const arena = new ValueArena(cacheBytes, {
    onMoved: (from, to) => {
      if (held.delete(from)) held.add(to);
    },
    onForgotten: (reference) => {
      if (held.has(reference)) throw new Error('a record that is held is forgotten');
      forgotten.count++;
    },
  });
  const add = (bytes: number, isHeld: boolean): void => {
    const reference = arena.add(bucket, recordBytes(keyBytes, bytes));
    const segment = arena.segmentOf(reference);
    segment.begin(wordOf(reference), keyBytes, bytes);
    segment.bytes.fill(0, segment.keyAt(wordOf(reference)), segment.valueAt(wordOf(reference)));
    if (!isHeld) return;
    segment.setGathering(wordOf(reference), 1, 0);
    held.add(reference);
  };
  const letGo = (): void => {
    for (const reference of held) arena.segmentOf(reference).setGathering(wordOf(reference), 0, 0);
    held.clear();
    arena.trim();
  };
  const inUse = (): readonly Segment[] =>
    (arena as unknown as { segments: readonly (Segment | undefined)[] }).segments.filter((one) => one !== undefined);
  return { arena, add, letGo, inUse, forgotten };
}

/** Memory in use, whole: slabs and what stands alone. */
const memoriesOf = (segments: readonly Segment[]): ReadonlySet<ArrayBufferLike> =>
  new Set(segments.map(({ bytes }) => bytes.buffer));

function overlaps(segments: readonly Segment[]): boolean {
  const placed = new Set<number>();
  const numbers = new Map([...memoriesOf(segments)].map((memory, at) => [memory, at * 2 ** 32]));
  for (const { bytes } of segments) {
    const place = (numbers.get(bytes.buffer) as number) + bytes.byteOffset;
    if (placed.has(place)) return true;
    placed.add(place);
  }
  return false;
}

test('a cache that is filled again and again has the memory it had the first time', (t) => {
  const { arena, add, inUse, forgotten } = fixture(20 * MiB);
  const fill = (): void => {
    for (let bytes = 0; bytes < 25 * MiB; bytes += 1000) add(1000 - keyBytes - 16, false);
  };
  fill();
  t.true(forgotten.count > 0);
  const before = memoriesOf(inUse());
  t.true(before.size <= 4, 'slabs of 8, 8 and 4 MiB, and a segment for when all are in use');
  for (let round = 0; round < 4; round++) fill();
  for (const memory of memoriesOf(inUse())) t.true(before.has(memory) || memory.byteLength === MiB / 4);
  t.true(memoriesOf(inUse()).size <= 4);
  t.false(overlaps(inUse()));
  t.true(arena.bytes <= 20 * MiB);
});

test('what the engine has not got stays beyond the cache, in memory that is given back; no memory is given twice', (t) => {
  const { arena, add, letGo, inUse } = fixture(8 * MiB);
  for (let round = 0; round < 5; round++) {
    for (let bytes = 0; bytes < 40 * MiB; bytes += 2000) add(2000 - keyBytes - 16, bytes % 6000 !== 0);
    t.true(arena.bytes > 25 * MiB);
    t.false(overlaps(inUse()));
    const alone = [...memoriesOf(inUse())].filter(({ byteLength }) => byteLength === MiB / 4);
    t.true(alone.length > 60);
    t.true(inUse().every(({ isLarge, bytes }) => isLarge || bytes.length === MiB / 4));
    letGo();
    t.true(arena.bytes <= 8 * MiB);
    // They have memory of their own, of their own length, which is nobody else's later.
    for (let large = 0; large < 200; large++) add(100_000, false);
    t.false(overlaps(inUse()));
    const spare = arena as unknown as { spare: readonly Buffer[]; spareOfSlabs: readonly Buffer[] };
    t.true(spare.spare.length <= 4);
    t.true(spare.spareOfSlabs.length <= 32);
  }
});
