/**
 * What memory knows of user data: values that the engine does not show yet, and behind them a cache of those it does. One hash
 * table over stretches of memory (`ValueArena`), where keys and values are bytes as in the engine: nothing is an object.
 *
 * Invariants:
 * 1. Where the table has a key it has the newest value, or knows that the key was deleted.
 * 2. A mutation stays until the engine shows it, which `onWritten` tells. Then a deleted key is forgotten at once: that a key is
 *    absent is not cached, for what puts it back may be a snapshot, of which the table hears nothing.
 * 3. What waits for the engine is gathered, each key once, with its newest mutation; it is in one gathering at most, or read from
 *    the engine and in none. An entry in the ordered index goes with the value it is of.
 *
 * A gathering is written in the order of the ring, as the engine's keys are: a key next to the one before it is put into the
 * engine's table of recent writes in fewer steps than a key anywhere. It goes into its batch piece by piece, since thousands of
 * records are milliseconds. What is mutated meanwhile goes there first, so that the batch has all as it was when that began.
 *
 * A reference says where a key's record is; 0: nowhere. It holds until the next call that may add a record.
 */
import { randomInt } from 'node:crypto';
import { assert, type BucketId } from '../base/index.js';
import type { EngineBatch } from '../engine/index.js';
import {
  bucketOfDataKey,
  dataHeaderBytes,
  dataKeyBytes,
  encodedValueBytes,
  expiryOfValueAt,
  indexKey,
  indexValue,
  isDataKeyOf,
  revisionOfValueAt,
  ringOfDataKey,
  type StoredValue,
  userKeyOfDataKey,
  valueHeaderBytesAt,
  writeDataKey,
  writeValue,
} from './keys.js';
import { RecordFlag, recordBytes, type Segment, ValueArena, wordOf } from './value-arena.js';

/** A place on the ring has 32 bits; with a number below this they are an integer that a double holds exactly. */
const mostSorted = 2 ** 21;
const leastSlots = 64;
const noOrder = new Float64Array(0);
/** In eighths. */
const mostFilled = 5;

/** The greatest prime below 2^26: a product of two numbers below it is an integer that a double holds exactly. */
const prime = 67_108_859;
/**
 * Where keys lie on the ring is no secret, and keys that lie at one place are soon made. So that nobody can make keys that all meet
 * in one slot, what chooses the slot is a polynomial in the key's bytes, at a place that this process alone knows.
 */
const secret = randomInt(2 ** 24, prime);

function hashOf(bucketId: BucketId, key: Buffer, start = 0, end = key.length): number {
  let sum = bucketId + end - start;
  let at = start;
  for (; at + 1 < end; at += 2) {
    const next = sum * secret + (((key[at] as number) << 8) | (key[at + 1] as number));
    sum = next - Math.floor(next / prime) * prime;
  }
  if (at < end) {
    const next = sum * secret + (key[at] as number);
    sum = next - Math.floor(next / prime) * prime;
  }
  const hash = Math.imul(sum ^ (sum >>> 13), 0x85eb_ca6b);
  return hash ^ (hash >>> 15);
}

/** A gathering on its way into a batch. */
type Writing = {
  readonly batch: EngineBatch;
  /** By place: it is in the batch. */
  readonly isWritten: Uint8Array;
  /** Ring and place, in order, of as many as are sorted together. */
  order: Float64Array;
  /** How many were looked at. */
  next: number;
};

/** Mutations that wait for the engine together, in memory. Made by `ValueTable.gathering`. */
export class GatheredValues {
  /** Of records; 0: nothing any more. */
  readonly references: number[] = [];
  /** Of all that were gathered: records and all. */
  bytes = 0;
  /** Keys that the ordered index may not show. */
  added = 0;
  /** Once that has begun, nothing more gathers here. */
  writing: Writing | undefined;

  constructor(readonly number: number) {}
}

export class ValueTable {
  private readonly arena: ValueArena;
  /** Hash and reference of each slot; linear probing. */
  private slots = new Int32Array(2 * leastSlots);
  private mask = leastSlots - 1;
  private count = 0;
  /** By number; 0 is none. */
  private readonly gatherings: (GatheredValues | undefined)[] = [undefined];
  private readonly freeNumbers: number[] = [];

  /** `ringOf`: where a key lies on the ring; asked of keys that have no record. */
  constructor(
    cacheBytes: number,
    private readonly ringOf: (key: Buffer) => number,
  ) {
    this.arena = new ValueArena(cacheBytes, {
      onMoved: (from, to) => this.onMoved(from, to),
      onForgotten: (reference) => this.onForgotten(reference),
    });
  }

  /** How many keys it knows. */
  get size(): number {
    return this.count;
  }

  /** Of memory; the hash table apart. */
  get bytes(): number {
    return this.arena.bytes;
  }

  /** How many slots are looked at for the key that takes the most. */
  get longestProbe(): number {
    let longest = 0;
    for (let slot = 0; slot <= this.mask; slot++) {
      if (this.slots[2 * slot + 1] === 0) continue;
      const home = (this.slots[2 * slot] as number) & this.mask;
      longest = Math.max(longest, ((slot - home) & this.mask) + 1);
    }
    return longest;
  }

  /** Mutations that the engine does not show yet. A key that was mutated again while it was being written counts once. */
  get unwritten(): number {
    let count = 0;
    for (const gathered of this.gatherings) {
      for (const reference of gathered?.references ?? []) if (reference !== 0) count++;
    }
    return count;
  }

  /** Begins a gathering; it ends with `onWritten`. */
  gathering(): GatheredValues {
    const number = this.freeNumbers.pop() ?? this.gatherings.length;
    const gathered = new GatheredValues(number);
    this.gatherings[number] = gathered;
    return gathered;
  }

  /** See `ValueArena.useShares`. */
  useShares(shares: ReadonlyMap<BucketId, number>): void {
    this.arena.useShares(shares);
  }

  find(bucketId: BucketId, key: Buffer): number {
    const hash = hashOf(bucketId, key);
    const { slots, mask } = this;
    for (let slot = hash & mask; ; slot = (slot + 1) & mask) {
      const reference = slots[2 * slot + 1] as number;
      if (reference === 0) return 0;
      if (slots[2 * slot] === hash && this.isOf(reference, bucketId, key)) return reference;
    }
  }

  findDataKey(dataKey: Buffer): number {
    return this.find(bucketOfDataKey(dataKey), userKeyOfDataKey(dataKey));
  }

  private isOf(reference: number, bucketId: BucketId, key: Buffer): boolean {
    const segment = this.arena.segmentOf(reference);
    const word = wordOf(reference);
    return isDataKeyOf(segment.bytes, segment.keyAt(word), segment.keyBytes(word), bucketId, key);
  }

  isDeleted(reference: number): boolean {
    return this.arena.segmentOf(reference).has(wordOf(reference), RecordFlag.Deleted);
  }

  expiresAtMs(reference: number): number {
    const segment = this.arena.segmentOf(reference);
    return expiryOfValueAt(segment.bytes, segment.valueAt(wordOf(reference)));
  }

  revision(reference: number): number {
    const segment = this.arena.segmentOf(reference);
    return revisionOfValueAt(segment.bytes, segment.valueAt(wordOf(reference)));
  }

  /** The user's bytes: a copy. */
  value(reference: number): Buffer {
    const segment = this.arena.segmentOf(reference);
    const word = wordOf(reference);
    const at = segment.valueAt(word);
    return copyOf(segment.bytes, at + valueHeaderBytesAt(segment.bytes, at), at + segment.encodedBytes(word));
  }

  /** A copy. */
  stored(reference: number): StoredValue {
    const segment = this.arena.segmentOf(reference);
    const word = wordOf(reference);
    const at = segment.valueAt(word);
    return {
      revision: revisionOfValueAt(segment.bytes, at),
      expiresAtMs: expiryOfValueAt(segment.bytes, at),
      encoded: copyOf(segment.bytes, at, at + segment.encodedBytes(word)),
    };
  }

  /** Somebody read it: it stays longer. */
  use(reference: number): void {
    this.arena.segmentOf(reference).set(wordOf(reference), RecordFlag.Used);
  }

  /** A mutation of the key whose record is there (`find`). `isAdded`: the ordered index may not show the key. */
  put(
    into: GatheredValues,
    reference: number,
    bucketId: BucketId,
    key: Buffer,
    revision: number,
    expiresAtMs: number,
    value: Buffer,
    isAdded = false,
  ): void {
    this.writeBefore(reference);
    const to = this.place(reference, bucketId, key, encodedValueBytes(expiresAtMs, value));
    const segment = this.arena.segmentOf(to);
    writeValue(segment.bytes, segment.valueAt(wordOf(to)), revision, expiresAtMs, value);
    segment.unset(wordOf(to), RecordFlag.Deleted);
    this.gather(to, into);
    if (!isAdded) return;
    segment.set(wordOf(to), RecordFlag.Added);
    into.added++;
  }

  /** A mutation of the key whose record is there (`find`). */
  delete(into: GatheredValues, reference: number, bucketId: BucketId, key: Buffer): void {
    this.writeBefore(reference);
    const to = reference === 0 ? this.place(0, bucketId, key, 0) : reference;
    this.arena.segmentOf(to).set(wordOf(to), RecordFlag.Deleted);
    this.gather(to, into);
  }

  /** A value as the engine has it; unless the table knows the key. */
  fill(dataKey: Buffer, encoded: Buffer): void {
    const bucketId = bucketOfDataKey(dataKey);
    if (!this.arena.hasRoomFor(bucketId, recordBytes(dataKey.length, encoded.length))) return;
    if (this.findDataKey(dataKey) !== 0) return;
    const to = this.add(bucketId, ringOfDataKey(dataKey), userKeyOfDataKey(dataKey), encoded.length);
    const segment = this.arena.segmentOf(to);
    segment.bytes.set(encoded, segment.valueAt(wordOf(to)));
  }

  /** The engine holds the key no more, or soon; a mutation of it that is not written yet stays. */
  forget(dataKey: Buffer): void {
    const reference = this.findDataKey(dataKey);
    if (reference !== 0 && !this.isUnwritten(reference)) this.drop(reference);
  }

  /** Where the key's record is to be written: where it was, if it is as long. */
  private place(reference: number, bucketId: BucketId, key: Buffer, encodedBytes: number): number {
    if (reference === 0) return this.add(bucketId, this.ringOf(key), key, encodedBytes);
    const segment = this.arena.segmentOf(reference);
    const word = wordOf(reference);
    if (segment.encodedBytes(word) === encodedBytes) {
      segment.set(word, RecordFlag.Used);
      return reference;
    }
    const ring = this.ringOfRecord(reference);
    // What the index is to be told is of the key, not of the record.
    const isAdded = segment.has(word, RecordFlag.Added);
    this.drop(reference);
    const to = this.add(bucketId, ring, key, encodedBytes);
    if (isAdded) this.arena.segmentOf(to).set(wordOf(to), RecordFlag.Added);
    return to;
  }

  /** A record whose value is to be written. */
  private add(bucketId: BucketId, ring: number, key: Buffer, encodedBytes: number): number {
    const keyBytes = dataKeyBytes(key);
    const to = this.arena.add(bucketId, recordBytes(keyBytes, encodedBytes));
    const segment = this.arena.segmentOf(to);
    segment.begin(wordOf(to), keyBytes, encodedBytes);
    writeDataKey(segment.bytes, segment.keyAt(wordOf(to)), bucketId, ring, key);
    this.insert(hashOf(bucketId, key), to);
    return to;
  }

  private gather(reference: number, into: GatheredValues): void {
    const segment = this.arena.segmentOf(reference);
    const word = wordOf(reference);
    if (segment.gathering(word) === into.number) return;
    assert(into.writing === undefined, 'nothing gathers where writing has begun');
    this.takeOut(segment, word);
    segment.setGathering(word, into.number, into.references.push(reference) - 1);
    into.bytes += segment.recordBytes(word);
  }

  /** Out of the gathering it is in: nobody waits for that mutation any more. */
  private takeOut(segment: Segment, word: number): void {
    const number = segment.gathering(word);
    if (number !== 0) this.gathered(number).references[segment.place(word)] = 0;
  }

  private gathered(number: number): GatheredValues {
    const gathered = this.gatherings[number];
    assert(gathered !== undefined, 'a record is in a gathering that has not ended');
    return gathered;
  }

  private isUnwritten(reference: number): boolean {
    return this.arena.segmentOf(reference).gathering(wordOf(reference)) !== 0;
  }

  /** What has gathered is going into the batch, as it is now. What is mutated from now on belongs into another gathering. */
  beginWriting(gathered: GatheredValues, batch: EngineBatch): void {
    const { references } = gathered;
    gathered.writing = { batch, isWritten: new Uint8Array(references.length), order: noOrder, next: 0 };
  }

  /** Puts at most `count` more records into the batch; how many fewer there were. */
  write(gathered: GatheredValues, count: number): number {
    const { references, writing } = gathered;
    assert(writing !== undefined, 'writing has begun');
    const begin = writing.next;
    const end = Math.min(references.length, begin + count);
    for (; writing.next < end; writing.next++) {
      const at = writing.next % mostSorted;
      const start = writing.next - at;
      if (at === 0) writing.order = this.inOrder(references, start);
      this.writeRecord(gathered, writing, start + ((writing.order[at] as number) % mostSorted));
    }
    return count - (end - begin);
  }

  private inOrder(references: readonly number[], start: number): Float64Array {
    const order = new Float64Array(Math.min(mostSorted, references.length - start));
    for (let at = 0; at < order.length; at++) {
      order[at] = this.ringOfRecord(references[start + at] as number) * mostSorted + at;
    }
    return order.sort();
  }

  private writeRecord({ references }: GatheredValues, { batch, isWritten }: Writing, place: number): void {
    const reference = references[place] as number;
    if (reference === 0 || isWritten[place] === 1) return;
    isWritten[place] = 1;
    const segment = this.arena.segmentOf(reference);
    const word = wordOf(reference);
    if (segment.has(word, RecordFlag.Deleted)) {
      batch.delete(segment.dataKey(word));
      batch.delete(indexKeyOf(segment, word));
    } else {
      batch.put(segment.dataKey(word), segment.encoded(word));
      if (segment.has(word, RecordFlag.Added)) batch.put(indexKeyOf(segment, word), indexValue);
    }
    segment.unset(word, RecordFlag.Added);
  }

  /** The record is going to change: if it is on its way into a batch, it goes there as it is. */
  private writeBefore(reference: number): void {
    if (reference === 0) return;
    const segment = this.arena.segmentOf(reference);
    const word = wordOf(reference);
    const number = segment.gathering(word);
    if (number === 0) return;
    const gathered = this.gathered(number);
    if (gathered.writing !== undefined) this.writeRecord(gathered, gathered.writing, segment.place(word));
  }

  private ringOfRecord(reference: number): number {
    if (reference === 0) return 0;
    const segment = this.arena.segmentOf(reference);
    return ringOfDataKey(segment.bytes, segment.keyAt(wordOf(reference)));
  }

  /** The engine shows what `write` gave it of these. */
  onWritten(written: readonly GatheredValues[]): void {
    for (const { references, number } of written) {
      // What was mutated again meanwhile is not in here any more.
      for (const reference of references) if (reference !== 0) this.noteWritten(reference);
      this.gatherings[number] = undefined;
      this.freeNumbers.push(number);
    }
    this.arena.trim();
  }

  private noteWritten(reference: number): void {
    const segment = this.arena.segmentOf(reference);
    const word = wordOf(reference);
    segment.setGathering(word, 0, 0);
    if (segment.has(word, RecordFlag.Deleted)) this.drop(reference);
  }

  private insert(hash: number, reference: number): void {
    if (8 * (this.count + 1) > mostFilled * (this.mask + 1)) this.grow();
    this.count++;
    const { slots, mask } = this;
    let slot = hash & mask;
    while (slots[2 * slot + 1] !== 0) slot = (slot + 1) & mask;
    slots[2 * slot] = hash;
    slots[2 * slot + 1] = reference;
  }

  private grow(): void {
    const { slots } = this;
    this.slots = new Int32Array(2 * slots.length);
    this.mask = 2 * this.mask + 1;
    this.count = 0;
    for (let at = 0; at < slots.length; at += 2) {
      if (slots[at + 1] !== 0) this.insert(slots[at] as number, slots[at + 1] as number);
    }
  }

  /** Takes the record out of the table, and out of its gathering. */
  private drop(reference: number): void {
    const segment = this.arena.segmentOf(reference);
    const word = wordOf(reference);
    segment.set(word, RecordFlag.Superseded);
    this.takeOut(segment, word);
    this.free(this.slotOf(reference));
  }

  private slotOf(reference: number): number {
    const segment = this.arena.segmentOf(reference);
    const at = segment.keyAt(wordOf(reference));
    const { slots, mask } = this;
    const bucketId = bucketOfDataKey(segment.bytes, at);
    const hash = hashOf(bucketId, segment.bytes, at + dataHeaderBytes, segment.valueAt(wordOf(reference)));
    let slot = hash & mask;
    while (slots[2 * slot + 1] !== reference) {
      assert(slots[2 * slot + 1] !== 0, 'a record is in the table');
      slot = (slot + 1) & mask;
    }
    return slot;
  }

  /** Frees a slot; those after it that it kept from theirs move up. */
  private free(slot: number): void {
    const { slots, mask } = this;
    let hole = slot;
    for (let next = (hole + 1) & mask; slots[2 * next + 1] !== 0; next = (next + 1) & mask) {
      const home = (slots[2 * next] as number) & mask;
      if (((next - home) & mask) < ((next - hole) & mask)) continue;
      slots[2 * hole] = slots[2 * next] as number;
      slots[2 * hole + 1] = slots[2 * next + 1] as number;
      hole = next;
    }
    slots[2 * hole + 1] = 0;
    this.count--;
  }

  private onMoved(from: number, to: number): void {
    this.slots[2 * this.slotOf(from) + 1] = to;
    const segment = this.arena.segmentOf(to);
    const number = segment.gathering(wordOf(to));
    if (number !== 0) this.gathered(number).references[segment.place(wordOf(to))] = to;
  }

  private onForgotten(reference: number): void {
    if (this.arena.segmentOf(reference).has(wordOf(reference), RecordFlag.Superseded)) return;
    this.free(this.slotOf(reference));
  }
}

function copyOf(bytes: Buffer, start: number, end: number): Buffer {
  const copy = Buffer.allocUnsafe(end - start);
  bytes.copy(copy, 0, start, end);
  return copy;
}

const indexKeyOf = (segment: Segment, word: number): Buffer =>
  indexKey(bucketOfDataKey(segment.bytes, segment.keyAt(word)), userKeyOfDataKey(segment.dataKey(word)));
