/**
 * Reads a segment back and judges what does not read (DESIGN section 3; "Protocol-Aware Recovery", FAST'18).
 *
 * Only one write is ever under way, so at most the last batch of the log can be torn: it was never acknowledged. A
 * batch that does not read, with a later one after it, is damage.
 */
import {
  batchHeaderBytes,
  type DecodedRecord,
  decodeBatchHeader,
  decodeRecord,
  decodeSegmentHeader,
  recordSeed,
  type SegmentHeader,
  segmentHeaderBytes,
} from './record.js';

export type SegmentScan = {
  readonly batches: readonly { readonly number: number; readonly records: readonly DecodedRecord[] }[];
  /** Where the last readable batch ends. */
  readonly validEnd: number;
  /** Something follows that does not read. */
  readonly tail: 'clean' | 'torn' | 'damaged';
  /** Batches between the segment before and this one are nowhere: they were in bytes that do not read. */
  readonly followsGap: boolean;
  /** The segment's own header does not read: nothing in it can be trusted to be in place. */
  readonly headerReadable: boolean;
};

type Batch = { readonly number: number; readonly records: DecodedRecord[]; readonly next: number };

function readBatch(bytes: Buffer, at: number, { from: leastNumber, isNumbered }: SegmentHeader): Batch | undefined {
  const header = decodeBatchHeader(bytes, at);
  if (header === undefined || header.number < leastNumber) return undefined;
  const seed = isNumbered ? recordSeed(header.number) : 0;
  const next = at + batchHeaderBytes + header.bytes;
  if (next > bytes.length) return undefined;
  const records: DecodedRecord[] = [];
  let from = at + batchHeaderBytes;
  while (from < next) {
    const decoded = decodeRecord(bytes, from, next, seed);
    if (decoded === undefined) return undefined;
    records.push(decoded.record);
    from = decoded.next;
  }
  return records.length === header.records ? { number: header.number, records, next } : undefined;
}

/** The highest number in a batch header that stands after `from`; 0: there is none. */
function newestBatch(bytes: Buffer, from: number): number {
  let newest = 0;
  const magic = Buffer.from('BTCH', 'latin1');
  for (let at = bytes.indexOf(magic, from); at >= 0; at = bytes.indexOf(magic, at + 1)) {
    const header = decodeBatchHeader(bytes, at);
    if (header !== undefined) newest = Math.max(newest, header.number);
  }
  return newest;
}

/** What stands behind the last batch that reads, and is not zeros, where the one that follows would be number `torn`. */
function judgeTail(newest: number, torn: number, { from }: SegmentHeader): SegmentScan['tail'] {
  if (newest > torn) return 'damaged';
  // Where the file was in use before there is something behind the end, whatever happened to the last write.
  return from > 0 && newest < torn ? 'clean' : 'torn';
}

const zeros = Buffer.alloc(64 * 1024);

/** Preallocated segments are mostly zeros: compared piece by piece, natively. */
function isZero(bytes: Buffer): boolean {
  for (let at = 0; at < bytes.length; at += zeros.length) {
    const piece = bytes.subarray(at, at + zeros.length);
    if (zeros.compare(piece, 0, piece.length, 0, piece.length) !== 0) return false;
  }
  return true;
}

/**
 * `previousNumber` is the number of the last batch that was read before this segment. Numbers rise by one, but what
 * follows damage is read on: only that tells which replicas were begun anew since.
 */
export function scanSegment(bytes: Buffer, sequence: number, previousNumber: number | undefined): SegmentScan {
  const header = decodeSegmentHeader(bytes);
  const headerReadable = header?.sequence === sequence;
  if (header === undefined || !headerReadable) {
    // No batch was ever written: the segment was being made.
    const isEmpty = isZero(bytes.subarray(segmentHeaderBytes));
    return { batches: [], validEnd: 0, tail: isEmpty ? 'torn' : 'damaged', followsGap: false, headerReadable };
  }
  const batches: { number: number; records: DecodedRecord[] }[] = [];
  let at = header.bytes;
  let last = previousNumber;
  let batch = readBatch(bytes, at, header);
  const followsGap = batch !== undefined && last !== undefined && batch.number > last + 1;
  while (batch !== undefined) {
    const isNext = last === undefined || batch.number === last + 1 || (batches.length === 0 && followsGap);
    // Whole and out of place: no unfinished write looks like that.
    if (!isNext) return { batches, validEnd: at, tail: 'damaged', followsGap, headerReadable };
    batches.push(batch);
    last = batch.number;
    at = batch.next;
    batch = readBatch(bytes, at, header);
  }
  if (isZero(bytes.subarray(at))) return { batches, validEnd: at, tail: 'clean', followsGap, headerReadable };
  // The batch that does not read would have the next number; one after that proves that it was complete once.
  const torn = last === undefined ? Math.max(header.from, decodeBatchHeader(bytes, at)?.number ?? 0) : last + 1;
  return { batches, validEnd: at, tail: judgeTail(newestBatch(bytes, at), torn, header), followsGap, headerReadable };
}
