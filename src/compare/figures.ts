/** Figures of repeats, and of one system against another. */

export type Spread = { readonly median: number; readonly min: number; readonly max: number };

/** Of an even number the median is the mean of the middle two. */
export function spreadOf(values: readonly number[]): Spread {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const [low, high] = [sorted[(sorted.length - 1) >> 1] ?? Number.NaN, sorted[middle] ?? Number.NaN];
  return { median: (low + high) / 2, min: sorted[0] ?? Number.NaN, max: sorted.at(-1) ?? Number.NaN };
}

/** undefined: there is nothing to divide by. */
export const ratioOf = (value: number, other: number): number | undefined =>
  other > 0 && Number.isFinite(value / other) ? value / other : undefined;

/** Three figures that count: enough to compare, and no more than was measured. */
export const rounded = (value: number): number => (value === 0 ? 0 : Number(value.toPrecision(4)));
