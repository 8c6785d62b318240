/** Durations as people write them. */

/** Milliseconds in one of each. */
export const durationUnits: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};

/** Exactly, in the largest unit that holds it whole: `1m`, `90s`, `1500ms`. */
export function formatDuration(ms: number): string {
  const unit = ['d', 'h', 'm', 's'].find((name) => ms > 0 && ms % (durationUnits[name] as number) === 0) ?? 'ms';
  return `${ms / (durationUnits[unit] as number)}${unit}`;
}
