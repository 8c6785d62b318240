import test from 'ava';
import fc from 'fast-check';
import { replicaId, type ShardId, shardId } from '../../../src/base/index.js';
import { type Entry, EntryType, type HardState } from '../../../src/raft/index.js';
import { BatchWriter, type TakenBatch } from '../../../src/wal/batch-writer.js';
import {
  batchHeaderBytes,
  type DecodedRecord,
  decodeBatchHeader,
  decodeRecord,
  recordSeed,
  writeEntries,
  writeHardState,
} from '../../../src/wal/record.js';

type Write = { readonly shard: ShardId; readonly sizes: readonly number[]; readonly hardState: HardState | undefined };

const entriesOf = (sizes: readonly number[], seed: number): Entry[] =>
  sizes.map((size, at) => ({ term: 3, index: 10 + at, type: EntryType.Normal, data: Buffer.alloc(size, seed + at) }));

function gather(batch: BatchWriter, writes: readonly Write[], seed: number): DecodedRecord[] {
  return writes.map(({ shard, sizes, hardState }): DecodedRecord => {
    if (hardState !== undefined) {
      writeHardState(batch, shard, hardState);
      return { type: 'HardState', shardId: shard, hardState };
    }
    const entries = entriesOf(sizes, seed);
    writeEntries(batch, shard, entries, 9);
    return { type: 'Entries', shardId: shard, entries, commitIndex: 9 };
  });
}

function recordsOf({ pieces }: TakenBatch): DecodedRecord[] {
  const bytes = Buffer.concat(pieces);
  const header = decodeBatchHeader(bytes, 0);
  const records: DecodedRecord[] = [];
  for (let at = batchHeaderBytes; at < bytes.length; ) {
    const decoded = decodeRecord(bytes, at, bytes.length, recordSeed(header?.number ?? 0));
    if (decoded === undefined) throw new Error(`no record at ${at} of ${bytes.length}`);
    records.push(decoded.record);
    at = decoded.next;
  }
  if (header?.bytes !== bytes.length - batchHeaderBytes) throw new Error('the header tells another length');
  if (header.records !== records.length) throw new Error('the header tells another number of records');
  return records;
}

/** Small ones, those that are left where they are, and those that make the memory grow. */
const size = fc.oneof(
  fc.integer({ min: 0, max: 300 }),
  fc.integer({ min: 16_000, max: 17_000 }),
  fc.integer({ min: 0, max: 70_000 }),
);
const hardState = fc
  .record({ currentTerm: fc.nat(), commitIndex: fc.nat() })
  .map((state): HardState => ({ ...state, votedFor: replicaId(2) }));
const write = fc.record({
  shard: fc.integer({ min: 0, max: 511 }).map(shardId),
  sizes: fc.array(size, { minLength: 1, maxLength: 12 }),
  hardState: fc.option(hardState, { nil: undefined }),
});

test('what was gathered reads back, whatever the sizes, batch after batch in the same memory', (t) => {
  fc.assert(
    fc.property(
      fc.array(fc.array(write, { minLength: 1, maxLength: 12 }), { minLength: 1, maxLength: 5 }),
      (batches) => {
        const batch = new BatchWriter(1);
        batches.forEach((writes, number) => {
          const expected = gather(batch, writes, number);
          t.is(batch.records, writes.length);
          const taken = batch.take();
          t.is(
            taken.bytes,
            taken.pieces.reduce((sum, piece) => sum + piece.length, 0),
          );
          t.deepEqual(recordsOf(taken), expected);
          batch.release(taken);
        });
      },
    ),
    { numRuns: 60 },
  );
});

test('a taken batch does not change while the next one gathers', (t) => {
  const batch = new BatchWriter(1);
  const first = gather(batch, [{ shard: shardId(1), sizes: [100, 20_000, 5], hardState: undefined }], 1);
  const taken = batch.take();
  gather(batch, [{ shard: shardId(2), sizes: [90_000, 300], hardState: undefined }], 50);
  t.deepEqual(recordsOf(taken), first);
});

test('a batch of small records is one piece; large data stay where they are', (t) => {
  const batch = new BatchWriter(1);
  for (let shard = 0; shard < 200; shard++) {
    gather(batch, [{ shard: shardId(shard), sizes: [200, 200], hardState: undefined }], shard);
  }
  const taken = batch.take();
  t.is(taken.pieces.length, 1);
  batch.release(taken);
  const data = Buffer.alloc(64 * 1024, 7);
  writeEntries(batch, shardId(1), [{ term: 1, index: 1, type: EntryType.Normal, data }], 0);
  t.true(batch.take().pieces.includes(data));
});

test('two batches take turns with two stretches of memory', (t) => {
  const batch = new BatchWriter(1);
  const seen = new Set<ArrayBufferLike>();
  for (let number = 1; number <= 20; number++) {
    gather(batch, [{ shard: shardId(1), sizes: [300], hardState: undefined }], number);
    const taken = batch.take();
    seen.add(taken.memory.buffer);
    batch.release(taken);
  }
  t.is(seen.size, 2);
});
