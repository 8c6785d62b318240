/** Choosing at random from a seedable source. */
import { type Random, randomBetween } from '../../base/index.js';

export function pickOne<T>(random: Random, choices: readonly T[]): T | undefined {
  return choices.length === 0 ? undefined : choices[randomBetween(random, 0, choices.length - 1)];
}

/** Up to `count` different ones, in random order (Fisher and Yates, stopped early). */
export function pickSome<T>(random: Random, choices: readonly T[], count: number): readonly T[] {
  const rest = [...choices];
  const chosen = Math.min(count, rest.length);
  for (let at = 0; at < chosen; at++) {
    const other = randomBetween(random, at, rest.length - 1);
    [rest[at], rest[other]] = [rest[other] as T, rest[at] as T];
  }
  return rest.slice(0, chosen);
}

export const shuffled = <T>(random: Random, choices: readonly T[]): readonly T[] =>
  pickSome(random, choices, choices.length);
