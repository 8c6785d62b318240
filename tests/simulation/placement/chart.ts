/** The figures as a picture: movement against the ideal, spread against size, planning time against size. */
import * as echarts from 'echarts';
import type { StepName } from './sequence.js';
import { type CaseResult, type Row, ratioOf } from './summary.js';

const width = 960;
const height = 1320;
const panels = [90, 520, 950] as const;
const panelHeight = 270;
const colors = ['#2f6fb2', '#d9822b', '#3a9a6a', '#b5477a', '#7a62b8', '#6b7280'] as const;

type Point = readonly [number, number];
type Series = Readonly<Record<string, unknown>>;

const movingSteps: readonly StepName[] = [
  'node joins',
  'node leaves',
  'zone leaves',
  'weights change',
  'random join',
  'random leave',
];
const timedSteps: readonly StepName[] = [
  'founding',
  'from nothing',
  'node joins',
  'node leaves',
  'zone leaves',
  'weights change',
];

/** For each number of zones of the largest clusters: the worst ratio of each step, `-` where there is none. */
function movementSeries(results: readonly CaseResult[], nodes: number): readonly Series[] {
  const largest = results.filter(({ given }) => given.nodes === nodes);
  const zones = [...new Set(largest.map(({ given }) => given.zones))];
  return zones.map((count, at) => {
    const own = largest.filter(({ given }) => given.zones === count).flatMap(({ steps }) => steps);
    const data = movingSteps.map((step) => {
      const ratios = own.filter(({ name }) => name === step).map((each) => ratioOf(each) ?? 0);
      return ratios.length === 0 ? '-' : Math.max(...ratios);
    });
    const label = {
      show: true,
      position: 'top',
      fontSize: 10,
      formatter: ({ value }: { value: unknown }) => (value === '-' ? '' : Number(value).toFixed(2)),
    };
    const name = `${count} ${count === 1 ? 'zone' : 'zones'}`;
    return { name, type: 'bar', data, label, itemStyle: { color: colors[at] }, barGap: '15%' };
  });
}

const lineOf = (name: string, at: number, panel: number, points: readonly Point[], dashed = false): Series => ({
  name,
  type: 'line',
  data: points,
  xAxisIndex: panel,
  yAxisIndex: panel,
  symbolSize: 7,
  itemStyle: { color: colors[at % colors.length] },
  lineStyle: { width: 2, type: dashed ? 'dashed' : 'solid' },
});

/** Loads of the fullest and the emptiest node: as founded, and the worst of all plans after. */
function spreadSeries(rows: readonly Row[]): readonly Series[] {
  const sizes = [...new Set(rows.map(({ nodes }) => nodes))];
  const over = (isFounding: boolean, value: (own: readonly Row[]) => number): readonly Point[] =>
    sizes.map((nodes) => [
      nodes,
      value(rows.filter((row) => row.nodes === nodes && (row.step === 'founding') === isFounding)),
    ]);
  const highest = (own: readonly Row[]): number => Math.max(...own.map((row) => row.highest));
  const lowest = (own: readonly Row[]): number => Math.min(...own.map((row) => row.lowest));
  return [
    lineOf('fullest, as founded', 1, 1, over(true, highest), true),
    lineOf('emptiest, as founded', 0, 1, over(true, lowest), true),
    lineOf('fullest, planned', 1, 1, over(false, highest)),
    lineOf('emptiest, planned', 0, 1, over(false, lowest)),
  ];
}

const timeSeries = (rows: readonly Row[]): readonly Series[] => [
  ...timedSteps.map((step, at) => {
    const own = rows.filter((row) => row.step === step);
    return lineOf(
      step,
      at,
      2,
      own.map(({ nodes, planMs }) => [nodes, Math.max(1, planMs)] as const),
    );
  }),
  lineOf(
    'leaders, from nothing',
    5,
    2,
    rows.filter(({ step }) => step === 'from nothing').map(({ nodes, leadersMs }) => [nodes, Math.max(1, leadersMs)]),
    true,
  ),
];

const legendAt = (panel: number, series: readonly Series[]): object => ({
  top: (panels[panel] as number) - 40,
  left: 60,
  data: series.map(({ name }) => name),
  textStyle: { fontSize: 12 },
  itemWidth: 18,
  itemGap: 14,
});

const titleAt = (panel: number, text: string): object => ({
  text,
  top: (panels[panel] as number) - 76,
  left: 56,
  textStyle: { fontSize: 16, fontWeight: 'bold' },
});

const markAt = (values: readonly number[]): object => ({
  silent: true,
  symbol: 'none',
  lineStyle: { color: '#9ca3af', type: 'dotted' },
  label: { position: 'insideEndTop', formatter: '{c}' },
  data: values.map((yAxis) => ({ yAxis })),
});

/** An SVG document. */
export function drawChart(results: readonly CaseResult[], rows: readonly Row[]): string {
  const nodes = Math.max(...rows.map((row) => row.nodes));
  const shards = Math.max(...rows.map((row) => row.shards));
  const perNode = shards / nodes;
  const movement = movementSeries(results, nodes);
  const spread = spreadSeries(rows);
  const time = timeSeries(rows);
  const sizes = rows.map((row) => row.nodes);
  const sizeAxis = {
    type: 'log',
    name: `nodes (${perNode} shards each)`,
    nameLocation: 'middle',
    nameGap: 30,
    min: Math.min(...sizes),
    max: Math.max(...sizes),
  };
  const chart = echarts.init(null, null, { renderer: 'svg', ssr: true, width, height });
  chart.setOption({
    animation: false,
    backgroundColor: '#ffffff',
    title: [
      titleAt(0, `Replicas moved against the fewest possible: ${nodes} nodes, ${shards} shards`),
      titleAt(1, 'Load against the fair one'),
      titleAt(2, 'Time to plan, ms'),
    ],
    legend: [legendAt(0, movement), legendAt(1, spread), legendAt(2, time)],
    grid: panels.map((top) => ({ top, left: 64, right: 40, height: panelHeight })),
    xAxis: [
      { type: 'category', data: movingSteps, axisLabel: { fontSize: 12, interval: 0 } },
      { ...sizeAxis, gridIndex: 1 },
      { ...sizeAxis, gridIndex: 2 },
    ],
    yAxis: [
      { type: 'value', min: 0 },
      { type: 'value', gridIndex: 1, scale: true },
      { type: 'log', gridIndex: 2, min: 1 },
    ],
    series: [
      ...movement.map((series, at) => (at === 0 ? { ...series, markLine: markAt([1, 1.1]) } : series)),
      ...spread.map((series, at) => (at === 0 ? { ...series, markLine: markAt([0.9, 1, 1.1]) } : series)),
      ...time,
    ],
  } as echarts.EChartsCoreOption);
  const svg = chart.renderToSVGString();
  chart.dispose();
  return `${svg}\n`;
}
