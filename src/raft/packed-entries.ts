/**
 * Entries that are applied and kept for members that are behind, as bytes in one ring of memory.
 *
 * As objects they would be kept just long enough to reach the old part of V8's heap, each with a buffer that counts there: with a
 * few MB of log kept, a whole collection began every other second under load. Here they are copied once, and what they came in
 * is free at once.
 *
 *   record = term:f64, length:u32, type:u8, data
 *
 * Invariant: an entry's bytes leave this as a copy alone, for the memory is used again.
 */
import { assert } from '../base/index.js';
import type { Entry, EntryType } from './types.js';

const headBytes = 13;
const leastPlaces = 16;

export class PackedEntries {
  private bytes: Buffer = Buffer.alloc(0);
  /** Where the records begin, in a ring too: its length is a power of two. */
  private places = new Uint32Array(leastPlaces);
  /** Of `places`: the oldest. */
  private first = 0;
  /** Where the newest record ends. */
  private end = 0;
  private recordBytes = 0;
  private entryCount = 0;

  get count(): number {
    return this.entryCount;
  }

  /** Of all entries, without what surrounds them. */
  get dataBytes(): number {
    return this.recordBytes - headBytes * this.entryCount;
  }

  /** Of memory, in use or not. */
  get capacity(): number {
    return this.bytes.length;
  }

  /** Of `places`, for the entry that is the `at`th, or will be. */
  private slotOf(at: number): number {
    return (this.first + at) & (this.places.length - 1);
  }

  private placeOf(at: number): number {
    assert(at >= 0 && at < this.entryCount, 'only what is packed is looked at');
    return this.places[this.slotOf(at)] as number;
  }

  /** Of the entry that is the `at`th, from 0. */
  term(at: number): number {
    return this.bytes.readDoubleLE(this.placeOf(at));
  }

  dataBytesOf(at: number): number {
    return this.bytes.readUInt32LE(this.placeOf(at) + 8);
  }

  /** The entry that is the `at`th; its index is the caller's to know. */
  entry(at: number, index: number): Entry {
    const { bytes } = this;
    const place = this.placeOf(at);
    const start = place + headBytes;
    const data = Buffer.allocUnsafeSlow(bytes.readUInt32LE(place + 8));
    bytes.copy(data, 0, start, start + data.length);
    return { term: bytes.readDoubleLE(place), index, type: bytes[place + 12] as EntryType, data };
  }

  /** A copy of it is the newest now. */
  push({ term, type, data }: Entry): void {
    const size = headBytes + data.length;
    const place = this.roomFor(size);
    const { bytes } = this;
    bytes.writeDoubleLE(term, place);
    bytes.writeUInt32LE(data.length, place + 8);
    bytes[place + 12] = type;
    data.copy(bytes, place + headBytes);
    if (this.entryCount === this.places.length) this.growPlaces();
    this.places[this.slotOf(this.entryCount)] = place;
    this.entryCount++;
    this.recordBytes += size;
    this.end = place + size;
  }

  /** Where a record of so many bytes goes: behind the newest, or at the beginning again. */
  private roomFor(size: number): number {
    if (this.entryCount === 0) this.end = 0;
    const { end, bytes } = this;
    const start = this.entryCount === 0 ? 0 : this.placeOf(0);
    const isWrapped = end < start;
    // Where the ring is wrapped a byte stays free: full, it would look as if it were not.
    if (end + size <= (isWrapped ? start - 1 : bytes.length)) return end;
    if (!isWrapped && size < start) return 0;
    this.grow(size);
    return this.end;
  }

  private grow(size: number): void {
    const old = this.bytes;
    const bytes = Buffer.allocUnsafeSlow(Math.max(this.recordBytes + size, Math.floor(1.5 * old.length)));
    let end = 0;
    for (let at = 0; at < this.entryCount; at++) {
      const place = this.placeOf(at);
      this.places[this.slotOf(at)] = end;
      end += old.copy(bytes, end, place, place + headBytes + old.readUInt32LE(place + 8));
    }
    this.bytes = bytes;
    this.end = end;
  }

  private growPlaces(): void {
    const places = new Uint32Array(2 * this.places.length);
    for (let at = 0; at < this.entryCount; at++) places[at] = this.placeOf(at);
    this.places = places;
    this.first = 0;
  }

  /** Forgets the oldest. */
  dropFirst(count: number): void {
    assert(count <= this.entryCount, 'only what is packed is forgotten');
    for (let at = 0; at < count; at++) this.recordBytes -= headBytes + this.dataBytesOf(at);
    this.first = this.slotOf(count);
    this.entryCount -= count;
  }

  clear(): void {
    this.dropFirst(this.entryCount);
  }
}
