/** The figures as pictures: a panel for each kind of workload, a bar for each system, logarithmic. */
import type { PeerName } from './peer.js';
import type { Comparison, SystemResult, WorkloadResult } from './results.js';

const width = 960;
const panelHeight = 250;
const panelStep = 350;
const top = 90;
const barWidth = 44;

const colors: Readonly<Record<PeerName, string>> = {
  ringraft: '#2f6fb2',
  etcd: '#d9822b',
  jetstream: '#3a9a6a',
  'jetstream-sync': '#7a62b8',
};

export type Figure = 'throughput' | 'latency';

type Panel = {
  readonly title: string;
  readonly workloads: readonly WorkloadResult[];
  readonly nameOf: (name: string) => string;
};

const behindAt = (name: string): string => name.replace(/^[^@]*@/, '');
const panels: readonly { readonly title: string; readonly holds: RegExp; readonly nameOf: (name: string) => string }[] =
  [
    { title: 'put, 256 B, by operations in flight', holds: /^put@\d+$/, nameOf: behindAt },
    {
      title: 'linearizable get, 256 B, by operations in flight (JetStream: direct get, may be stale)',
      holds: /^get@\d+$/,
      nameOf: behindAt,
    },
    { title: 'get from any replica, 256 B, by operations in flight', holds: /^stale-get@\d+$/, nameOf: behindAt },
    {
      title: 'by size of values, 256 in flight',
      holds: /^[a-z-]+@256\/\w+$/,
      nameOf: (name) => name.replace('@256/', '\n'),
    },
    {
      title: 'YCSB, records of 1 kB, 256 in flight; batches of 100, keys a second',
      holds: /^(ycsb-|batch-)/,
      nameOf: (name) => name.replace('@', '\n'),
    },
    {
      title: 'Ringraft by number of shards, 256 in flight',
      holds: /^shards-/,
      nameOf: (name) => name.replace('shards-', '').replace('/', '\n'),
    },
    {
      title: 'loading many keys of 256 B, and reading them',
      holds: /^keys\//,
      nameOf: (name) => name.replace('keys/', ''),
    },
  ];

const panelsOf = (workloads: readonly WorkloadResult[]): readonly Panel[] =>
  panels
    .map(({ holds, ...panel }) => ({ ...panel, workloads: workloads.filter(({ workload }) => holds.test(workload)) }))
    .filter((panel) => panel.workloads.length > 0);

const short = (value: number): string => {
  if (value >= 1e6) return `${(value / 1e6).toPrecision(2)}M`;
  if (value >= 1000) return `${value >= 99_500 ? (value / 1000).toFixed(0) : Number((value / 1000).toPrecision(2))}k`;
  return value >= 100 ? value.toFixed(0) : String(Number(value.toPrecision(2)));
};

const readerOf = (figure: Figure): ((result: SystemResult) => number) =>
  figure === 'throughput' ? ({ perSecond }) => perSecond : ({ p99Ms }) => p99Ms;

/** Power of ten below the least value: where the axis begins. */
function floorOf(values: readonly number[]): number {
  const least = Math.min(...values.filter((value) => value > 0));
  return Number.isFinite(least) ? 10 ** Math.floor(Math.log10(least) - 0.15) : 1;
}

/** An SVG document; undefined: there is nothing to draw. */
export async function drawChart({ meta, workloads }: Comparison, figure: Figure): Promise<string | undefined> {
  const shown = panelsOf(workloads);
  if (shown.length === 0) return undefined;
  const echarts = await import('echarts');
  const height = top + shown.length * panelStep;
  const valueIn = readerOf(figure);
  const systems = meta.systems.filter(({ name }) => workloads.some(({ results }) => results[name] !== undefined));
  const gridTop = (at: number): number => top + 40 + at * panelStep;
  const series = shown.flatMap((panel, at) =>
    systems.map(({ name, title }) => ({
      name: title,
      type: 'bar',
      xAxisIndex: at,
      yAxisIndex: at,
      barMaxWidth: barWidth,
      barGap: '12%',
      itemStyle: { color: colors[name] },
      label: { show: true, position: 'top', fontSize: 10, formatter: ({ value }: { value: number }) => short(value) },
      data: panel.workloads.map(({ results }) => {
        const result = results[name];
        return result === undefined ? '-' : valueIn(result);
      }),
    })),
  );
  const chart = echarts.init(null, null, { renderer: 'svg', ssr: true, width, height });
  const what = figure === 'throughput' ? 'Operations a second (more is better)' : 'p99 of latency, ms (less is better)';
  chart.setOption({
    animation: false,
    backgroundColor: '#ffffff',
    title: [
      { text: what, left: 56, top: 16, textStyle: { fontSize: 18 } },
      ...shown.map(({ title }, at) => ({ text: title, left: 56, top: gridTop(at) - 40, textStyle: { fontSize: 13 } })),
    ],
    legend: { top: 48, left: 52, itemGap: 28, data: systems.map(({ title }) => title), textStyle: { fontSize: 12 } },
    grid: shown.map((_, at) => ({ top: gridTop(at), left: 64, right: 32, height: panelHeight })),
    xAxis: shown.map((panel, at) => ({
      type: 'category',
      gridIndex: at,
      data: panel.workloads.map(({ workload }) => panel.nameOf(workload)),
      axisLabel: { fontSize: 11, interval: 0, lineHeight: 14 },
    })),
    yAxis: shown.map((panel, at) => ({
      type: 'log',
      gridIndex: at,
      min: floorOf(panel.workloads.flatMap(({ results }) => Object.values(results).map(valueIn))),
      axisLabel: { fontSize: 11, formatter: short },
    })),
    series,
  } as unknown as Parameters<typeof chart.setOption>[0]);
  const svg = chart.renderToSVGString();
  chart.dispose();
  return `${svg}\n`;
}
