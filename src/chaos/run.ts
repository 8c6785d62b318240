/**
 * One run: clients on every host, the workloads between them, the record of it all, and what it comes to. Whoever injects
 * faults tells when each begins and ends; the run knows nothing else of them.
 *
 * Order: `start`, faults, heal, `stop`, `finish`.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { assert, type Clock, pause, type Random, seededRandom } from '../base/index.js';
import type { RingraftClient } from '../client/index.js';
import { initHash } from '../ring/index.js';
import { Availability, type FaultFacts } from './availability.js';
import { Caller } from './caller.js';
import type { Operation, Violation, WorkloadName } from './operation.js';
import { workloadNames } from './operation.js';
import { Recorder } from './recorder.js';
import { type ChaosResult, resultOf, summaryOf } from './report.js';
import { RotatingWorkload } from './rotation.js';
import { Shards } from './shards.js';
import { Violations } from './violation-files.js';
import type { Ground, Workload } from './workload.js';
import {
  Banks,
  Counters,
  Lists,
  type ProbeRates,
  Probes,
  Registers,
  Retries,
  Sessions,
  Sets,
} from './workloads/index.js';

/** Rounds a second of each worker (one for every client). A round of a bank is two operations, of a retry three to six. */
export type Rates = Readonly<Record<Exclude<WorkloadName, 'probe'>, number>> & { readonly probe: ProbeRates };

export const defaultRates: Rates = {
  register: 30,
  counter: 8,
  retry: 3,
  set: 8,
  bank: 6,
  list: 8,
  session: 15,
  probe: { writesPerSecond: 3, readsPerSecond: 4 },
};

export type ChaosOptions = {
  readonly clock: Clock;
  readonly random: Random;
  /** Only told in the result: `random` was made of it. */
  readonly seed: number;
  /** Made if need be; gets history.ndjson, result.json, summary.txt, and violations/ where there are any. */
  readonly directory: string;
  readonly hosts: readonly string[];
  /** A client whose connection is to the broker of that host alone. The run closes it. */
  readonly connect: (host: string) => Promise<RingraftClient>;
  readonly clientsPerHost?: number;
  readonly bucket?: string;
  readonly workloads?: readonly WorkloadName[];
  readonly rates?: Partial<Rates>;
  /** Of an operation. */
  readonly timeoutMs?: number;
  readonly probeTimeoutMs?: number;
  /** After `stop`: how long what is open is asked for again. */
  readonly patienceMs?: number;
  /** Answers there have to be within one fault of this kind, or it proved nothing. */
  readonly leastOk?: (kind: string) => number;
  readonly onViolation?: (violation: Violation) => void;
};

/** A fault in force. */
export type FaultWindow = { seen(): void; ends(): void /** There was no fault. */; drop(): void };

export type Progress = {
  readonly elapsedMs: number;
  readonly ok: number;
  readonly failed: number;
  readonly unknown: number;
  readonly violations: number;
  readonly faults: number;
};

const servedTimeoutMs = 1000;
const servedPauseMs = 20;
const defaults = { bucket: 'default', clientsPerHost: 1, timeoutMs: 1000, probeTimeoutMs: 500, patienceMs: 60_000 };

/** What there is from `start` on. */
type Running = {
  readonly startedMs: number;
  readonly callers: readonly Caller[];
  readonly workloads: readonly Workload[];
  readonly availability: Availability;
  readonly shards: Shards;
};

export class ChaosRun {
  private readonly recorder: Recorder;
  private readonly violations: Violations;
  private readonly options: ChaosOptions & typeof defaults;
  private readonly openFaults = new Set<FaultWindow>();
  private running: Running | undefined;
  private stoppedMs: number | undefined;

  constructor(options: ChaosOptions) {
    this.options = { ...defaults, ...options };
    mkdirSync(options.directory, { recursive: true });
    this.recorder = new Recorder(join(options.directory, 'history.ndjson'));
    this.violations = new Violations((violation) => {
      this.recorder.violation(violation);
      options.onViolation?.(violation);
    });
  }

  /** Connects everywhere and sets the workloads going. */
  async start(): Promise<void> {
    assert(this.running === undefined, 'a run starts once');
    await initHash();
    const { clock, hosts, connect, clientsPerHost, bucket, seed } = this.options;
    const places = hosts.flatMap((host) => Array.from({ length: clientsPerHost }, (_, at) => ({ host, at })));
    const clients = await Promise.all(places.map(({ host }) => connect(host)));
    const runName = `${clock.wallMs().toString(36)}${(seed >>> 0).toString(36)}`;
    const { map } = await (clients[0] as RingraftClient).map();
    const shards = new Shards(map, runName);
    const startedMs = clock.nowMs();
    const availability = new Availability(shards.ids, hosts);
    const record = (operation: Operation): void => {
      this.recorder.operation(operation);
      availability.add(operation);
    };
    const report = (violation: Violation): void => this.violations.add(violation);
    const parts = { clock, bucket, startedMs, shardOf: (key: string) => shards.of(key), record, report };
    const callers = clients.map((client, at) => {
      const place = places[at] as (typeof places)[number];
      const name = clientsPerHost === 1 ? place.host : `${place.host}-${String.fromCharCode(97 + place.at)}`;
      return new Caller(name, place.host, client, parts);
    });
    const workloads = this.workloadsOn(this.groundOf(callers, shards, runName, report));
    this.running = { startedMs, callers, workloads, availability, shards };
    this.recorder.line({ run: runName, seed, hosts, wallMs: clock.wallMs(), shards: shards.ids });
    for (const workload of workloads) workload.start();
  }

  private groundOf(
    callers: readonly Caller[],
    shards: Shards,
    runName: string,
    report: (violation: Violation) => void,
  ): Ground {
    const { clock, random, timeoutMs, patienceMs } = this.options;
    const newRandom = (): Random => seededRandom(random.nextU32());
    const ready = (): Promise<void> => this.recorder.ready();
    return { clock, callers, shards, runName, timeoutMs, patienceMs, newRandom, ready, report };
  }

  private workloadsOn(ground: Ground): readonly Workload[] {
    const { workloads = workloadNames, probeTimeoutMs } = this.options;
    const rates = { ...defaultRates, ...this.options.rates };
    const { shards, runName, callers } = ground;
    const makers: Readonly<Record<WorkloadName, () => Workload>> = {
      register: () => new RotatingWorkload(new Registers(shards, rates.register), ground),
      counter: () => new RotatingWorkload(new Counters(shards, runName, rates.counter), ground),
      retry: () => new RotatingWorkload(new Retries(shards, runName, rates.retry), ground),
      set: () => new RotatingWorkload(new Sets(shards, rates.set), ground),
      bank: () => new RotatingWorkload(new Banks(shards, rates.bank), ground),
      list: () => new RotatingWorkload(new Lists(shards, runName, rates.list), ground),
      session: () => new RotatingWorkload(new Sessions(shards, callers.length, rates.session), ground),
      probe: () => new Probes(ground, rates.probe, probeTimeoutMs),
    };
    return workloads.map((name) => makers[name]());
  }

  /** Call it when the fault begins to be injected; `ends` when it has been removed altogether. */
  faultBegins(facts: FaultFacts): FaultWindow {
    const { availability } = this.started();
    const open = availability.begin(facts, this.nowMs());
    const window = {
      seen: () => open.seen(this.nowMs()),
      drop: () => {
        if (this.openFaults.delete(window)) open.drop();
      },
      ends: () => {
        if (this.openFaults.delete(window)) this.recorder.fault(open.end(this.nowMs()));
      },
    };
    this.openFaults.add(window);
    return window;
  }

  progress(): Progress {
    const { totals } = this.recorder;
    const faults = this.running?.availability.faults.length ?? 0;
    return {
      elapsedMs: this.running === undefined ? 0 : this.nowMs(),
      ...totals,
      violations: this.violations.count,
      faults,
    };
  }

  /** A key in every shard of which the node holds a replica that does not lead: what is written there is sent to it. */
  async keysFollowedBy(node: string): Promise<readonly string[]> {
    const { callers, shards } = this.started();
    const { map, leaders } = await (callers[0] as Caller).client.map();
    const followed = map.shards.flatMap(({ replicas }, at) =>
      leaders[at] !== node && replicas.some(({ nodeId }) => nodeId === node) ? [at] : [],
    );
    return followed.map((at) => shards.key('ballast/', at));
  }

  /**
   * Resolves when every client has had a write to every shard acknowledged; with what is missing when the time is up. Its
   * writes are no part of the record.
   */
  async untilServed(timeoutMs: number, signal?: AbortSignal): Promise<string | undefined> {
    const { callers, shards } = this.started();
    const { clock, bucket } = this.options;
    const deadlineMs = clock.nowMs() + timeoutMs;
    const missing = await Promise.all(
      callers.map(async ({ client, name }) => {
        let left = shards.ids.map((_, at) => shards.key(`served/${name}/`, at));
        while (left.length > 0 && clock.nowMs() < deadlineMs && signal?.aborted !== true) {
          const settled = await Promise.allSettled(
            left.map((key) => client.put(bucket, key, Buffer.from(name), { timeoutMs: servedTimeoutMs })),
          );
          left = left.filter((_, at) => settled[at]?.status === 'rejected');
          if (left.length > 0) await pause(clock, servedPauseMs);
        }
        return left.map((key) => `${name} is not served by shard ${shards.of(key)}`);
      }),
    );
    return missing.flat().length === 0 || signal?.aborted === true ? undefined : missing.flat().slice(0, 3).join(', ');
  }

  /** Ends the work, once the faults are healed; what has to be answered is asked for until it is, or patience ends. */
  async stop(): Promise<void> {
    await Promise.all(this.started().workloads.map((workload) => workload.stop()));
    this.stoppedMs = this.nowMs();
  }

  /** Reads everything back, judges, writes the files, closes the clients. */
  async finish(): Promise<ChaosResult> {
    const { callers, workloads, availability } = this.started();
    assert(this.stoppedMs !== undefined, 'a run is stopped before it is finished');
    const reports = [];
    // One after the other: reading back is the only load now.
    for (const workload of workloads) reports.push(await workload.finish(callers));
    for (const window of [...this.openFaults]) window.ends();
    await Promise.all(callers.map(({ client }) => client.close().catch(() => {})));
    const { directory, seed, leastOk = () => 1 } = this.options;
    const pages = this.violations.write(directory, availability.faults);
    const result = resultOf({
      seed,
      durationMs: this.stoppedMs,
      operations: this.recorder.totals,
      violationCount: this.violations.count,
      found: this.violations.kept.map((violation, at) => ({ violation, page: pages[at] as string })),
      windows: availability.figures(),
      workloads: reports,
      leastOk,
    });
    await this.recorder.close();
    writeFileSync(join(directory, 'result.json'), `${JSON.stringify(result, null, 2)}\n`);
    writeFileSync(join(directory, 'summary.txt'), summaryOf(result));
    return result;
  }

  private nowMs(): number {
    return Math.round((this.options.clock.nowMs() - this.started().startedMs) * 1000) / 1000;
  }

  private started(): Running {
    assert(this.running !== undefined, 'the run was started');
    return this.running;
  }
}
