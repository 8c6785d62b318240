/** A comparison as tables for a terminal. */
import { type Colors, formatCount, table } from '../cli/index.js';
import type { Comparison, SystemResult, WorkloadResult } from './results.js';
import { busyLimit } from './setting.js';

const columns = [
  'WORKLOAD',
  'SYSTEM',
  'PER SECOND',
  'MIN-MAX',
  'P50 ms',
  'P99 ms',
  'RINGRAFT IS',
  'CLIENT',
  'SERVERS',
  'us/OP',
  'ERRORS',
];

export const shownMs = (value: number): string =>
  value >= 100 ? value.toFixed(0) : value.toFixed(value >= 10 ? 1 : 2);
export const shownTimes = (value: number | undefined): string =>
  value === undefined ? '-' : `${value >= 10 ? value.toFixed(0) : value.toFixed(value >= 1 ? 1 : 2)}x`;

export function tablesOf({ meta, workloads }: Comparison, colors: Colors): string {
  const titles = new Map(meta.systems.map(({ name, title }) => [name, title]));
  const rows = workloads.flatMap((one) =>
    meta.systems.flatMap(({ name }) => {
      const result = one.results[name];
      return result === undefined ? [] : [rowOf(one, titles.get(name) ?? name, result, one.ratios[name]?.throughput)];
    }),
  );
  const heads = columns.map((name, at) => ({ name, right: at > 1 }));
  const systems = meta.systems.map(
    ({ title, version, deployment, client }) => `${title} ${version}: ${deployment}; client: ${client}`,
  );
  const { processor, cores, memoryGb, system, disk, node } = meta.machine;
  return [
    table(heads, withoutRepeatedNames(rows), colors),
    `${meta.command}, ${meta.date}; ${meta.repeats} interleaved, ${meta.seconds} s each; Ringraft with ${meta.shards} shards`,
    `${processor}, ${cores} cores, ${memoryGb} GB, ${system}, ${disk}, Node ${node}`,
    ...systems,
    ...meta.skipped.map((text) => `left out: ${text}`),
    'CLIENT and SERVERS are cores in use; us/OP is CPU time of all servers for one operation',
    ...notesOf(workloads).map((text) => `note: ${text}`),
    '',
  ].join('\n');
}

function rowOf(
  { workload }: WorkloadResult,
  title: string,
  result: SystemResult,
  ratio: number | undefined,
): readonly string[] {
  const { perSecond, p50Ms, p99Ms, range, clientCores, serverCores, serverMicrosPerOperation, errors, missed } = result;
  const [min, max] = range.perSecond;
  const isOne = result.repeats.length === 1;
  return [
    workload,
    title,
    formatCount(perSecond),
    isOne ? '-' : `${formatCount(min)}-${formatCount(max)}`,
    shownMs(p50Ms),
    shownMs(p99Ms),
    shownTimes(ratio),
    clientCores.toFixed(2),
    serverCores.toFixed(2),
    serverMicrosPerOperation.toFixed(0),
    missed > 0 ? `${errors}, ${missed} missed` : String(errors),
  ];
}

const withoutRepeatedNames = (rows: readonly (readonly string[])[]): readonly (readonly string[])[] =>
  rows.map((row, at) => (rows[at - 1]?.[0] === row[0] ? ['', ...row.slice(1)] : row));

const clientBoundWords =
  'its load processes always had something to do, and used much of the CPU: they may be part of what was measured';

/** Where servers take nearly all of the CPU, clients always have something to do because they have to wait for it. */
const isClientBound = ({ clientBusy, clientCores, serverCores }: SystemResult): boolean =>
  clientBusy > busyLimit && clientCores > serverCores / 2;

/** The same thing of several workloads is said once. */
export function notesOf(workloads: readonly WorkloadResult[]): readonly string[] {
  const byText = new Map<string, string[]>();
  const add = (text: string, workload: string): void => {
    byText.set(text, [...(byText.get(text) ?? []), workload]);
  };
  for (const { workload, notes, results } of workloads) {
    for (const text of notes) add(text, workload);
    for (const [name, result] of Object.entries(results)) {
      const { remark, errors, missed, repeats } = result;
      if (remark !== undefined) add(`${name}: ${remark}`, workload);
      if (isClientBound(result)) add(`${name}: ${clientBoundWords}`, workload);
      const codes = [...new Set(repeats.flatMap((repeat) => Object.keys(repeat.errors)))];
      if (errors > 0) add(`${name}: errors were ${codes.join(', ')}`, workload);
      if (missed > 0) add(`${name}: reads did not find what had been written`, workload);
    }
  }
  return [...byText].map(([text, names]) => `${text} (${names.join(', ')})`);
}
