/** One run of bench: its load, with what is measured of it and what is shown meanwhile. */
import type { Clock, Timer } from '../../base/index.js';
import type { RingraftClient } from '../../client/index.js';
import type { Io } from '../io.js';
import { formatCount } from '../values.js';
import { LiveView } from './live-view.js';
import { Load } from './load.js';
import { Measurements } from './measurements.js';
import { ClosedPace, OpenPace, type Pace } from './pace.js';
import { type BenchResult, resultOf, type Setting } from './result.js';
import { Schedule } from './schedule.js';
import { operationsOn, type Workload } from './workload.js';

/** So many under way, or so many a second. */
export type Pressure =
  | { readonly type: 'closed'; readonly concurrency: number }
  | { readonly type: 'open'; readonly rate: number; readonly maxInFlight: number };

export type BenchOptions = {
  readonly workload: Workload;
  readonly pressure: Pressure;
  readonly seconds: number;
  readonly warmupSeconds: number;
  readonly isLive: boolean;
  readonly version: string;
};

export function settingOf({ workload, pressure, seconds, warmupSeconds }: BenchOptions): Setting {
  const { operation, bucket, valueBytes, keys, consistency } = workload;
  const { type: loop, ...amount } = pressure;
  const reads = operation === 'put' ? {} : { consistency };
  return { loop, operation, bucket, ...amount, valueBytes, keys, ...reads, seconds, warmupSeconds };
}

const paceOf = (pressure: Pressure, startMs: number, endMs: number): Pace =>
  pressure.type === 'open'
    ? new OpenPace(new Schedule(startMs, endMs, pressure.rate), pressure.maxInFlight)
    : new ClosedPace(pressure.concurrency, endMs);

const titleOf = ({ workload, pressure }: BenchOptions): string =>
  pressure.type === 'open'
    ? `${workload.operation}, ${formatCount(pressure.rate)}/s`
    : `${workload.operation}, ${formatCount(pressure.concurrency)} in flight`;

/** CPU this process uses while answers are counted. */
class CpuMeter {
  private from = process.cpuUsage();
  private used: NodeJS.CpuUsage | undefined;
  private readonly timers: readonly Timer[];

  constructor(clock: Clock, beginMs: number, endMs: number) {
    const nowMs = clock.nowMs();
    const begin = clock.after(beginMs - nowMs, () => {
      this.from = process.cpuUsage();
    });
    this.timers = [begin, clock.after(endMs - nowMs, () => this.stop())];
  }

  stop(): void {
    this.used ??= process.cpuUsage(this.from);
    for (const timer of this.timers) timer.cancel();
  }

  get seconds(): number {
    const { user, system } = this.used ?? process.cpuUsage(this.from);
    return (user + system) / 1e6;
  }
}

export async function runBench(
  client: RingraftClient,
  options: BenchOptions,
  { io, clock }: { readonly io: Io; readonly clock: Clock },
): Promise<BenchResult> {
  const startMs = clock.nowMs();
  const countFromMs = startMs + options.warmupSeconds * 1000;
  const endMs = countFromMs + options.seconds * 1000;
  const measurements = new Measurements(countFromMs, endMs);
  const load = new Load({
    clock,
    pace: paceOf(options.pressure, startMs, endMs),
    operate: operationsOn(client, options.workload),
    measurements,
    endMs,
    answerLimitMs: options.workload.timeoutMs,
    signal: io.signal,
  });
  const view = new LiveView(io, clock, () => {
    const nowMs = clock.nowMs();
    measurements.advance(nowMs);
    return { title: titleOf(options), nowMs, startMs, endMs, measurements, load };
  });
  const cpu = new CpuMeter(clock, countFromMs, endMs);
  if (options.isLive) view.start();
  try {
    await load.run();
  } finally {
    cpu.stop();
    view.stop();
  }
  return resultOf(measurements, load, {
    version: options.version,
    wallMs: clock.wallMs(),
    nowMs: clock.nowMs(),
    setting: settingOf(options),
    isInterrupted: io.signal.aborted,
    clientCpuSeconds: cpu.seconds,
  });
}
