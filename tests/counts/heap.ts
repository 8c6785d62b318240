/** What some work allocates: the growth of the heap while nothing is collected. */
import { GCProfiler } from 'node:v8';

/** Bytes on the heap. Rejects when memory was collected meanwhile: the growth would say nothing. */
export async function allocatedDuring(work: () => Promise<void>): Promise<number> {
  const { gc } = globalThis;
  if (gc === undefined) throw new Error('start node with --expose-gc');
  gc();
  const profiler = new GCProfiler();
  profiler.start();
  const before = process.memoryUsage().heapUsed;
  await work();
  const after = process.memoryUsage().heapUsed;
  const { statistics } = profiler.stop();
  if (statistics.length > 0) {
    const types = statistics.map(({ gcType }) => gcType).join(', ');
    throw new Error(`memory was collected while it was measured: ${types}`);
  }
  return after - before;
}
