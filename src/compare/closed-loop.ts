/**
 * A closed loop: so many operations in flight, each answer followed by the next operation, against any system alike.
 *
 * Counted is what is answered in the window, whenever it was asked: every system has the same number under way at both
 * edges of it. Whatever is not answered long after the end is an error.
 */
import { performance } from 'node:perf_hooks';
import { isRingraftError, type Random, seededRandom } from '../base/index.js';
import { KeyChooser } from './key-choice.js';
import { LatencyHistogram } from './latency-histogram.js';
import type { LoadCounts, RunJob } from './load-protocol.js';
import { Operations } from './operations.js';
import { type PeerClient, PeerError } from './peer.js';
import { type Dataset, keyOf } from './workload.js';

const answerLimitMs = 30_000;
const pauseAfterErrorMs = 5;
const loadBatchesInFlight = 16;
const loadBatchBytes = 512 * 1024;
const largestLoadBatch = 100;
const loadAttempts = 10;

const sleep = (ms: number): Promise<void> =>
  new Promise((resolve) => {
    setTimeout(resolve, ms);
  });

const codeOf = (error: unknown): string => {
  if (isRingraftError(error) || error instanceof PeerError) return error.code;
  throw error;
};

/** Bytes that do not compress to nothing. */
export function randomValue(length: number, random: Random): Buffer {
  const bytes = Buffer.alloc(length);
  for (let at = 0; at < length; at++) bytes[at] = random.nextU32() & 0xff;
  return bytes;
}

/** What was counted between the edges of a window. */
class Window {
  readonly histogram = new LatencyHistogram();
  readonly errors: Record<string, number> = {};
  operations = 0;
  isOpen = false;
  private openedMs = 0;
  private cpu = process.cpuUsage();
  private loop = performance.eventLoopUtilization();
  private closed: Pick<LoadCounts, 'seconds' | 'cpuSeconds' | 'busy'> | undefined;

  open(): void {
    this.isOpen = true;
    this.openedMs = performance.now();
    this.cpu = process.cpuUsage();
    this.loop = performance.eventLoopUtilization();
  }

  close(): void {
    if (this.closed !== undefined) return;
    const { user, system } = process.cpuUsage(this.cpu);
    this.isOpen = false;
    this.closed = {
      seconds: (performance.now() - this.openedMs) / 1000,
      cpuSeconds: (user + system) / 1e6,
      busy: performance.eventLoopUtilization(this.loop).utilization,
    };
  }

  answered(micros: number, operations: number): void {
    if (!this.isOpen) return;
    this.operations += operations;
    this.histogram.record(micros);
  }

  failed(code: string, times = 1): void {
    this.errors[code] = (this.errors[code] ?? 0) + times;
  }

  counts(missed: number, inserted: number): LoadCounts {
    this.close();
    const { seconds, cpuSeconds, busy } = this.closed as NonNullable<Window['closed']>;
    const { operations, errors } = this;
    return { operations, seconds, latencies: this.histogram.toCounts(), errors, missed, inserted, cpuSeconds, busy };
  }
}

/** `onEdge` is called when counting begins and when it ends. */
export async function runClosedLoop(
  client: PeerClient,
  job: RunJob,
  onEdge: (edge: 'begins' | 'ends') => void,
): Promise<LoadCounts> {
  const { workload } = job;
  await client.takeRoute(job.route);
  const random = seededRandom(job.seed);
  const chooser = new KeyChooser(workload.dataset.records, workload.keys, random);
  const value = randomValue(workload.dataset.valueBytes, random);
  const operations = new Operations({ client, job, chooser, random, value });
  const window = new Window();
  let hasEnded = false;
  let unanswered = 0;
  const loop = async (): Promise<void> => {
    while (!hasEnded) {
      const beganMs = performance.now();
      unanswered++;
      try {
        const count = await operations.next();
        window.answered((performance.now() - beganMs) * 1000, count);
      } catch (error) {
        window.failed(codeOf(error));
        await sleep(pauseAfterErrorMs);
      } finally {
        unanswered--;
      }
    }
  };
  const loops = Promise.all(Array.from({ length: job.inFlight }, loop));
  const timed = async (): Promise<void> => {
    await sleep(job.warmupSeconds * 1000);
    window.open();
    onEdge('begins');
    await sleep(job.seconds * 1000);
    window.close();
    onEdge('ends');
    hasEnded = true;
    await Promise.race([loops, sleep(answerLimitMs)]);
  };
  const end = timed();
  // What a loop does not know as an error is a bug, and ends the run at once.
  await Promise.race([end, loops.then(() => end)]);
  if (unanswered > 0) window.failed('UNANSWERED', unanswered);
  return window.counts(operations.missed, operations.inserted);
}

/** Stores every key of a dataset once, in batches. Errors are not counted but thrown: what is read must be there. */
export async function loadDataset(
  client: PeerClient,
  dataset: Dataset,
  onLoaded: (keys: number) => void,
): Promise<LoadCounts> {
  const value = randomValue(dataset.valueBytes, seededRandom(1));
  const perBatch = Math.max(1, Math.min(largestLoadBatch, Math.floor(loadBatchBytes / dataset.valueBytes)));
  const window = new Window();
  window.open();
  let next = 0;
  const loop = async (): Promise<void> => {
    while (next < dataset.records) {
      const from = next;
      next = Math.min(dataset.records, from + perBatch);
      const keys = Array.from({ length: next - from }, (_, at) => keyOf(dataset, from + at));
      const beganMs = performance.now();
      await putStubbornly(client, keys, value);
      window.answered((performance.now() - beganMs) * 1000, keys.length);
      onLoaded(keys.length);
    }
  };
  await Promise.all(Array.from({ length: loadBatchesInFlight }, loop));
  return window.counts(0, 0);
}

/** Puts are the same when they are repeated. */
async function putStubbornly(client: PeerClient, keys: readonly string[], value: Buffer): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await client.putMany(keys, value);
    } catch (error) {
      codeOf(error);
      if (attempt === loadAttempts) throw error;
      await sleep(pauseAfterErrorMs * 2 ** attempt);
    }
  }
}
