/** What a run found: the shape of `kvctl bench -o json`, which `--compare-to` reads again. */
import type { Load } from './load.js';
import type { Interval, LatencyMs, Measurements, Minutes } from './measurements.js';

/** Another one where a figure comes to mean something else. */
export const benchFormat = 'kvctl-bench-1';

/** What makes two runs comparable; `rate` and `maxInFlight` of an open loop, `concurrency` of a closed one. */
export type Setting = Readonly<Record<string, string | number>>;

/** Whether an open loop could do what was asked of it. */
export type RateResult = {
  readonly asked: number;
  readonly achieved: number;
  readonly isKept: boolean;
  readonly mostInFlight: number;
  /** Due, and not sent for all that was in flight. */
  readonly mostWaiting: number;
  readonly neverSent: number;
};

export type BenchResult = {
  readonly format: typeof benchFormat;
  readonly version: string;
  readonly date: string;
  readonly setting: Setting;
  readonly isInterrupted: boolean;
  /** In which answers were counted as throughput. */
  readonly seconds: number;
  readonly ok: number;
  readonly failed: number;
  readonly unknown: number;
  readonly errors: Readonly<Record<string, number>>;
  readonly perSecond: number;
  /** Of an open loop from when operations were due, of a closed one from when they were sent. */
  readonly latencyMs: LatencyMs;
  /** Of an open loop: what is left of the latency when the time before the sending is left out. */
  readonly sentLatencyMs?: LatencyMs;
  readonly rate?: RateResult;
  /** Of a run of two minutes or more. */
  readonly minutes?: Minutes;
  readonly intervals: readonly Interval[];
  /** CPU this process used, in cores: near 1 means that the client is what is measured. */
  readonly clientCpuCores: number;
};

export type RunFacts = {
  readonly version: string;
  readonly wallMs: number;
  readonly nowMs: number;
  readonly setting: Setting;
  readonly isInterrupted: boolean;
  readonly clientCpuSeconds: number;
};

/** Answers in the last moment and in the last before the first need not be as many. */
const keptShare = 0.99;

export function resultOf(measurements: Measurements, load: Load, facts: RunFacts): BenchResult {
  const { version, wallMs, nowMs, setting, isInterrupted, clientCpuSeconds } = facts;
  const { ok, failed, unknown, errors, intervals } = measurements;
  const seconds = measurements.seconds(nowMs);
  const perSecond = measurements.perSecond(nowMs);
  const asked = setting.rate;
  const minutes = measurements.minutes();
  return {
    format: benchFormat,
    version,
    date: new Date(wallMs).toISOString(),
    setting,
    isInterrupted,
    seconds,
    ok,
    failed,
    unknown,
    errors,
    perSecond,
    latencyMs: measurements.latencyMs(),
    ...(typeof asked === 'number'
      ? { sentLatencyMs: measurements.sentLatencyMs(), rate: rateResult(load, asked, perSecond, seconds) }
      : {}),
    ...(minutes === undefined ? {} : { minutes }),
    intervals,
    clientCpuCores: seconds === 0 ? 0 : clientCpuSeconds / seconds,
  };
}

function rateResult(load: Load, asked: number, achieved: number, seconds: number): RateResult {
  const { mostInFlight, mostWaiting, neverSent } = load;
  const isKept = neverSent === 0 && achieved * seconds + 1 >= keptShare * asked * seconds;
  return { asked, achieved, isKept, mostInFlight, mostWaiting, neverSent };
}
