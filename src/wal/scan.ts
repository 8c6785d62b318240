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
  segmentHeaderBytes,
} from './record.js';

export type SegmentScan = {
  readonly batches: readonly { readonly number: number; readonly records: readonly DecodedRecord[] }[];
  /** Where the last readable batch ends. */
  readonly validEnd: number;
  /** Something follows that does not read. */
  readonly tail: 'clean' | 'torn' | 'damaged';
  /** The segment's own header does not read: nothing in it can be trusted to be in place. */
  readonly headerReadable: boolean;
};

function readBatch(bytes: Buffer, at: number): { number: number; records: DecodedRecord[]; next: number } | undefined {
  const header = decodeBatchHeader(bytes, at);
  if (header === undefined) return undefined;
  const next = at + batchHeaderBytes + header.bytes;
  if (next > bytes.length) return undefined;
  const records: DecodedRecord[] = [];
  let from = at + batchHeaderBytes;
  while (from < next) {
    const decoded = decodeRecord(bytes, from, next);
    if (decoded === undefined) return undefined;
    records.push(decoded.record);
    from = decoded.next;
  }
  return records.length === header.records ? { number: header.number, records, next } : undefined;
}

/** Whether any batch header with a number above `number` stands after `from`. */
function hasLaterBatch(bytes: Buffer, from: number, number: number): boolean {
  const magic = Buffer.from('BTCH', 'latin1');
  for (let at = bytes.indexOf(magic, from); at >= 0; at = bytes.indexOf(magic, at + 1)) {
    const header = decodeBatchHeader(bytes, at);
    if (header !== undefined && header.number > number) return true;
  }
  return false;
}

const isZero = (bytes: Buffer): boolean => bytes.every((byte) => byte === 0);

/** `previousNumber` is the number of the batch before this segment; numbers rise by one. */
export function scanSegment(bytes: Buffer, sequence: number, previousNumber: number | undefined): SegmentScan {
  const headerReadable = decodeSegmentHeader(bytes) === sequence;
  if (!headerReadable) {
    // No batch was ever written: the segment was being made.
    const isEmpty = isZero(bytes.subarray(segmentHeaderBytes));
    return { batches: [], validEnd: 0, tail: isEmpty ? 'torn' : 'damaged', headerReadable };
  }
  const batches: { number: number; records: DecodedRecord[] }[] = [];
  let at = segmentHeaderBytes;
  let last = previousNumber;
  for (;;) {
    const batch = readBatch(bytes, at);
    if (batch === undefined || (last !== undefined && batch.number !== last + 1)) break;
    batches.push(batch);
    last = batch.number;
    at = batch.next;
  }
  const rest = bytes.subarray(at);
  if (isZero(rest)) return { batches, validEnd: at, tail: 'clean', headerReadable };
  // The batch that does not read would have the next number; one after that proves that it was complete once.
  const torn = last === undefined ? (decodeBatchHeader(bytes, at)?.number ?? 0) : last + 1;
  const tail = hasLaterBatch(bytes, at, torn) ? 'damaged' : 'torn';
  return { batches, validEnd: at, tail, headerReadable };
}
