/**
 * How much memory a node takes beside what it needs.
 *
 * V8 lets the heap of a small process grow to several times what is alive before it looks through all of it: a node with a
 * million keys had 60 MB alive in 140. Collecting at 1.5 times instead could not be told from noise in puts; batches collect more
 * than three times as often (docs/performance.md).
 */
import { setFlagsFromString } from 'node:v8';

const heapGrowthPercent = 50;

/** To be called before the heap grows. */
export function keepHeapSmall(): void {
  setFlagsFromString(`--heap-growing-percent=${heapGrowthPercent}`);
}
