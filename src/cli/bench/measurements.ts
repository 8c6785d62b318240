/**
 * What a run of bench counts, second by second and over all.
 *
 * 1. Counted is what is answered after the warm-up, whenever it was due.
 * 2. A second holds what was answered in it. Its latencies are added to those of the whole run when it is over.
 * 3. What is answered after the end has a latency like any other, but is no throughput, and in no second.
 * 4. Latencies are of operations that succeeded: whole microseconds in HDR histograms (within 0.1 %).
 */
import { createHistogram, type RecordableHistogram } from 'node:perf_hooks';
import type { Happened, RingraftError } from '../../base/index.js';

const secondMs = 1000;
const minuteSeconds = 60;

export type LatencyMs = {
  readonly mean: number;
  readonly p50: number;
  readonly p90: number;
  readonly p99: number;
  readonly p999: number;
  readonly max: number;
};

/** A second of the run; the first is 1. */
export type Interval = {
  readonly second: number;
  readonly perSecond: number;
  readonly failed: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly p999Ms: number;
};

/** Whether a long run goes on as it began. */
export type Minutes = { readonly first: LatencyMs; readonly last: LatencyMs };

export type Finished = { readonly dueMs: number; readonly sentMs: number; readonly finishedMs: number };

const emptyHistogram = (): RecordableHistogram => createHistogram({ lowest: 1, highest: 3_600_000_000, figures: 3 });

const record = (histogram: RecordableHistogram, ms: number): void =>
  histogram.record(Math.max(1, Math.round(ms * 1000)));

function latencyMsOf(histogram: RecordableHistogram): LatencyMs {
  if (histogram.count === 0) return { mean: 0, p50: 0, p90: 0, p99: 0, p999: 0, max: 0 };
  const at = (percent: number): number => histogram.percentile(percent) / 1000;
  const { mean, max } = histogram;
  return { mean: mean / 1000, p50: at(50), p90: at(90), p99: at(99), p999: at(99.9), max: max / 1000 };
}

export class Measurements {
  readonly intervals: Interval[] = [];
  readonly errors: Record<string, number> = {};
  ok = 0;
  /** Certainly did not take effect. */
  failed = 0;
  /** May have taken effect, or may yet. */
  unknown = 0;
  private okInTime = 0;
  private readonly whole = emptyHistogram();
  private readonly fromSending = emptyHistogram();
  private readonly firstMinute = emptyHistogram();
  /** Of the last seconds, at most a minute. */
  private readonly recent: RecordableHistogram[] = [];
  private current = emptyHistogram();
  private currentOk = 0;
  private currentFailed = 0;
  private isClosed = false;

  constructor(
    readonly countFromMs: number,
    private endMs: number,
  ) {}

  succeeded({ dueMs, sentMs, finishedMs }: Finished): void {
    if (!this.counts(finishedMs)) return;
    this.advance(finishedMs);
    this.ok++;
    record(this.fromSending, finishedMs - sentMs);
    if (this.isClosed) {
      record(this.whole, finishedMs - dueMs);
      return;
    }
    this.okInTime++;
    this.currentOk++;
    record(this.current, finishedMs - dueMs);
  }

  didNotSucceed({ code, happened }: RingraftError, finishedMs: number): void {
    if (!this.counts(finishedMs)) return;
    this.advance(finishedMs);
    this.add(code, 1, happened);
    this.currentFailed++;
  }

  /** Operations that were sent and will not be waited for any longer. */
  unanswered(operations: number, nowMs: number): void {
    if (operations > 0 && this.counts(nowMs)) this.add('UNANSWERED', operations, 'unknown');
  }

  /** A run that was interrupted in its warm-up counts nothing. */
  private counts(finishedMs: number): boolean {
    return finishedMs >= this.countFromMs && this.endMs >= this.countFromMs;
  }

  private add(code: string, times: number, happened: Happened): void {
    this.errors[code] = (this.errors[code] ?? 0) + times;
    if (happened === 'unknown') this.unknown += times;
    else this.failed += times;
  }

  /** Ends the seconds that are over by then. */
  advance(nowMs: number): void {
    if (this.isClosed) return;
    const untilMs = Math.min(nowMs, this.endMs);
    while (untilMs >= this.countFromMs + (this.intervals.length + 1) * secondMs) this.endSecond();
    if (nowMs < this.endMs) return;
    this.isClosed = true;
    this.whole.add(this.current);
  }

  /** No throughput is counted from here on, if the end was not before. A piece of a second stays out of `intervals`. */
  close(nowMs: number): void {
    if (this.isClosed) return;
    this.endMs = Math.min(this.endMs, nowMs);
    this.advance(nowMs);
  }

  private endSecond(): void {
    const { p50, p99, p999 } = latencyMsOf(this.current);
    this.intervals.push({
      second: this.intervals.length + 1,
      perSecond: this.currentOk,
      failed: this.currentFailed,
      p50Ms: p50,
      p99Ms: p99,
      p999Ms: p999,
    });
    this.whole.add(this.current);
    if (this.intervals.length <= minuteSeconds) this.firstMinute.add(this.current);
    this.recent.push(this.current);
    this.current = (this.recent.length > minuteSeconds ? this.recent.shift() : undefined) ?? emptyHistogram();
    this.current.reset();
    this.currentOk = 0;
    this.currentFailed = 0;
  }

  /** Of throughput; 0 when the warm-up was not over. */
  seconds(nowMs: number): number {
    return Math.max(0, Math.min(nowMs, this.endMs) - this.countFromMs) / 1000;
  }

  perSecond(nowMs: number): number {
    const seconds = this.seconds(nowMs);
    return seconds === 0 ? 0 : this.okInTime / seconds;
  }

  /** From when operations were due; of seconds that are over. */
  latencyMs(): LatencyMs {
    return latencyMsOf(this.whole);
  }

  /** From when they were sent. */
  sentLatencyMs(): LatencyMs {
    return latencyMsOf(this.fromSending);
  }

  /** undefined: the run was shorter than two. */
  minutes(): Minutes | undefined {
    if (this.intervals.length < 2 * minuteSeconds) return undefined;
    const last = emptyHistogram();
    for (const histogram of this.recent) last.add(histogram);
    return { first: latencyMsOf(this.firstMinute), last: latencyMsOf(last) };
  }
}
