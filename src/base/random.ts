import { randomFillSync } from 'node:crypto';

/** Randomness as a port, so that one seed replays a run. */
export type Random = {
  /** A whole number in [0, 2^32). */
  nextU32(): number;
};

/** A whole number in [min, max]. */
export const randomBetween = (random: Random, min: number, max: number): number =>
  min + Math.floor((random.nextU32() / 0x1_0000_0000) * (max - min + 1));

/** mulberry32: small, quick, the same on every machine. For simulation, tests and jitter; never for secrets. */
export function seededRandom(seed: number): Random {
  let state = seed >>> 0;
  return {
    nextU32() {
      state = (state + 0x6d2b79f5) >>> 0;
      let mixed = Math.imul(state ^ (state >>> 15), state | 1);
      mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
      return (mixed ^ (mixed >>> 14)) >>> 0;
    },
  };
}

const pool = new Uint32Array(1024);
let used = pool.length;

/** The machine's own randomness, fetched a pool at a time. */
export const systemRandom: Random = {
  nextU32() {
    if (used === pool.length) {
      randomFillSync(pool);
      used = 0;
    }
    return pool[used++] as number;
  },
};
