/** Figures of many measurements: percentiles are values that occurred (nearest rank), nothing is interpolated. */
export type Summary = {
  readonly count: number;
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
};

export function summaryOf(values: readonly number[]): Summary {
  const sorted = [...values].sort((a, b) => a - b);
  const rank = (share: number): number => sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? Number.NaN;
  return { count: sorted.length, p50: rank(0.5), p99: rank(0.99), max: rank(1) };
}

export const inMs = (value: number): string => (Number.isNaN(value) ? '-' : `${value.toFixed(value < 10 ? 1 : 0)} ms`);
export const inSeconds = (ms: number): string => (Number.isNaN(ms) ? '-' : `${(ms / 1000).toFixed(2)} s`);
export const rounded = (value: number, digits = 1): number => Number(value.toFixed(digits));
