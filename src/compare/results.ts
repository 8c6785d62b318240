/** What a comparison found: repeats as they come in, and what is made of them. The shape of `-o json`. */
import { ratioOf, rounded, type Spread, spreadOf } from './figures.js';
import type { Measured } from './loaders.js';
import type { Machine } from './machine.js';
import type { PeerName } from './peer.js';
import type { Workload } from './workload.js';

export type SystemFacts = {
  readonly name: PeerName;
  readonly title: string;
  readonly version: string;
  readonly deployment: string;
  readonly client: string;
};

export type Meta = {
  readonly command: string;
  readonly date: string;
  readonly machine: Machine;
  readonly systems: readonly SystemFacts[];
  readonly repeats: number;
  readonly seconds: number;
  /** Of Ringraft, where the workload does not say otherwise. */
  readonly shards: number;
  /** Systems that were left out, and why. */
  readonly skipped: readonly string[];
};

export type Repeat = Measured & {
  /** Resident memory of each server process when it was done, in megabytes. */
  readonly residentMb: Readonly<Record<string, number>>;
};

/** Medians of the repeats; `range` of throughput, p50 and p99 is what they lie between. */
export type SystemResult = {
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly range: Readonly<Record<'perSecond' | 'p50Ms' | 'p99Ms', readonly [min: number, max: number]>>;
  /** Cores in use: by the load processes, by all servers. */
  readonly clientCores: number;
  readonly serverCores: number;
  /** CPU time of all servers for one operation. */
  readonly serverMicrosPerOperation: number;
  /** Of the busiest load process: the part of the time in which it had something to do. Near 1: it may be what is measured. */
  readonly clientBusy: number;
  readonly residentMb: number;
  readonly errors: number;
  readonly missed: number;
  readonly remark?: string;
  readonly repeats: readonly Repeat[];
};

/** Ringraft's figure divided by the other system's. */
export type Ratio = { readonly throughput?: number; readonly p50?: number; readonly p99?: number };

export type WorkloadResult = {
  readonly workload: string;
  readonly family: string;
  readonly describe: string;
  readonly results: Readonly<Partial<Record<PeerName, SystemResult>>>;
  readonly ratios: Readonly<Partial<Record<PeerName, Ratio>>>;
  /** Of systems without a result, or with something to be said about it. */
  readonly notes: readonly string[];
};

export type Comparison = { readonly meta: Meta; readonly workloads: readonly WorkloadResult[] };

/** Everything measured so far; complete at any moment, so that a run that is stopped has its results. */
export class ResultBook {
  private readonly repeats = new Map<string, Repeat[]>();
  private readonly remarks = new Map<string, string>();
  private readonly notes = new Map<string, Set<string>>();

  add(workload: string, peer: PeerName, repeat: Repeat, remark: string | undefined): void {
    const key = `${workload} ${peer}`;
    const known = this.repeats.get(key) ?? [];
    known.push(repeat);
    this.repeats.set(key, known);
    if (remark !== undefined) this.remarks.set(key, remark);
  }

  note(workload: string, text: string): void {
    this.notes.set(workload, (this.notes.get(workload) ?? new Set()).add(text));
  }

  comparison(meta: Meta, workloads: readonly Workload[]): Comparison {
    const names = meta.systems.map(({ name }) => name);
    const all = workloads.map(({ name, family, describe }): WorkloadResult => {
      const results = Object.fromEntries(names.flatMap((peer) => this.resultOf(name, peer)));
      return {
        workload: name,
        family,
        describe,
        results,
        ratios: ratiosOf(results),
        notes: [...(this.notes.get(name) ?? [])],
      };
    });
    return { meta, workloads: all.filter(({ results, notes }) => Object.keys(results).length > 0 || notes.length > 0) };
  }

  private resultOf(workload: string, peer: PeerName): readonly [PeerName, SystemResult][] {
    const key = `${workload} ${peer}`;
    const repeats = this.repeats.get(key);
    if (repeats === undefined) return [];
    return [[peer, systemResult(repeats, this.remarks.get(key))]];
  }
}

export function systemResult(repeats: readonly Repeat[], remark: string | undefined): SystemResult {
  const spread = (value: (repeat: Repeat) => number): Spread => spreadOf(repeats.map(value));
  const median = (value: (repeat: Repeat) => number): number => rounded(spread(value).median);
  const range = ({ min, max }: Spread): readonly [number, number] => [rounded(min), rounded(max)];
  const [perSecond, p50, p99] = [
    spread((one) => one.perSecond),
    spread((one) => one.p50Ms),
    spread((one) => one.p99Ms),
  ];
  const total = (counts: Readonly<Record<string, number>>): number => Object.values(counts).reduce((a, b) => a + b, 0);
  return {
    perSecond: rounded(perSecond.median),
    p50Ms: rounded(p50.median),
    p99Ms: rounded(p99.median),
    range: { perSecond: range(perSecond), p50Ms: range(p50), p99Ms: range(p99) },
    clientCores: median((one) => one.clientCores),
    serverCores: median((one) => one.serverCores),
    serverMicrosPerOperation: median((one) => (one.perSecond === 0 ? 0 : (one.serverCores * 1e6) / one.perSecond)),
    clientBusy: median((one) => one.clientBusy),
    residentMb: median((one) => total(one.residentMb)),
    errors: repeats.reduce((sum, { errors }) => sum + total(errors), 0),
    missed: repeats.reduce((sum, { missed }) => sum + missed, 0),
    ...(remark === undefined ? {} : { remark }),
    repeats,
  };
}

export function ratiosOf(results: WorkloadResult['results']): WorkloadResult['ratios'] {
  const own = results.ringraft;
  if (own === undefined) return {};
  const others = Object.entries(results).filter(([name]) => name !== 'ringraft') as [PeerName, SystemResult][];
  return Object.fromEntries(others.map(([name, other]) => [name, ratio(own, other)]));
}

function ratio(own: SystemResult, other: SystemResult): Ratio {
  const [throughput, p50, p99] = (['perSecond', 'p50Ms', 'p99Ms'] as const).map((figure) =>
    ratioOf(own[figure], other[figure]),
  );
  return {
    ...(throughput === undefined ? {} : { throughput: rounded(throughput) }),
    ...(p50 === undefined ? {} : { p50: rounded(p50) }),
    ...(p99 === undefined ? {} : { p99: rounded(p99) }),
  };
}
