/**
 * A closed loop of operations against a cluster: so many in flight, each answer followed by the next operation.
 *
 * Latencies are whole microseconds in an HDR histogram (within 0.1 %). What comes in the warm-up is not counted.
 */
import { createHistogram, type RecordableHistogram } from 'node:perf_hooks';
import { type Random, RingraftError, randomBetween, seededRandom } from '../../base/index.js';
import type { Consistency, RingraftClient } from '../../client/index.js';

export const benchOperations = ['put', 'get', 'mixed'] as const;
export type BenchOperation = (typeof benchOperations)[number];

export type BenchOptions = {
  readonly operation: BenchOperation;
  readonly bucket: string;
  readonly concurrency: number;
  readonly valueBytes: number;
  readonly keys: number;
  readonly seconds: number;
  readonly warmupSeconds: number;
  readonly timeoutMs: number;
  readonly consistency: Consistency;
  readonly signal: AbortSignal;
  /** About twice a second while it runs. */
  readonly onProgress: (progress: BenchProgress) => void;
};

export type BenchProgress = {
  readonly elapsedSeconds: number;
  readonly operations: number;
  readonly perSecond: number;
  readonly errors: number;
};

export type BenchResult = {
  readonly operations: number;
  readonly seconds: number;
  readonly perSecond: number;
  readonly latencyMs: {
    readonly mean: number;
    readonly p50: number;
    readonly p90: number;
    readonly p99: number;
    readonly p999: number;
    readonly max: number;
  };
  readonly errors: Readonly<Record<string, number>>;
  /** CPU this process used a second, in cores: near 1 means that the client is what is measured. */
  readonly clientCpuCores: number;
};

const keyOf = (number: number): Buffer => Buffer.from(`bench/${String(number).padStart(9, '0')}`);

/** Bytes that do not compress to nothing. */
function randomBytes(length: number, random: Random): Buffer {
  const bytes = Buffer.alloc(length);
  for (let at = 0; at < length; at++) bytes[at] = random.nextU32() & 0xff;
  return bytes;
}

/** Stores every key once, so that reads find something. */
export async function loadKeys(
  client: RingraftClient,
  options: BenchOptions,
  onLoaded: (keys: number) => void,
): Promise<void> {
  const value = randomBytes(options.valueBytes, seededRandom(1));
  const perBatch = Math.max(1, Math.min(512, Math.floor((4 * 1024 * 1024) / (options.valueBytes + 64))));
  for (let from = 0; from < options.keys && !options.signal.aborted; from += perBatch) {
    const count = Math.min(perBatch, options.keys - from);
    const pairs = Array.from({ length: count }, (_, at) => [keyOf(from + at), value] as const);
    const settled = await client.putMany(options.bucket, pairs, { timeoutMs: Math.max(options.timeoutMs, 30_000) });
    for (const one of settled) if (!one.ok) throw one.error;
    onLoaded(count);
  }
}

const milliseconds = (histogram: RecordableHistogram, percentile: number): number =>
  histogram.percentile(percentile) / 1000;

export async function runBench(client: RingraftClient, options: BenchOptions): Promise<BenchResult> {
  const random = seededRandom(2);
  const value = randomBytes(options.valueBytes, random);
  const histogram = createHistogram({ lowest: 1, highest: 3_600_000_000, figures: 3 });
  const errors: Record<string, number> = {};
  const start = performance.now();
  const countFrom = start + options.warmupSeconds * 1000;
  const end = countFrom + options.seconds * 1000;
  let operations = 0;
  let failed = 0;
  let cpuAtStart = process.cpuUsage();
  let counting = false;
  const one = async (): Promise<void> => {
    const key = keyOf(randomBetween(random, 0, options.keys - 1));
    const isPut = options.operation === 'put' || (options.operation === 'mixed' && (random.nextU32() & 1) === 0);
    const { timeoutMs, consistency } = options;
    if (isPut) await client.put(options.bucket, key, value, { timeoutMs });
    else await client.get(options.bucket, key, { timeoutMs, consistency });
  };
  const worker = async (): Promise<void> => {
    for (;;) {
      const began = performance.now();
      if (began >= end || options.signal.aborted) return;
      try {
        await one();
      } catch (error) {
        const code = error instanceof RingraftError ? error.code : 'UNEXPECTED';
        errors[code] = (errors[code] ?? 0) + 1;
        failed++;
        if (code === 'UNEXPECTED' || code === 'CLOSED') throw error;
        continue;
      }
      const finished = performance.now();
      if (began < countFrom || finished > end) continue;
      if (!counting) {
        counting = true;
        cpuAtStart = process.cpuUsage();
      }
      operations++;
      histogram.record(Math.max(1, Math.round((finished - began) * 1000)));
    }
  };
  let shown = 0;
  const timer = setInterval(() => {
    const elapsedSeconds = (performance.now() - start) / 1000;
    options.onProgress({ elapsedSeconds, operations, perSecond: (operations - shown) * 2, errors: failed });
    shown = operations;
  }, 500);
  try {
    await Promise.all(Array.from({ length: options.concurrency }, worker));
  } finally {
    clearInterval(timer);
  }
  const seconds = Math.max(0.001, (Math.min(performance.now(), end) - countFrom) / 1000);
  const cpu = process.cpuUsage(cpuAtStart);
  return {
    operations,
    seconds,
    perSecond: operations / seconds,
    latencyMs: {
      mean: operations === 0 ? 0 : histogram.mean / 1000,
      p50: milliseconds(histogram, 50),
      p90: milliseconds(histogram, 90),
      p99: milliseconds(histogram, 99),
      p999: milliseconds(histogram, 99.9),
      max: operations === 0 ? 0 : histogram.max / 1000,
    },
    errors,
    clientCpuCores: (cpu.user + cpu.system) / 1e6 / seconds,
  };
}
