/**
 * Protobuf written by hand, for the messages every operation passes through: first the size, then one buffer, each byte
 * once. What it writes is what protobufjs writes for the same message; but of half a surrogate pair, which is no text, it
 * makes U+FFFD, where protobufjs writes bytes that it refuses itself.
 *
 * Invariants:
 * 1. A field that has its default is left out, by the function that says its size and by the one that writes it.
 * 2. A message fills the buffer that was made for it, to the byte (`finish`).
 *
 * Numbers are doubles: up to 2^53 as they are, no objects of two halves. Tags are `number << 3 | wire type`, below 2^14.
 */
import { assert } from '../base/index.js';

const twoTo32 = 2 ** 32;

/** Bytes of a number, which may be any `uint64`; a negative one is written as the two's complement of 64 bits. */
export const varintBytes = (value: number): number =>
  // Seven bits a byte: (6 + bits) / 7, as a product that is right up to 32 bits.
  value >= 0 && value < twoTo32 ? (352 - 9 * Math.clz32(value | 1)) >>> 6 : longVarintBytes(value);

function longVarintBytes(value: number): number {
  if (value < 0) return 10;
  if (value < 2 ** 35) return 5;
  if (value < 2 ** 42) return 6;
  if (value < 2 ** 49) return 7;
  if (value < 2 ** 56) return 8;
  return value < 2 ** 63 ? 9 : 10;
}

/** The following are of fields with numbers up to 15, whose tags have one byte. */
export const numberFieldBytes = (value: number): number => (value ? 1 + varintBytes(value) : 0);

export const flagFieldBytes = (value: boolean): number => (value ? 2 : 0);

/** Of a field that is there, with or without anything in it. */
export const lengthFieldBytes = (length: number): number => 1 + varintBytes(length) + length;

export const bytesFieldBytes = ({ length }: Uint8Array): number => (length > 0 ? lengthFieldBytes(length) : 0);

export const textFieldBytes = (text: string): number => (text ? lengthFieldBytes(Buffer.byteLength(text)) : 0);

export const latin1FieldBytes = ({ length }: string): number => (length > 0 ? lengthFieldBytes(length) : 0);

export const doubleFieldBytes = (value: number): number => (Object.is(value, 0) ? 0 : 9);

function packedBytes(values: readonly number[]): number {
  let bytes = 0;
  for (const value of values) bytes += varintBytes(value);
  return bytes;
}

export const packedFieldBytes = (values: readonly number[]): number =>
  values.length > 0 ? lengthFieldBytes(packedBytes(values)) : 0;

export class WireWriter {
  private at = 0;

  /** `bytes` is as large as the message will be. */
  constructor(private readonly bytes: Buffer) {}

  /** The message. */
  finish(): Buffer {
    assert(this.at === this.bytes.length, 'a message is as large as it was said to be');
    return this.bytes;
  }

  /** What was written so far. */
  get written(): Buffer {
    return this.bytes.subarray(0, this.at);
  }

  varint(value: number): void {
    if (value >= 0 && value < 128) this.bytes[this.at++] = value;
    else this.longVarint(value);
  }

  private longVarint(value: number): void {
    const { bytes } = this;
    let { at } = this;
    let low = value >>> 0;
    let high = low === value ? 0 : Math.floor(value / twoTo32) >>> 0;
    while (high > 0) {
      bytes[at++] = (low & 127) | 128;
      low = ((low >>> 7) | (high << 25)) >>> 0;
      high >>>= 7;
    }
    while (low > 127) {
      bytes[at++] = (low & 127) | 128;
      low >>>= 7;
    }
    bytes[at] = low;
    this.at = at + 1;
  }

  fixed32(value: number): void {
    this.at = this.bytes.writeUInt32LE(value, this.at);
  }

  numberField(tag: number, value: number): void {
    if (!value) return;
    this.varint(tag);
    this.varint(value);
  }

  flagField(tag: number, value: boolean): void {
    if (!value) return;
    this.varint(tag);
    this.varint(1);
  }

  /** What comes before a field's `length` bytes. */
  lengthField(tag: number, length: number): void {
    this.varint(tag);
    this.varint(length);
  }

  bytesField(tag: number, value: Uint8Array): void {
    const { length } = value;
    if (length === 0) return;
    this.lengthField(tag, length);
    this.bytes.set(value, this.at);
    this.at += length;
  }

  textField(tag: number, text: string): void {
    if (!text) return;
    this.lengthField(tag, Buffer.byteLength(text));
    this.at += this.bytes.write(text, this.at, 'utf8');
  }

  /** One character a byte. Client ids: eight characters are written faster one by one than by Node. */
  latin1Field(tag: number, text: string): void {
    const { length } = text;
    if (length === 0) return;
    this.lengthField(tag, length);
    const { bytes, at } = this;
    for (let character = 0; character < length; character++) bytes[at + character] = text.charCodeAt(character);
    this.at = at + length;
  }

  doubleField(tag: number, value: number): void {
    if (Object.is(value, 0)) return;
    this.varint(tag);
    this.at = this.bytes.writeDoubleLE(value, this.at);
  }

  packedField(tag: number, values: readonly number[]): void {
    if (values.length === 0) return;
    this.lengthField(tag, packedBytes(values));
    for (const value of values) this.varint(value);
  }
}
