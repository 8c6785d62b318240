/**
 * Values as the cache keeps them, for hours: small ones as strings of one character a byte, which live in the heap of the
 * JavaScript engine and are moved together there. As views of shared stretches of memory, each would keep a stretch alive whose
 * other parts were needed for a moment.
 */
import { decodeValue, type StoredValue } from './keys.js';

/** Larger ones have memory of their own anyway, and take longer to copy. */
const mostPackedBytes = 4096;

export type PackedValue = string | StoredValue;

export const pack = (stored: StoredValue): PackedValue =>
  stored.encoded.length <= mostPackedBytes ? stored.encoded.toString('latin1') : stored;

export const unpack = (packed: PackedValue): StoredValue =>
  typeof packed === 'string' ? decodeValue(Buffer.from(packed, 'latin1')) : packed;

export const packedBytes = (packed: PackedValue): number =>
  typeof packed === 'string' ? packed.length : packed.encoded.length;
