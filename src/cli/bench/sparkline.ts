/** Numbers as a row of bars: the highest is full, nothing is a gap, whatever is more than nothing can be seen. */
const bars = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

export function sparkline(values: readonly number[]): string {
  const highest = Math.max(0, ...values);
  return values
    .map((value) => (value <= 0 ? ' ' : (bars[Math.max(0, Math.ceil((value / highest) * bars.length) - 1)] ?? '')))
    .join('');
}
