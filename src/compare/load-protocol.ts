/** What the comparison and its load processes say to each other, over Node's channel between parent and child. */
import type { HistogramCounts } from './latency-histogram.js';
import type { Target } from './peer.js';
import type { Dataset, Workload } from './workload.js';

export type RunJob = {
  readonly workload: Workload;
  readonly route: string;
  /** Of this process alone. */
  readonly inFlight: number;
  readonly warmupSeconds: number;
  readonly seconds: number;
  readonly seed: number;
  /** New records are `insertFrom`, `insertFrom + insertStep`...: no two processes insert the same. */
  readonly insertFrom: number;
  readonly insertStep: number;
};

export type Order =
  | { readonly type: 'connect'; readonly target: Target }
  | { readonly type: 'load'; readonly dataset: Dataset; readonly route: string }
  | { readonly type: 'run'; readonly job: RunJob };

/** What one process did in its window. */
export type LoadCounts = {
  /** Operations, or keys where an operation has many. */
  readonly operations: number;
  readonly seconds: number;
  readonly latencies: HistogramCounts;
  /** Answers that were no success, by their code. */
  readonly errors: Readonly<Record<string, number>>;
  /** Reads of any replica that did not find what had been written. */
  readonly missed: number;
  readonly inserted: number;
  readonly cpuSeconds: number;
  /** Part of the time in which the event loop had something to do. */
  readonly busy: number;
};

export type Report =
  | { readonly type: 'connected'; readonly routes: readonly string[] }
  | { readonly type: 'window'; readonly edge: 'begins' | 'ends' }
  | { readonly type: 'progress'; readonly keys: number }
  | { readonly type: 'counted'; readonly counts: LoadCounts }
  | { readonly type: 'failed'; readonly message: string };
