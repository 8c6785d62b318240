/**
 * Protobuf read by hand, for the messages every operation passes through. It takes and refuses the same bytes as
 * protobufjs, and finds the same in them: an unknown field, and a known one of another wire type, is passed over; of a
 * field that comes twice the last counts.
 *
 * Invariants:
 * 1. Nothing is read at or after `end`, which `enter` and `leave` set to the end of the message that is being read.
 * 2. All that is thrown is BAD_REQUEST.
 *
 * Bytes are views of the input. Numbers are doubles: those above 2^53 are rounded, and whoever stores them checks.
 */
import { emptyBytes, messageOf, RingraftError } from '../base/index.js';

const twoTo32 = 2 ** 32;
/** How deep messages and groups of unknown fields may lie in one another; protobuf's own limit. */
const mostDepth = 100;

/** Below so many characters one by one is faster; all that are not ASCII go to the decoder. */
const shortText = 64;
const strictText = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

export const WireType = { Varint: 0, Fixed64: 1, Length: 2, Group: 3, GroupEnd: 4, Fixed32: 5 } as const;

export class WireReader {
  private at = 0;
  private end: number;

  /** `what` is what the bytes should be, for the refusal. */
  constructor(
    private readonly bytes: Buffer,
    private readonly what: string,
  ) {
    this.end = bytes.length;
  }

  /** Whether the message that is being read has more fields. */
  get hasMore(): boolean {
    return this.at < this.end;
  }

  /** Begins a message in this one; its result is for `leave`. */
  enter(): number {
    const length = this.length();
    const outer = this.end;
    this.end = this.at + length;
    return outer;
  }

  /** After the last field of the inner message. */
  leave(outer: number): void {
    this.end = outer;
  }

  tag(): number {
    const byte = this.firstByte();
    return byte < 128 ? byte : this.short(15, 'tag');
  }

  uint32(): number {
    const byte = this.firstByte();
    return byte < 128 ? byte : this.longUint32();
  }

  int32(): number {
    return this.uint32() | 0;
  }

  uint64(): number {
    const byte = this.firstByte();
    return byte < 128 ? byte : this.longUint64();
  }

  flag(): boolean {
    let isSet = false;
    for (let count = 0; count < 10; count++) {
      const byte = this.next();
      if ((byte & 127) !== 0) isSet = true;
      if (byte < 128) return isSet;
    }
    return this.refuse('a number has more than ten bytes');
  }

  double(): number {
    const at = this.skipBytes(8);
    return this.bytes.readDoubleLE(at);
  }

  view(): Buffer {
    const length = this.length();
    const at = this.skipBytes(length);
    return length === 0 ? emptyBytes : this.bytes.subarray(at, at + length);
  }

  /** One character a byte. */
  latin1(): string {
    const length = this.length();
    const at = this.skipBytes(length);
    return this.bytes.toString('latin1', at, at + length);
  }

  /** UTF-8; anything else is refused. */
  text(): string {
    const length = this.length();
    const at = this.skipBytes(length);
    if (length < shortText) {
      let text = '';
      let place = at;
      for (; place < at + length; place++) {
        const byte = this.bytes[place] as number;
        if (byte > 127) break;
        text += String.fromCharCode(byte);
      }
      if (place === at + length) return text;
    }
    try {
      return strictText.decode(this.bytes.subarray(at, at + length));
    } catch (error) {
      return this.refuse(messageOf(error));
    }
  }

  /** The numbers of a repeated field, one or packed, into `list`. */
  uint32s(tag: number, list: number[]): void {
    if ((tag & 7) === WireType.Varint) {
      list.push(this.uint32());
      return;
    }
    const outer = this.enter();
    while (this.hasMore) list.push(this.uint32());
    this.leave(outer);
  }

  /** Passes over a field nobody here knows; `depth` is that of the message it stands in, the outermost's being 0. */
  skip(tag: number, depth: number): void {
    if (depth > mostDepth) this.refuse('it is nested too deeply');
    if (tag >>> 3 === 0) this.refuse('a field has the number 0');
    switch (tag & 7) {
      case WireType.Varint:
        // Of any length.
        while (this.next() > 127);
        break;
      case WireType.Fixed64:
        this.skipBytes(8);
        break;
      case WireType.Length:
        this.skipBytes(this.length());
        break;
      case WireType.Group:
        this.skipGroup(tag >>> 3, depth);
        break;
      case WireType.Fixed32:
        this.skipBytes(4);
        break;
      default:
        this.refuse(`a field has the wire type ${tag & 7}`);
    }
  }

  private skipGroup(number: number, depth: number): void {
    for (;;) {
      const tag = this.tag();
      if ((tag & 7) === WireType.GroupEnd) {
        if (tag >>> 3 !== number) this.refuse('a group ends that did not begin');
        return;
      }
      this.skip(tag, depth + 1);
    }
  }

  private next(): number {
    if (this.at >= this.end) this.refuse('it ends too early');
    return this.bytes[this.at++] as number;
  }

  /** Where they begin. */
  private skipBytes(length: number): number {
    const { at } = this;
    if (at + length > this.end) this.refuse('it ends too early');
    this.at = at + length;
    return at;
  }

  /** Of something whose bytes all lie before the end. */
  private length(): number {
    const byte = this.firstByte();
    const length = byte < 128 ? byte : this.short(7, 'length');
    if (this.at + length > this.end) this.refuse('it ends too early');
    return length;
  }

  /** A number of one byte, as most are; 128: it is longer, or there is none, and nothing was read. */
  private firstByte(): number {
    const { at } = this;
    if (at >= this.end) return 128;
    const byte = this.bytes[at] as number;
    if (byte >= 128) return 128;
    this.at = at + 1;
    return byte;
  }

  /** A number of at most five bytes, of which the last is at most `last`. */
  private short(last: number, what: string): number {
    let value = 0;
    for (let shift = 0; shift < 28; shift += 7) {
      const byte = this.next();
      value |= (byte & 127) << shift;
      if (byte < 128) return value;
    }
    const byte = this.next();
    if (byte > last) this.refuse(`a ${what} has more than 32 bits`);
    return (value | (byte << 28)) >>> 0;
  }

  /** The low half of a number. */
  private longUint32(): number {
    let value = 0;
    for (let count = 0; count < 10; count++) {
      const byte = this.next();
      if (count < 5) value |= (byte & 127) << (7 * count);
      if (byte < 128) return value >>> 0;
    }
    return this.refuse('a number has more than ten bytes');
  }

  private longUint64(): number {
    let low = 0;
    for (let shift = 0; shift < 28; shift += 7) {
      const byte = this.next();
      low |= (byte & 127) << shift;
      if (byte < 128) return low;
    }
    const middle = this.next();
    low = (low | (middle << 28)) >>> 0;
    let high = (middle & 127) >>> 4;
    if (middle < 128) return low + high * twoTo32;
    for (let shift = 3; shift < 38; shift += 7) {
      const byte = this.next();
      // Of the tenth byte one bit is in the number.
      high |= (byte & 127) << shift;
      if (byte < 128) return low + (high >>> 0) * twoTo32;
    }
    return this.refuse('a number has more than ten bytes');
  }

  private refuse(why: string): never {
    throw new RingraftError('BAD_REQUEST', `not a ${this.what}: ${why}`);
  }
}
