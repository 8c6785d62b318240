/** The load processes of one cluster, as their parent sees them: what all of them did together, and what it cost. */
import { type ChildProcess, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { RingraftError } from '../base/index.js';
import { LatencyHistogram } from './latency-histogram.js';
import type { LoadCounts, Order, Report, RunJob } from './load-protocol.js';
import type { Target } from './peer.js';
import { processorSecondsOf, type ServerProcess } from './server-processes.js';
import type { Dataset, Workload } from './workload.js';

const programPath = fileURLToPath(new URL('./load-process.js', import.meta.url));

/** How a workload is driven; both matter to what is measured, and the better one is looked for. */
export type Setting = { readonly route: string; readonly processes: number };

export type Measured = {
  /** Operations, or keys where an operation has many. */
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly errors: Readonly<Record<string, number>>;
  readonly missed: number;
  /** Cores the clients used, and of the busiest process how much of the time it had something to do. */
  readonly clientCores: number;
  readonly clientBusy: number;
  /** Cores all servers used together. */
  readonly serverCores: number;
  readonly setting: Setting;
};

/** One process: an order at a time. */
class LoadProcess {
  private readonly child: ChildProcess;
  private settle: { resolve(report: Report): void; reject(error: Error): void } | undefined;
  onReport: (report: Report) => void = () => {};

  constructor() {
    this.child = fork(programPath, [], {
      execArgv: ['--enable-source-maps'],
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    });
    this.child.on('message', (report: Report) => this.hear(report));
    this.child.on('exit', (code, signal) => this.fail(`a load process has ended (${signal ?? code})`));
    this.child.on('error', (error) => this.fail(`a load process failed: ${error.message}`));
  }

  /** Resolves with the report that ends it. */
  obey(order: Order): Promise<Report> {
    return new Promise((resolve, reject) => {
      this.settle = { resolve, reject };
      if (!this.child.connected) this.fail('a load process has ended');
      else this.child.send(order);
    });
  }

  end(): void {
    this.onReport = () => {};
    this.child.kill('SIGKILL');
  }

  private hear(report: Report): void {
    if (report.type === 'failed') this.fail(report.message);
    else if (report.type === 'window' || report.type === 'progress') this.onReport(report);
    else {
      this.settle?.resolve(report);
      this.settle = undefined;
    }
  }

  private fail(message: string): void {
    this.settle?.reject(new RingraftError('UNREACHABLE', message));
    this.settle = undefined;
  }
}

export class Loaders {
  private readonly processes: LoadProcess[] = [];
  private inserted = 0;
  routes: readonly string[] = [];

  private constructor(
    private readonly target: Target,
    private readonly servers: () => readonly ServerProcess[],
  ) {}

  static async connect(target: Target, servers: () => readonly ServerProcess[]): Promise<Loaders> {
    const loaders = new Loaders(target, servers);
    try {
      await loaders.grow(1);
      return loaders;
    } catch (error) {
      loaders.end();
      throw error;
    }
  }

  private async grow(count: number): Promise<readonly LoadProcess[]> {
    while (this.processes.length < count) {
      const added = new LoadProcess();
      this.processes.push(added);
      const report = await added.obey({ type: 'connect', target: this.target });
      if (report.type === 'connected') this.routes = report.routes;
    }
    return this.processes.slice(0, count);
  }

  async load(dataset: Dataset, setting: Setting, onKeys: (keys: number) => void): Promise<Measured> {
    const [first] = (await this.grow(1)) as [LoadProcess];
    first.onReport = (report) => {
      if (report.type === 'progress') onKeys(report.keys);
    };
    const cpuBefore = processorSecondsOf(this.servers());
    const counts = countsOf(await first.obey({ type: 'load', dataset, route: setting.route }));
    const serverSeconds = processorSecondsOf(this.servers()) - cpuBefore;
    return measuredFrom([counts], serverSeconds, { ...setting, processes: 1 });
  }

  async run(
    workload: Workload,
    setting: Setting,
    warmupSeconds: number,
    seconds: number,
    seed: number,
  ): Promise<Measured> {
    const processes = await this.grow(setting.processes);
    const edges = new Map<string, number>();
    const orders = processes.map((process, at) => {
      // The window of the first process stands for all: they begin within milliseconds.
      process.onReport = (report) => {
        if (at === 0 && report.type === 'window') edges.set(report.edge, processorSecondsOf(this.servers()));
      };
      return process.obey({ type: 'run', job: this.jobOf(workload, setting, at, warmupSeconds, seconds, seed) });
    });
    const all = (await Promise.all(orders)).map(countsOf);
    this.inserted += Math.max(...all.map(({ inserted }) => inserted)) * all.length;
    return measuredFrom(all, (edges.get('ends') ?? 0) - (edges.get('begins') ?? 0), setting);
  }

  private jobOf(
    workload: Workload,
    { route, processes }: Setting,
    at: number,
    warmupSeconds: number,
    seconds: number,
    seed: number,
  ): RunJob {
    const inFlight = Math.floor((workload.inFlight + at) / processes);
    const insertFrom = workload.dataset.records + this.inserted + at;
    return {
      workload,
      route,
      inFlight,
      warmupSeconds,
      seconds,
      seed: seed * 16 + at,
      insertFrom,
      insertStep: processes,
    };
  }

  /** What is under way is rejected. */
  end(): void {
    for (const process of this.processes) process.end();
  }
}

function countsOf(report: Report): LoadCounts {
  if (report.type !== 'counted') throw new RangeError(`not the answer to a run: ${report.type}`);
  return report.counts;
}

function measuredFrom(all: readonly LoadCounts[], serverSeconds: number, setting: Setting): Measured {
  const histogram = new LatencyHistogram();
  const errors: Record<string, number> = {};
  for (const counts of all) {
    histogram.add(counts.latencies);
    for (const [code, times] of Object.entries(counts.errors)) errors[code] = (errors[code] ?? 0) + times;
  }
  const sum = (value: (counts: LoadCounts) => number): number =>
    all.reduce((total, counts) => total + value(counts), 0);
  const seconds = Math.max(0.001, ...all.map((counts) => counts.seconds));
  return {
    perSecond: sum((counts) => counts.operations / counts.seconds),
    p50Ms: histogram.percentile(50) / 1000,
    p99Ms: histogram.percentile(99) / 1000,
    errors,
    missed: sum(({ missed }) => missed),
    clientCores: sum(({ cpuSeconds }) => cpuSeconds) / seconds,
    clientBusy: Math.max(...all.map(({ busy }) => busy)),
    serverCores: serverSeconds / seconds,
    setting,
  };
}
