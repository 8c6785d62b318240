/**
 * What was certain at a moment: of operations with a rank (a revision, a number, a length), the greatest that had ended
 * strictly before it. Equal stamps overlap, so that a coarse clock never makes a good history look bad.
 */
import type { Operation } from './operation.js';

export type Ranked = { readonly rank: number; readonly operation: Operation };

export class Ended {
  private readonly ends: number[] = [];
  private readonly greatest: Ranked[] = [];

  constructor(sources: readonly Ranked[]) {
    const byEnd = [...sources].sort((a, b) => a.operation.endMs - b.operation.endMs);
    let best: Ranked | undefined;
    for (const source of byEnd) {
      if (best !== undefined && source.rank <= best.rank) continue;
      best = source;
      this.ends.push(source.operation.endMs);
      this.greatest.push(source);
    }
  }

  before(stampMs: number): Ranked | undefined {
    return this.greatest[countBelow(this.ends, stampMs) - 1];
  }
}

/** How many of `ascending` are less than `limit`. */
export const countBelow = (ascending: readonly number[], limit: number): number =>
  countWhile(ascending, (value) => value < limit);

/** How many of `ascending` are at most `limit`. */
export const countUpTo = (ascending: readonly number[], limit: number): number =>
  countWhile(ascending, (value) => value <= limit);

function countWhile(ascending: readonly number[], holds: (value: number) => boolean): number {
  let [low, high] = [0, ascending.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (holds(ascending[middle] as number)) low = middle + 1;
    else high = middle;
  }
  return low;
}
