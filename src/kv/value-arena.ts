/**
 * Memory for the records of the value table: segments that are filled one after another and given up oldest first. What is
 * still wanted of a segment that goes is moved to the newest: what the engine does not show yet, and, up to a half of the segment,
 * what was used since it got there (first in, first out, with a second chance). There is nothing here for V8 to collect.
 *
 * Segments of the usual size are pieces of slabs, as many as the cache has room for, and are used again for good: what is so large the
 * system may give in huge pages, and keys are looked for all over it (docs/performance.md). What is more than the cache, since the engine
 * has not got it yet, has memory of its own and gives it back.
 *
 * Buckets may have a part of the cache that is their own: segments of its own, that is.
 *
 *   record = encoded bytes:u32, flags and data key bytes:u32, gathering:u32, place in it:u32, data key, value as in the engine
 *
 * Invariants:
 * 1. A record is moved or forgotten only while another is added, or by `trim` and `useShares`.
 * 2. A record that is unwritten is never forgotten, however much memory that takes.
 */
import { assert, type BucketId } from '../base/index.js';
import { bucketOfDataKey } from './keys.js';

/** Added: the ordered index may not show the key, and what is written next of it brings its entry there. */
export const RecordFlag = { Used: 1, Deleted: 2, Superseded: 4, Added: 8 } as const;

/** Beside the bytes of key and value. */
const recordHeadBytes = 16;
const encodedBytesAt = 0;
const keyBytesAt = 1;
const gatheringAt = 2;
const placeAt = 3;
const flagsShift = 24;
const mostKeyBytes = (1 << flagsShift) - 1;

/** A reference is the segment's number and, in these bits, the word in it where the record begins. */
const wordBits = 16;
const wordMask = (1 << wordBits) - 1;
const mostSegments = 1 << (31 - wordBits);
const mostSegmentBytes = 4 << wordBits;
const leastSegmentBytes = 512;
/** A part of the cache has so many segments, where they are not too large for that. */
const usualSegments = 16;
/** A record of more than this part of a segment has one of its own. */
const largePart = 8;
/** Segments given up for one that is new; one is enough unless much of them is moved. */
const mostGivenUp = 4;
/** Of those that are no piece of a slab. */
const mostSpare = 4;
const slabBytes = 8 * 1024 * 1024;
/** Of the cache, for all buckets together that have a part of their own. */
const mostOwnShare = 0.9;

export class Segment {
  readonly words: Int32Array;
  /** Bytes in use. */
  end = 0;

  constructor(
    readonly number: number,
    readonly bytes: Buffer,
    readonly isLarge: boolean,
  ) {
    this.words = new Int32Array(bytes.buffer, bytes.byteOffset, bytes.length >>> 2);
  }

  encodedBytes(word: number): number {
    return this.words[word + encodedBytesAt] as number;
  }

  keyBytes(word: number): number {
    return (this.words[word + keyBytesAt] as number) & mostKeyBytes;
  }

  has(word: number, flag: number): boolean {
    return (((this.words[word + keyBytesAt] as number) >>> flagsShift) & flag) !== 0;
  }

  set(word: number, flag: number): void {
    this.words[word + keyBytesAt] = (this.words[word + keyBytesAt] as number) | (flag << flagsShift);
  }

  unset(word: number, flag: number): void {
    this.words[word + keyBytesAt] = (this.words[word + keyBytesAt] as number) & ~(flag << flagsShift);
  }

  /** The number of the gathering that it waits for the engine in; 0: in none, it is what the engine has. */
  gathering(word: number): number {
    return this.words[word + gatheringAt] as number;
  }

  /** Where in the gathering. */
  place(word: number): number {
    return this.words[word + placeAt] as number;
  }

  setGathering(word: number, gathering: number, place: number): void {
    this.words[word + gatheringAt] = gathering;
    this.words[word + placeAt] = place;
  }

  begin(word: number, keyBytes: number, encodedBytes: number): void {
    assert(keyBytes <= mostKeyBytes, 'a key has less than 16 MiB');
    this.words[word + encodedBytesAt] = encodedBytes;
    this.words[word + keyBytesAt] = keyBytes;
    this.setGathering(word, 0, 0);
  }

  /** Where the data key is, in bytes. */
  keyAt(word: number): number {
    return 4 * word + recordHeadBytes;
  }

  /** Where the encoded value is, in bytes. */
  valueAt(word: number): number {
    return 4 * word + recordHeadBytes + this.keyBytes(word);
  }

  dataKey(word: number): Buffer {
    const at = this.keyAt(word);
    return this.bytes.subarray(at, at + this.keyBytes(word));
  }

  encoded(word: number): Buffer {
    const at = this.valueAt(word);
    return this.bytes.subarray(at, at + this.encodedBytes(word));
  }

  recordBytes(word: number): number {
    return recordBytes(this.keyBytes(word), this.encodedBytes(word));
  }
}

/** What a record takes. */
export const recordBytes = (keyBytes: number, encodedBytes: number): number =>
  (recordHeadBytes + keyBytes + encodedBytes + 3) & ~3;

export const wordOf = (reference: number): number => reference & wordMask;

/** A share of the cache. */
class Part {
  /** Oldest first. */
  segments: Segment[] = [];
  /** What is filled. */
  newest: Segment | undefined;
  bytes = 0;

  constructor(public capacity: number) {}

  /** Of the next; a part that has grown far beyond what it may have, since nothing of it is written, gets larger ones. */
  get segmentBytes(): number {
    const bytes = Math.floor(Math.max(this.capacity, this.bytes / usualSegments) / usualSegments) & ~3;
    return Math.min(mostSegmentBytes, Math.max(leastSegmentBytes, bytes));
  }
}

/** Who is told what becomes of records. */
type RecordOwner = {
  /** The record is at the second reference now; at both for the moment. */
  onMoved(from: number, to: number): void;
  /** The record is about to go. */
  onForgotten(reference: number): void;
};

export class ValueArena {
  private readonly common: Part;
  private readonly own = new Map<BucketId, Part>();
  /** By number; 0 is no segment, so that no reference is 0. */
  private readonly segments: (Segment | undefined)[] = [undefined];
  private readonly freeNumbers: number[] = [];
  private readonly spare: Buffer[] = [];
  private readonly spareOfSlabs: Buffer[] = [];
  private slab: Buffer | undefined;
  /** Of the slab, how much has become segments. */
  private slabUsed = 0;
  private bytesOfSlabs = 0;
  private isMoving = false;

  constructor(
    private readonly cacheBytes: number,
    private readonly owner: RecordOwner,
  ) {
    this.common = new Part(cacheBytes);
  }

  get bytes(): number {
    let bytes = this.common.bytes;
    for (const part of this.own.values()) bytes += part.bytes;
    return bytes;
  }

  segmentOf(reference: number): Segment {
    return this.segments[reference >>> wordBits] as Segment;
  }

  private partOf(bucketId: BucketId): Part {
    if (this.own.size === 0) return this.common;
    return this.own.get(bucketId) ?? this.common;
  }

  /** Whether a record of so many bytes is no more than the cache may have. */
  hasRoomFor(bucketId: BucketId, bytes: number): boolean {
    return bytes <= this.partOf(bucketId).capacity;
  }

  /**
   * The fraction of the cache that is each bucket's own; the others share the rest, a tenth of the whole at least. What is
   * in memory stays, and goes as if it had been there all along.
   */
  useShares(shares: ReadonlyMap<BucketId, number>): void {
    const wanted = [...shares.values()].reduce((sum, share) => sum + share, 0);
    const scale = wanted > mostOwnShare ? mostOwnShare / wanted : 1;
    for (const [id, part] of this.own) {
      if (shares.has(id)) continue;
      this.own.delete(id);
      this.common.segments = [...part.segments, ...this.common.segments];
      this.common.bytes += part.bytes;
    }
    let left = this.cacheBytes;
    for (const [id, share] of shares) {
      const bytes = Math.floor(this.cacheBytes * share * scale);
      left -= bytes;
      const part = this.own.get(id);
      if (part === undefined) this.own.set(id, new Part(bytes));
      else part.capacity = bytes;
    }
    this.common.capacity = left;
    this.trim();
  }

  /** Room for a record of the bucket: its reference. What it holds is the caller's to write. */
  add(bucketId: BucketId, bytes: number): number {
    const part = this.partOf(bucketId);
    if (bytes * largePart > part.segmentBytes) {
      const segment = this.newSegment(part, bytes, true);
      segment.end = bytes;
      this.giveUp(part, mostGivenUp, segment);
      return segment.number << wordBits;
    }
    for (let isFirst = true; ; isFirst = false) {
      const { newest } = part;
      if (newest !== undefined && newest.end + bytes <= newest.bytes.length) {
        const word = newest.end >>> 2;
        newest.end += bytes;
        return (newest.number << wordBits) | word;
      }
      part.newest = this.newSegment(part, part.segmentBytes, false);
      // What is moved may fill it: then there is one more, and that is empty.
      if (isFirst) this.giveUp(part, mostGivenUp, part.newest);
    }
  }

  private newSegment(part: Part, size: number, isLarge: boolean): Segment {
    const number = this.freeNumbers.pop() ?? this.segments.length;
    assert(number < mostSegments, 'what waits for the engine is bounded');
    const bytes = !isLarge && size === mostSegmentBytes ? this.usualMemory() : Buffer.allocUnsafeSlow(size);
    const segment = new Segment(number, bytes, isLarge);
    this.segments[number] = segment;
    part.segments.push(segment);
    part.bytes += segment.bytes.length;
    return segment;
  }

  /** For a segment of the usual size. */
  private usualMemory(): Buffer {
    return (
      this.spareOfSlabs.pop() ?? this.pieceOfSlab() ?? this.spare.pop() ?? Buffer.allocUnsafeSlow(mostSegmentBytes)
    );
  }

  private pieceOfSlab(): Buffer | undefined {
    if (this.slab === undefined || this.slabUsed + mostSegmentBytes > this.slab.length) {
      const bytes = Math.min(slabBytes, this.cacheBytes - this.bytesOfSlabs);
      if (bytes < mostSegmentBytes) return undefined;
      this.slab = Buffer.allocUnsafeSlow(bytes);
      this.slabUsed = 0;
      this.bytesOfSlabs += bytes;
    }
    const start = this.slabUsed;
    this.slabUsed += mostSegmentBytes;
    return this.slab.subarray(start, this.slabUsed);
  }

  private keepSpare(bytes: Buffer): void {
    if (bytes.length !== mostSegmentBytes) return;
    if (bytes.buffer.byteLength > mostSegmentBytes) this.spareOfSlabs.push(bytes);
    else if (this.spare.length < mostSpare) this.spare.push(bytes);
  }

  /** Gives up what is more than the cache may have: some of it was unwritten and is not any more. */
  trim(): void {
    this.giveUp(this.common, this.common.segments.length);
    for (const part of this.own.values()) this.giveUp(part, part.segments.length);
  }

  /** To make room for the segment; without one what was used goes too. */
  private giveUp(part: Part, most: number, newest?: Segment): void {
    // What is moved may need a new segment itself.
    if (this.isMoving) return;
    this.isMoving = true;
    for (let left = most; left > 0 && part.bytes > part.capacity; left--) {
      const oldest = part.segments[0];
      if (oldest === undefined || oldest === newest) break;
      this.giveUpSegment(part, oldest, newest !== undefined);
    }
    this.isMoving = false;
  }

  private giveUpSegment(part: Part, segment: Segment, keepsUsed: boolean): void {
    part.segments.shift();
    if (part.newest === segment) part.newest = undefined;
    if (segment.isLarge && this.isWanted(segment, 0, keepsUsed)) {
      segment.unset(0, RecordFlag.Used);
      part.segments.push(segment);
      return;
    }
    part.bytes -= segment.bytes.length;
    let room = segment.bytes.length / 2;
    for (let at = 0; at < segment.end; ) {
      const word = at >>> 2;
      const bytes = segment.recordBytes(word);
      const reference = (segment.number << wordBits) | word;
      at += bytes;
      if (this.isWanted(segment, word, keepsUsed && bytes <= room)) {
        room -= bytes;
        this.move(segment, word, bytes, reference);
      } else this.owner.onForgotten(reference);
    }
    this.segments[segment.number] = undefined;
    this.freeNumbers.push(segment.number);
    this.keepSpare(segment.bytes);
  }

  private isWanted(segment: Segment, word: number, keepsUsed: boolean): boolean {
    if (segment.has(word, RecordFlag.Superseded)) return false;
    return segment.gathering(word) !== 0 || (keepsUsed && segment.has(word, RecordFlag.Used));
  }

  private move(segment: Segment, word: number, bytes: number, from: number): void {
    const to = this.add(bucketOfDataKey(segment.bytes, segment.keyAt(word)), bytes);
    const target = this.segmentOf(to);
    segment.bytes.copy(target.bytes, 4 * wordOf(to), 4 * word, 4 * word + bytes);
    target.unset(wordOf(to), RecordFlag.Used);
    this.owner.onMoved(from, to);
  }
}
