/**
 * Where a key lies on the ring: a position in [0, 2^32), xxh32 with seed 0 of its placement bytes.
 *
 * Invariant: the position of a key never changes. It stands in every stored key, so the function is part of the data
 * format: changing it, the seed or the tag rule loses data.
 */
import xxhash from 'xxhash-wasm';
import { assert } from '../base/index.js';

/** Number of positions on the ring. */
export const ringSize = 0x1_0000_0000;

const openingBrace = 0x7b;
const closingBrace = 0x7d;

let xxh32: ((bytes: Uint8Array, seed?: number) => number) | undefined;

/** Loads the hash function (WebAssembly); once per process, before the first `ringHash`. Idempotent. */
export async function initHash(): Promise<void> {
  xxh32 ??= (await xxhash()).h32Raw;
}

/**
 * The bytes that place a key: what stands between the first `{` and the next `}` when that is not empty, else the
 * whole key. So `{user1}/name` and `{user1}/mail` share a shard.
 */
export function placementBytes(key: Buffer): Buffer {
  const open = key.indexOf(openingBrace);
  if (open < 0) return key;
  const close = key.indexOf(closingBrace, open + 1);
  return close > open + 1 ? key.subarray(open + 1, close) : key;
}

/** The position of a key on the ring. */
export function ringHash(key: Buffer): number {
  assert(xxh32 !== undefined, 'initHash() has not finished');
  return xxh32(placementBytes(key));
}
