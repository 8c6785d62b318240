/**
 * Values as the cache keeps them, for hours: small ones as strings of one character a byte, which live in the heap of the
 * JavaScript engine and are moved together there. As views of shared stretches of memory, each would keep a stretch alive whose
 * other parts were needed for a moment.
 */
import { expiresFlag, expiryAt, revisionAt, type StoredValue } from './keys.js';

/** Larger ones have memory of their own anyway, and take longer to copy. */
const mostPackedBytes = 4096;

export type PackedValue = string | StoredValue;

export const pack = (stored: StoredValue): PackedValue =>
  stored.encoded.length <= mostPackedBytes ? stored.encoded.toString('latin1') : stored;

export const unpack = (packed: PackedValue): StoredValue =>
  typeof packed === 'string' ? new UnpackedValue(packed) : packed;

export const packedBytes = (packed: PackedValue): number =>
  typeof packed === 'string' ? packed.length : packed.encoded.length;

/** Its bytes are made when they are asked for: who replaces a value does not look at them. */
class UnpackedValue implements StoredValue {
  constructor(private readonly packed: string) {}

  get revision(): number {
    return u48In(this.packed, revisionAt);
  }

  get expiresAtMs(): number {
    return this.packed.charCodeAt(0) === expiresFlag ? u48In(this.packed, expiryAt) : 0;
  }

  get encoded(): Buffer {
    return Buffer.from(this.packed, 'latin1');
  }
}

function u48In(packed: string, from: number): number {
  let number = 0;
  for (let at = from; at < from + 6; at++) number = number * 256 + packed.charCodeAt(at);
  return number;
}
