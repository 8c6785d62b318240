/** What a run of bench found, for people. */
import { type Colors, table } from '../output.js';
import { counted, formatCount } from '../values.js';
import { type Change, type ComparedFigure, type Comparison, changeOf, comparedFigures } from './comparison.js';
import type { LatencyMs } from './measurements.js';
import type { BenchResult, RateResult } from './result.js';

/** Of a core: above it the client may be what limits. */
const busyClientCores = 0.9;

const ms = (value: number): string => value.toFixed(2);

export function signedPercent(percent: number | null): string {
  if (percent === null) return '-';
  const text = percent.toFixed(1);
  return `${percent > 0 && text !== '0.0' ? '+' : ''}${text === '-0.0' ? '0.0' : text} %`;
}

const latencyCells = ({ p50, p99, p999, max }: LatencyMs): readonly string[] => [p50, p99, p999, max].map(ms);

export function reportOf(result: BenchResult, colors: Colors): string {
  return [
    figuresTable(result, colors),
    ...(result.rate === undefined ? [] : [`${rateLine(result.rate)}\n`]),
    ...minutesLines(result),
    ...(result.clientCpuCores < busyClientCores ? [] : [clientLine(result.clientCpuCores)]),
    ...(result.isInterrupted ? [`interrupted: ${result.seconds.toFixed(1)} s were measured\n`] : []),
  ].join('');
}

function figuresTable(
  { setting, rate, perSecond, latencyMs, sentLatencyMs, errors }: BenchResult,
  colors: Colors,
): string {
  const pressure = rate === undefined ? 'IN FLIGHT' : 'RATE';
  const names = ['OP', pressure, 'VALUE', 'PER SECOND', ...(rate === undefined ? [] : ['FROM'])];
  const columns = [...names, 'P50 ms', 'P99 ms', 'P99.9 ms', 'MAX ms', 'ERRORS'];
  const failures = Object.entries(errors).map(([code, count]) => `${code} ${formatCount(count)}`);
  const row = [
    setting.operation ?? '',
    formatCount(Number(setting.rate ?? setting.concurrency)),
    `${setting.valueBytes} B`,
    formatCount(perSecond),
    ...(rate === undefined ? [] : ['due']),
    ...latencyCells(latencyMs),
    failures.join(' ') || '0',
  ];
  const sent = sentLatencyMs === undefined ? [] : [['', '', '', '', 'sent', ...latencyCells(sentLatencyMs), '']];
  return table(
    columns.map((name) => ({ name, right: name !== 'OP' && name !== 'FROM' })),
    [row, ...sent],
    colors,
  );
}

function rateLine({ asked, achieved, isKept, mostInFlight, mostWaiting, neverSent }: RateResult): string {
  const share = ((100 * achieved) / asked).toFixed(1);
  const kept = isKept ? 'the rate was kept' : 'the rate was not kept';
  const never = neverSent === 0 ? '' : `; ${counted(neverSent, 'operation')} due and never sent`;
  return `${kept}: ${formatCount(achieved)}/s of ${formatCount(asked)}/s (${share} %), at most ${formatCount(mostInFlight)} in flight and ${formatCount(mostWaiting)} waiting${never}`;
}

function minutesLines({ minutes }: BenchResult): readonly string[] {
  if (minutes === undefined) return [];
  const { first, last } = minutes;
  const { percent } = changeOf(first.p999, last.p999);
  return [
    `first minute p99.9 ${ms(first.p999)} ms, last minute p99.9 ${ms(last.p999)} ms (${signedPercent(percent)})\n`,
  ];
}

const clientLine = (cores: number): string =>
  `kvctl itself used ${cores.toFixed(2)} cores: it may be what limits these figures\n`;

const figureNames: Readonly<Record<ComparedFigure, string>> = {
  perSecond: 'per second',
  mean: 'mean ms',
  p50: 'p50 ms',
  p90: 'p90 ms',
  p99: 'p99 ms',
  p999: 'p99.9 ms',
  max: 'max ms',
  failed: 'failed',
  unknown: 'unknown',
};

export function comparisonTable({ figures }: Comparison, colors: Colors): string {
  const cell = (name: ComparedFigure, value: number): string =>
    figureNames[name].endsWith(' ms') ? ms(value) : formatCount(value);
  const row = (name: ComparedFigure, { earlier, now, percent }: Change): readonly string[] => [
    figureNames[name],
    cell(name, earlier),
    cell(name, now),
    signedPercent(percent),
  ];
  return table(
    ['METRIC', 'EARLIER', 'NOW', 'CHANGE'].map((name, at) => ({ name, right: at > 0 })),
    comparedFigures.map((name) => row(name, figures[name])),
    colors,
  );
}

/** Why the two runs may differ though the cluster does not; one a line. */
export function comparisonWarnings({ earlier, differences }: Comparison, isInterrupted: boolean): readonly string[] {
  const said = (value: string | number | null): string => (value === null ? 'not set' : String(value));
  return [
    ...differences.map(({ setting, ...was }) => `${setting} was ${said(was.earlier)}, now ${said(was.now)}`),
    ...(earlier.isInterrupted ? ['the earlier run was interrupted'] : []),
    ...(isInterrupted ? ['this run was interrupted'] : []),
  ];
}
