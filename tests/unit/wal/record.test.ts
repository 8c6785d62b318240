import test from 'ava';
import fc from 'fast-check';
import { replicaId, shardId } from '../../../src/base/index.js';
import { type Entry, EntryType } from '../../../src/raft/index.js';
import { BatchWriter } from '../../../src/wal/batch-writer.js';
import {
  batchHeaderBytes,
  decodeBatchHeader,
  decodeRecord,
  decodeSegmentHeader,
  encodeSegmentHeader,
  RecordType,
  recordSeed,
  writeBase,
  writeBatchHeader,
  writeEntries,
  writeHardState,
  writeTombstone,
} from '../../../src/wal/record.js';
import { configuration, entriesOf } from '../../support/wal-calls.js';

const number = 5;
const seed = recordSeed(number);
const u48 = fc.integer({ min: 0, max: 2 ** 48 });
const u32 = fc.integer({ min: 0, max: 0xffff_ffff });
const shard = fc.integer({ min: 0, max: 0xffff }).map(shardId);

/** The bytes of the one record that `write` writes. */
function written(write: (batch: BatchWriter) => void): Buffer {
  const batch = new BatchWriter(number);
  write(batch);
  return Buffer.concat(batch.take().pieces).subarray(batchHeaderBytes);
}

function readBack(write: (batch: BatchWriter) => void) {
  const encoded = written(write);
  const decoded = decodeRecord(encoded, 0, encoded.length, seed);
  return decoded?.next === encoded.length ? decoded.record : undefined;
}

test('every kind of record reads back as it was written', (t) => {
  const group = { replicaId: 7, snapshot: { index: 2 ** 40, term: 9, configuration } };
  for (const type of ['Group', 'Snapshot', 'Release'] as const) {
    const record = readBack((batch) => writeBase(batch, shardId(3), RecordType[type], replicaId(7), group.snapshot));
    t.deepEqual(record, { type, shardId: shardId(3), replicaId: replicaId(7), snapshot: group.snapshot });
  }
  t.deepEqual(
    readBack((batch) => writeTombstone(batch, shardId(65535))),
    { type: 'Tombstone', shardId: shardId(65535) },
  );
});

test('hard states and entries of any size read back as they were written', (t) => {
  const entry = fc.record({ term: u48, type: fc.constantFrom(...Object.values(EntryType)), data: fc.uint8Array() });
  fc.assert(
    fc.property(
      shard,
      u48,
      u32,
      u48,
      fc.array(entry, { minLength: 1, maxLength: 20 }),
      (id, index, vote, commit, list) => {
        const hardState = { currentTerm: index, votedFor: replicaId(vote), commitIndex: commit };
        t.deepEqual(
          readBack((batch) => writeHardState(batch, id, hardState)),
          { type: 'HardState', shardId: id, hardState },
        );
        const entries: Entry[] = list.map(({ data, ...one }, at) => ({
          ...one,
          index: index + at,
          data: Buffer.from(data),
        }));
        const read = readBack((batch) => writeEntries(batch, id, entries, commit));
        t.deepEqual(read, { type: 'Entries', shardId: id, entries, commitIndex: commit });
      },
    ),
    { numRuns: 100 },
  );
});

test('an entry with empty data, followed by nothing or by more, reads back', (t) => {
  for (const texts of [[''], ['a', ''], ['', 'a'], ['', '', '']]) {
    // zlib's crc32 of a view of no memory is 0, whatever it should go on from; of other empty buffers it is right.
    const noMemory = Buffer.from(new ArrayBuffer(0));
    for (const empty of [Buffer.alloc(0), noMemory]) {
      const entries = entriesOf(1, texts).map((entry) => (entry.data.length > 0 ? entry : { ...entry, data: empty }));
      const read = readBack((batch) => writeEntries(batch, shardId(1), entries, 0));
      t.deepEqual(read, { type: 'Entries', shardId: shardId(1), entries: entriesOf(1, texts), commitIndex: 0 });
    }
  }
});

test('a record with any one bit flipped, or cut short, does not read', (t) => {
  const encoded = written((batch) => writeEntries(batch, shardId(1), entriesOf(5, ['ab', '', 'cdef']), 4));
  for (let bit = 0; bit < encoded.length * 8; bit++) {
    const flipped = Buffer.from(encoded);
    flipped[bit >>> 3] = (flipped[bit >>> 3] as number) ^ (1 << (bit & 7));
    t.is(decodeRecord(flipped, 0, flipped.length, seed), undefined, `bit ${bit}`);
  }
  for (let end = 0; end < encoded.length; end++) t.is(decodeRecord(encoded, 0, end, seed), undefined, `cut at ${end}`);
});

test('a record of another batch does not read, however much it is where it should be', (t) => {
  const encoded = written((batch) => writeEntries(batch, shardId(1), entriesOf(5, ['ab', '', 'cdef']), 4));
  for (let other = 0; other < 5000; other++) {
    t.is(decodeRecord(encoded, 0, encoded.length, recordSeed(other)) !== undefined, other === number);
  }
});

test('headers read back, and with any one bit flipped they do not', (t) => {
  const segment = encodeSegmentHeader(2 ** 40 + 3, 2 ** 35 + 9);
  const header = { number: 2 ** 33 + 1, bytes: 77, records: 3 };
  const batch = Buffer.alloc(batchHeaderBytes);
  writeBatchHeader(batch, header);
  const read = { sequence: 2 ** 40 + 3, from: 2 ** 35 + 9, bytes: 32, isNumbered: true };
  t.deepEqual(decodeSegmentHeader(segment), read);
  t.deepEqual(decodeBatchHeader(batch, 0), header);
  for (let bit = 0; bit < batch.length * 8; bit++) {
    const flipped = Buffer.from(batch);
    flipped[bit >>> 3] = (flipped[bit >>> 3] as number) ^ (1 << (bit & 7));
    t.is(decodeBatchHeader(flipped, 0), undefined, `batch bit ${bit}`);
  }
  for (let bit = 0; bit < 28 * 8; bit++) {
    const flipped = Buffer.from(segment);
    flipped[bit >>> 3] = (flipped[bit >>> 3] as number) ^ (1 << (bit & 7));
    t.is(decodeSegmentHeader(flipped), undefined, `segment bit ${bit}`);
  }
});
