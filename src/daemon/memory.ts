/**
 * How much memory a node takes beside what it needs.
 *
 * V8 lets the heap of a small process grow to several times what is alive before it looks through all of it: a node with a
 * million keys had 60 MB alive in 140. Here it may grow by half of that, and by some room besides: buffers outside the heap count,
 * too, and with a small heap every few thousand writes of 4 KiB would begin a collection (docs/performance.md).
 */
import { constants, type PerformanceEntry, PerformanceObserver } from 'node:perf_hooks';
import { getHeapStatistics, setFlagsFromString } from 'node:v8';

const roomBytes = 20 * 1024 * 1024;
const leastPercent = 50;
const mostPercent = 400;

/** How much the heap may grow until it is collected as a whole, in percent of what is alive. */
export function heapGrowthPercent(aliveBytes: number): number {
  return Math.min(mostPercent, leastPercent + Math.round((100 * roomBytes) / aliveBytes));
}

const isWhole = (entry: PerformanceEntry): boolean =>
  (entry as { detail?: { kind?: number } }).detail?.kind === constants.NODE_PERFORMANCE_GC_MAJOR;

/** To be called once, before the heap grows. */
export function keepHeapSmall(): void {
  const adjust = (): void => {
    setFlagsFromString(`--heap-growing-percent=${heapGrowthPercent(getHeapStatistics().used_heap_size)}`);
  };
  adjust();
  new PerformanceObserver((list) => {
    if (list.getEntries().some(isWhole)) adjust();
  }).observe({ entryTypes: ['gc'] });
}
