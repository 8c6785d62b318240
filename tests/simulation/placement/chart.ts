/** The figures as a picture: movement against the ideal, spread against size, planning time against size. */
import * as echarts from 'echarts';
import { replication, type StepName } from './sequence.js';
import { type CaseResult, type Row, ratioOf } from './summary.js';

const width = 960;
const height = 1320;
const panels = [90, 520, 950] as const;
const panelHeight = 270;
const colors = ['#2f6fb2', '#d9822b', '#3a9a6a', '#b5477a', '#7a62b8', '#6b7280', '#111827'] as const;

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

const percent = (value: number): string => `${value >= 9.95 ? value.toFixed(0) : Number(value.toPrecision(2))} %`;

/** For each number of zones of the largest clusters: the part of all replicas that each step moved at most. */
function movementSeries(results: readonly CaseResult[], nodes: number): readonly Series[] {
  const largest = results.filter(({ given }) => given.nodes === nodes);
  const zones = [...new Set(largest.map(({ given }) => given.zones))];
  return zones.map((zoneCount, at) => {
    const own = largest.filter(({ given }) => given.zones === zoneCount);
    const data = movingSteps.map((step) => {
      const found = own.flatMap(({ given, steps }) =>
        steps
          .filter(({ name }) => name === step)
          .map((each) => ({ part: (100 * each.moved) / (given.shards * replication), ratio: ratioOf(each) ?? 0 })),
      );
      const part = Math.max(...found.map((each) => each.part));
      if (!(part > 0)) return '-';
      const ratio = Math.max(...found.map((each) => each.ratio));
      return { value: part, label: { formatter: `${percent(part)}\n×${ratio.toFixed(2)}` } };
    });
    const label = { show: true, position: 'top', fontSize: 9, lineHeight: 11 };
    const name = `${zoneCount} ${zoneCount === 1 ? 'zone' : 'zones'}`;
    return { name, type: 'bar', data, label, itemStyle: { color: colors[at] }, barGap: '15%', barCategoryGap: '12%' };
  });
}

const lineOf = (
  name: string,
  at: number,
  panel: number,
  points: readonly (number | '-')[],
  dashed = false,
): Series => ({
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
  const over = (isFounding: boolean, value: (own: readonly Row[]) => number): readonly number[] =>
    sizes.map((nodes) => value(rows.filter((row) => row.nodes === nodes && (row.step === 'founding') === isFounding)));
  const highest = (own: readonly Row[]): number => Math.max(...own.map((row) => row.highest));
  const lowest = (own: readonly Row[]): number => Math.min(...own.map((row) => row.lowest));
  return [
    lineOf('fullest, as founded', 1, 1, over(true, highest), true),
    lineOf('emptiest, as founded', 0, 1, over(true, lowest), true),
    lineOf('fullest, planned', 1, 1, over(false, highest)),
    lineOf('emptiest, planned', 0, 1, over(false, lowest)),
  ];
}

function timeSeries(rows: readonly Row[]): readonly Series[] {
  const sizes = [...new Set(rows.map(({ nodes }) => nodes))];
  const over = (step: StepName, value: (row: Row) => number): readonly (number | '-')[] =>
    sizes.map((nodes) => {
      const found = rows.find((row) => row.nodes === nodes && row.step === step);
      return found === undefined ? '-' : Math.max(1, value(found));
    });
  return [
    ...timedSteps.map((step, at) =>
      lineOf(
        step,
        at,
        2,
        over(step, ({ planMs }) => planMs),
      ),
    ),
    lineOf(
      'leaders, from nothing',
      timedSteps.length,
      2,
      over('from nothing', ({ leadersMs }) => leadersMs),
      true,
    ),
  ];
}

const legendAt = (panel: number, series: readonly Series[]): object => ({
  top: (panels[panel] as number) - 40,
  left: 60,
  data: series.map(({ name }) => name),
  textStyle: { fontSize: 12 },
  itemWidth: 18,
  itemGap: 20,
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

const count = (value: number): string => value.toLocaleString('en');

/** An SVG document. */
export function drawChart(results: readonly CaseResult[], rows: readonly Row[]): string {
  const nodes = Math.max(...rows.map((row) => row.nodes));
  const shards = Math.max(...rows.map((row) => row.shards));
  const movement = movementSeries(results, nodes);
  const spread = spreadSeries(rows);
  const time = timeSeries(rows);
  const sizeAxis = {
    type: 'category',
    data: [...new Set(rows.map((row) => `${count(row.nodes)} nodes\n${count(row.shards)} shards`))],
    axisLabel: { fontSize: 12, lineHeight: 15, interval: 0 },
  };
  const chart = echarts.init(null, null, { renderer: 'svg', ssr: true, width, height });
  chart.setOption({
    animation: false,
    backgroundColor: '#ffffff',
    title: [
      titleAt(
        0,
        `Part of all replicas that moved, and times the ideal: ${count(nodes)} nodes, ${count(shards)} shards`,
      ),
      titleAt(1, 'Load against the fair one: the worst node of all clusters and steps'),
      titleAt(2, 'Processor time to plan, in ms: the slowest of all clusters'),
    ],
    legend: [legendAt(0, movement), legendAt(1, spread), legendAt(2, time)],
    grid: panels.map((top) => ({ top, left: 64, right: 40, height: panelHeight })),
    xAxis: [
      { type: 'category', data: movingSteps, axisLabel: { fontSize: 12, interval: 0 } },
      { ...sizeAxis, gridIndex: 1 },
      { ...sizeAxis, gridIndex: 2 },
    ],
    yAxis: [
      { type: 'value', min: 0, axisLabel: { formatter: '{value} %' } },
      { type: 'value', gridIndex: 1, scale: true },
      { type: 'log', gridIndex: 2, min: 1 },
    ],
    series: [
      ...movement,
      ...spread.map((series, at) => (at === 0 ? { ...series, markLine: markAt([0.9, 1, 1.1]) } : series)),
      ...time,
    ],
  } as echarts.EChartsCoreOption);
  const svg = chart.renderToSVGString();
  chart.dispose();
  return `${svg}\n`;
}
