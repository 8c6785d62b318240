/**
 * A steady load of single operations in the foreground: so many a second, puts and gets in turn over random keys of a data
 * set. An operation begins when its time has come, whether or not earlier ones were answered: a client that waits would
 * not notice that nobody is served.
 */
import {
  createHistogram,
  type IntervalHistogram,
  monitorEventLoopDelay,
  type RecordableHistogram,
} from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { isRingraftError, messageOf, type Random, systemRandom } from '../../src/base/index.js';
import type { RingraftClient } from '../../src/client/index.js';
import type { Violations } from '../crash/violations.js';
import type { DataSet } from './data-set.js';
import { inMs, rounded } from './figures.js';
import { operationTimeoutMs } from './program.js';

const tickMs = 2;
/** More than that under way: the load is more than the cluster takes, and begins no more for now. */
const mostUnderWay = 20_000;
const probeWorkers = 64;
const probeMs = 3000;
const histogramOf = (): RecordableHistogram => createHistogram({ lowest: 1, highest: 3_600_000_000, figures: 3 });

/** One stretch of the run, by the beginnings of operations. */
export class Phase {
  readonly puts = histogramOf();
  readonly gets = histogramOf();
  readonly all = histogramOf();
  /** Failed operations by code. */
  readonly failures: Record<string, number> = {};
  /** Operations that did not begin, since far too many were under way. */
  withheld = 0;
  private readonly startedMs = performance.now();
  private endedMs: number | undefined;
  /** How late this process itself was: no operation is timed better than that. */
  private readonly ownDelay: IntervalHistogram = monitorEventLoopDelay({ resolution: 5 });

  constructor(readonly name: string) {
    this.ownDelay.enable();
  }

  end(): void {
    this.endedMs = performance.now();
    this.ownDelay.disable();
  }

  get seconds(): number {
    return ((this.endedMs ?? performance.now()) - this.startedMs) / 1000;
  }

  get failed(): number {
    return Object.values(this.failures).reduce((sum, count) => sum + count, 0);
  }

  get facts() {
    const ms = (us: number): number => (this.all.count === 0 ? Number.NaN : rounded(us / 1000, 2));
    return {
      phase: this.name,
      seconds: rounded(this.seconds),
      operations: this.all.count,
      perSecond: Math.round(this.all.count / this.seconds),
      p50Ms: ms(this.all.percentile(50)),
      p99Ms: ms(this.all.percentile(99)),
      maxMs: ms(this.all.max),
      putP99Ms: ms(this.puts.percentile(99)),
      getP99Ms: ms(this.gets.percentile(99)),
      ownDelayMaxMs: rounded(this.ownDelay.max / 1e6, 1),
      failures: this.failures,
      withheld: this.withheld,
    };
  }
}

export class SteadyLoad {
  readonly phases: Phase[] = [];
  private readonly underWay = new Set<Promise<void>>();
  private running: Promise<void> | undefined;
  private stopped = false;
  private reported = 0;
  private latest = histogramOf();

  constructor(
    private readonly client: RingraftClient,
    private readonly data: DataSet,
    private readonly perSecond: number,
    private readonly violations: Violations,
    private readonly random: Random = systemRandom,
  ) {}

  /** Begins a phase; the load starts with the first one. */
  begin(name: string): Phase {
    this.phases.at(-1)?.end();
    const phase = new Phase(name);
    this.phases.push(phase);
    this.running ??= this.run();
    return phase;
  }

  /** Ends the load, and waits for what is under way. */
  async stop(): Promise<void> {
    this.stopped = true;
    await this.running;
    await Promise.all(this.underWay);
    this.phases.at(-1)?.end();
  }

  /** Of the operations that ended since this was asked last. */
  takeLatest(): string {
    const { latest } = this;
    this.latest = histogramOf();
    if (latest.count === 0) return 'no operation';
    return `p50 ${inMs(latest.percentile(50) / 1000)}, p99 ${inMs(latest.percentile(99) / 1000)}`;
  }

  get failed(): number {
    return this.phases.reduce((sum, { failed }) => sum + failed, 0);
  }

  private async run(): Promise<void> {
    const startedMs = performance.now();
    for (let begun = 0; !this.stopped; await sleep(tickMs)) {
      const due = Math.floor(((performance.now() - startedMs) / 1000) * this.perSecond);
      for (; begun < due; begun++) {
        if (this.underWay.size < mostUnderWay) this.start(begun % 2 === 0);
        else (this.phases.at(-1) as Phase).withheld++;
      }
    }
  }

  private start(isPut: boolean): void {
    const phase = this.phases.at(-1) as Phase;
    let number = this.random.nextU32() % this.data.keys;
    while (isPut && this.data.isTaken(number)) number = this.random.nextU32() % this.data.keys;
    const operation = this.one(phase, isPut, number).finally(() => this.underWay.delete(operation));
    this.underWay.add(operation);
  }

  private async one(phase: Phase, isPut: boolean, number: number): Promise<void> {
    const begunMs = performance.now();
    try {
      if (isPut) await this.data.putOne(this.client, number, operationTimeoutMs);
      else await this.data.getOne(this.client, this.violations, number, operationTimeoutMs);
      const tookUs = Math.max(1, Math.round((performance.now() - begunMs) * 1000));
      phase.all.record(tookUs);
      this.latest.record(tookUs);
      phase[isPut ? 'puts' : 'gets'].record(tookUs);
    } catch (error) {
      // The run is being given up.
      if (isRingraftError(error, 'CLOSED')) return;
      const code = isRingraftError(error) ? error.code : 'UNEXPECTED';
      phase.failures[code] = (phase.failures[code] ?? 0) + 1;
      if (this.reported++ < 5) this.violations.add(`a ${isPut ? 'put' : 'get'} failed: ${code}: ${messageOf(error)}`);
    }
  }

  /** For people: one row a phase, compared with the first one. */
  get table() {
    const first = this.phases[0]?.facts;
    const columns = [
      'PHASE',
      'SECONDS',
      'OPERATIONS',
      'PER SECOND',
      'P50',
      'P99',
      'TIMES',
      'MAX',
      'PUT P99',
      'GET P99',
    ];
    const rows = this.phases.map(({ facts, failed }) => [
      facts.phase,
      facts.seconds,
      facts.operations,
      facts.perSecond,
      inMs(facts.p50Ms),
      inMs(facts.p99Ms),
      (facts.p99Ms / (first?.p99Ms ?? Number.NaN)).toFixed(2),
      inMs(facts.maxMs),
      inMs(facts.putP99Ms),
      inMs(facts.getP99Ms),
      inMs(facts.ownDelayMaxMs),
      failed,
    ]);
    return { title: 'Operations in the foreground', columns: [...columns, 'OWN DELAY', 'FAILED'], rows };
  }

  get facts(): readonly object[] {
    return this.phases.map(({ facts }) => facts);
  }
}

/** How many single operations a second the cluster takes from this client at most. */
export async function mostPerSecond(client: RingraftClient, data: DataSet, violations: Violations): Promise<number> {
  const untilMs = performance.now() + probeMs;
  let operations = 0;
  const worker = async (first: number): Promise<void> => {
    for (let number = first; performance.now() < untilMs; number = (number + probeWorkers) % data.keys) {
      if (operations++ % 2 === 0 && !data.isTaken(number)) await data.putOne(client, number, operationTimeoutMs);
      else await data.getOne(client, violations, number, operationTimeoutMs);
    }
  };
  await Promise.all(Array.from({ length: Math.min(probeWorkers, data.keys) }, (_, first) => worker(first)));
  return Math.round((operations * 1000) / probeMs);
}
