/** What a run came to: one object for programs, one page for people. */
import { type Column, colorsFor, table } from '../cli/index.js';
import { probeKinds, type Share, type Side, sides, type WindowFigures } from './availability.js';
import type { Violation, WorkloadName } from './operation.js';
import { type KindFigures, type Spread, unavailabilityByKind, type Vacuous, vacuousWindows } from './unavailability.js';
import { count } from './words.js';
import type { WorkloadReport } from './workload.js';

export type ChaosResult = {
  readonly violations: number;
  /** How many there were of each kind. */
  readonly faults: Readonly<Record<string, number>>;
  readonly operations: { readonly ok: number; readonly failed: number; readonly unknown: number };
  readonly unavailability: Readonly<Record<string, KindFigures>>;
  readonly seed: number;
  readonly durationMs: number;
  readonly vacuous: readonly Vacuous[];
  /** What was not answered in time with all faults healed; it was not verified. */
  readonly unanswered: readonly string[];
  readonly workloads: readonly WorkloadReport[];
  /** Workloads of which nothing was judged. */
  readonly idle: readonly WorkloadName[];
  /** The first of them, with the pictures of each. */
  readonly found: readonly { readonly workload: string; readonly what: string; readonly page?: string }[];
  /** No violation, and nothing vacuous, unanswered, idle or undecided: what was done was verified. */
  readonly passed: boolean;
};

export type ResultParts = {
  readonly seed: number;
  readonly durationMs: number;
  readonly operations: ChaosResult['operations'];
  readonly violationCount: number;
  readonly found: readonly { readonly violation: Violation; readonly page?: string }[];
  readonly windows: readonly WindowFigures[];
  readonly workloads: readonly WorkloadReport[];
  /** Operations that have to be answered within a window of this kind. */
  readonly leastOk: (kind: string) => number;
};

export function resultOf(parts: ResultParts): ChaosResult {
  const { seed, durationMs, operations, windows, workloads, violationCount } = parts;
  const faults: Record<string, number> = {};
  for (const { fault } of windows) faults[fault.kind] = (faults[fault.kind] ?? 0) + 1;
  const vacuous = vacuousWindows(windows, parts.leastOk);
  const unanswered = workloads.flatMap((each) => each.unanswered);
  const idle = workloads.filter(({ ok, keysJudged }) => ok === 0 || keysJudged === 0).map(({ workload }) => workload);
  const isDecided = workloads.every(({ undecided }) => undecided === 0);
  const isVerified = vacuous.length === 0 && unanswered.length === 0 && idle.length === 0 && isDecided;
  return {
    violations: violationCount,
    faults,
    operations: { ...operations },
    unavailability: unavailabilityByKind(windows),
    seed,
    durationMs: Math.round(durationMs),
    vacuous,
    unanswered,
    workloads,
    idle,
    found: parts.found.map(({ violation: { workload, what }, page }) => ({
      workload,
      what,
      ...(page === undefined ? {} : { page }),
    })),
    passed: violationCount === 0 && isVerified,
  };
}

/** The four fields that close a run, in one line. */
export const closingLine = ({ violations, faults, operations, unavailability }: ChaosResult): string =>
  JSON.stringify({ violations, faults, operations, unavailability });

const plain = colorsFor({}, {});
const right = (name: string): Column => ({ name, right: true });

/** For people; no colours unless they are given. */
export function summaryOf(result: ChaosResult, colors = plain): string {
  const { operations, violations, durationMs, seed } = result;
  const all = operations.ok + operations.failed + operations.unknown;
  const verdict = result.passed ? colors.green('passed') : colors.red('FAILED');
  const head =
    `Chaos ${verdict}: ${count(violations, 'violation')}, ${count(all, 'operation')} in ${Math.round(durationMs / 1000)} s ` +
    `(${operations.ok} ok, ${operations.failed} failed, ${operations.unknown} unknown), seed ${seed}.\n`;
  const parts = [
    head,
    workloadTable(result.workloads, colors),
    timesTable(result.unavailability, colors),
    sharesTable(result.unavailability, colors),
    troubles(result),
  ];
  return parts.filter((part) => part !== '').join('\n');
}

function workloadTable(workloads: readonly WorkloadReport[], colors: typeof plain): string {
  const columns = [
    { name: 'workload' },
    ...['ok', 'failed', 'unknown', 'keys judged', 'operations judged', 'read again', 'undecided'].map(right),
  ];
  const rows = workloads.map((each) => [
    each.workload,
    each.ok,
    each.failed,
    each.unknown,
    each.keysJudged,
    each.operationsJudged,
    each.keysReadAgain,
    each.undecided,
  ]);
  return table(columns, rows, colors);
}

const spreadText = (spread: Spread | null): string =>
  spread === null ? '-' : `${spread.median} / ${spread.p99} / ${spread.max}`;

function timesTable(kinds: Readonly<Record<string, KindFigures>>, colors: typeof plain): string {
  if (Object.keys(kinds).length === 0) return '';
  const columns = [
    { name: 'fault' },
    ...['times', 'until writes go on', 'after the end', 'every host', 'no write to a shard', 'to any', 'ok'].map(right),
  ];
  const rows = Object.entries(kinds).map(([kind, each]) => [
    kind,
    each.windows,
    `${spreadText(each.failOverMs)}${each.notFailedOver > 0 ? ` (${each.notFailedOver} not)` : ''}`,
    `${spreadText(each.recoveryMs)}${each.notRecovered > 0 ? ` (${each.notRecovered} not)` : ''}`,
    spreadText(each.hostsRecoveryMs),
    spreadText(each.longestShardMs),
    spreadText(each.longestMs),
    each.okOperations,
  ]);
  return `Milliseconds, median / p99 / longest:\n${table(columns, rows, colors)}`;
}

const shareText = (share: Share | undefined): string =>
  share === undefined ? '-' : `${((100 * share.ok) / share.all).toFixed(1)} %`;

function sharesTable(kinds: Readonly<Record<string, KindFigures>>, colors: typeof plain): string {
  const columns = [{ name: 'fault' }, { name: 'side' }, ...probeKinds.map(right)];
  const rows = Object.entries(kinds).flatMap(([kind, { shares }]) =>
    sides
      .filter((side: Side) => probeKinds.some((probe) => shares[probe]?.[side] !== undefined))
      .map((side) => [kind, side, ...probeKinds.map((probe) => shareText(shares[probe]?.[side]))]),
  );
  return rows.length === 0 ? '' : `Probes answered meanwhile:\n${table(columns, rows, colors)}`;
}

const mostShown = 10;

function troubles({ found, violations, vacuous, unanswered, idle }: ChaosResult): string {
  const shown = Math.min(mostShown, found.length);
  const lines = [
    ...found
      .slice(0, shown)
      .map(({ workload, what, page }) => `VIOLATION ${workload}: ${what}${page ? `\n  ${page}` : ''}`),
    ...(violations > shown ? [`... and ${violations - shown} more violations`] : []),
    ...vacuous.map(
      ({ kind, description, ok, least }) => `VACUOUS ${kind} (${description}): ${ok} answers, at least ${least} wanted`,
    ),
    ...idle.map((workload) => `IDLE ${workload}: nothing was judged`),
    ...unanswered.slice(0, mostShown).map((what) => `UNANSWERED ${what}`),
    ...(unanswered.length > mostShown ? [`... and ${unanswered.length - mostShown} more unanswered`] : []),
  ];
  return lines.length === 0 ? '' : `${lines.join('\n')}\n`;
}
