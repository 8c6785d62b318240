/**
 * Full load of puts: so many workers, each with one write under way, over keys of its own.
 *
 * Invariants: 1. A key has one writer, which waits for each outcome: what a read may find follows from the outcomes.
 * 2. Sequence numbers grow, so a lost write shows as an older one.
 */
import { createHistogram, type RecordableHistogram } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { isRingraftError, messageOf } from '../../src/base/index.js';
import type { RingraftClient } from '../../src/client/index.js';
import type { Violations } from '../crash/violations.js';
import { readBack } from './keys.js';
import { bucket, operationTimeoutMs } from './program.js';

const keysPerWorker = 256;
const headBytes = 16;
const pauseMs = 20;

export type Minute = {
  readonly startedMs: number;
  operations: number;
  errors: number;
  readonly latencyUs: RecordableHistogram;
};

export class ElectionsLoad {
  readonly minutes: Minute[] = [];
  /** Errors by code. */
  readonly codes: Record<string, number> = {};
  operations = 0;
  private lastMinute = 0;
  /** Of every key, by worker and number in it: the last sequence acknowledged, and the last one sent. */
  private readonly acknowledged: Uint32Array;
  private readonly sent: Uint32Array;

  constructor(
    private readonly client: RingraftClient,
    private readonly workers: number,
    private readonly valueBytes: number,
    private readonly violations: Violations,
  ) {
    this.acknowledged = new Uint32Array(workers * keysPerWorker);
    this.sent = new Uint32Array(workers * keysPerWorker);
  }

  get keys(): number {
    return this.sent.length;
  }

  /** Until `untilMs` by `performance.now()`, or `isOver`. */
  async run(untilMs: number, isOver: () => boolean): Promise<void> {
    const startedMs = performance.now();
    this.lastMinute = Math.max(0, Math.ceil((untilMs - startedMs) / 60_000) - 1);
    let sequence = 0;
    const worker = async (number: number): Promise<void> => {
      for (let turn = 0; performance.now() < untilMs && !isOver(); turn++) {
        const at = number * keysPerWorker + (turn % keysPerWorker);
        sequence++;
        if (!(await this.write(at, sequence, startedMs))) await sleep(pauseMs);
      }
    };
    await Promise.all(Array.from({ length: this.workers }, (_, number) => worker(number)));
  }

  /** What was under way at the end belongs to the last minute. */
  private minuteAt(nowMs: number, startedMs: number): Minute {
    const at = Math.min(Math.floor((nowMs - startedMs) / 60_000), this.lastMinute);
    while (this.minutes.length <= at) {
      const latencyUs = createHistogram({ lowest: 1, highest: 3_600_000_000, figures: 3 });
      this.minutes.push({ startedMs: startedMs + this.minutes.length * 60_000, operations: 0, errors: 0, latencyUs });
    }
    return this.minutes[at] as Minute;
  }

  private async write(at: number, sequence: number, startedMs: number): Promise<boolean> {
    this.sent[at] = sequence;
    const value = Buffer.alloc(Math.max(headBytes, this.valueBytes), 97 + (sequence % 26));
    value.write(String(sequence).padStart(headBytes, '0'), 0, 'latin1');
    const begunMs = performance.now();
    try {
      await this.client.put(bucket, keyOf(at), value, { timeoutMs: operationTimeoutMs });
      const nowMs = performance.now();
      const minute = this.minuteAt(nowMs, startedMs);
      this.acknowledged[at] = sequence;
      this.operations++;
      minute.operations++;
      minute.latencyUs.record(Math.max(1, Math.round((nowMs - begunMs) * 1000)));
      return true;
    } catch (error) {
      this.minuteAt(performance.now(), startedMs).errors++;
      const code = isRingraftError(error) ? error.code : 'UNEXPECTED';
      this.codes[code] = (this.codes[code] ?? 0) + 1;
      // A time-out may be a slow machine's; nothing else has a reason to happen in a healthy cluster.
      if (code !== 'TIMEOUT') this.violations.add(`a put failed: ${code}: ${messageOf(error)}`);
      return false;
    }
  }

  /** Every key holds the write acknowledged last, or a later one that was sent; how many keys there are. */
  async verify(): Promise<number> {
    const written = [...this.sent.keys()].filter((at) => this.sent[at] !== 0);
    await readBack(
      this.client,
      written.length,
      (index) => keyOf(written[index] as number),
      (index, value) => {
        const at = written[index] as number;
        const [acknowledged = 0, sent = 0] = [this.acknowledged[at], this.sent[at]];
        const held = value === undefined ? 0 : Number(value.toString('latin1', 0, headBytes));
        if (held >= acknowledged && held <= sent) return;
        this.violations.add(`${keyOf(at)}: ${acknowledged} was acknowledged, ${sent} sent last, it holds ${held}`);
      },
    );
    return written.length;
  }
}

const keyOf = (at: number): string => `load/${at}`;
