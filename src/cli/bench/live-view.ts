/** A run of bench while it goes on, on a terminal: redrawn in its place, gone when it is over. */
import type { Clock, Timer } from '../../base/index.js';
import type { Io } from '../io.js';
import { formatCount } from '../values.js';
import type { Load } from './load.js';
import type { LatencyMs, Measurements } from './measurements.js';
import { sparkline } from './sparkline.js';

const refreshMs = 500;
const secondsShown = 40;
const barCells = 24;

export type Viewed = {
  /** What is run, in a few words. */
  readonly title: string;
  readonly nowMs: number;
  readonly startMs: number;
  readonly endMs: number;
  readonly measurements: Measurements;
  readonly load: Pick<Load, 'inFlight' | 'waiting'>;
};

const column = (text: string): string => text.padStart(12);
const ms = (value: number): string => column(value.toFixed(2));

function latencyLine(name: string, { p50, p99, p999 }: Pick<LatencyMs, 'p50' | 'p99' | 'p999'>): string {
  return `${name.padEnd(12)}${[p50, p99, p999].map(ms).join('')}`;
}

/** The lines of the picture. Throughput and percentiles of "now" are of the last whole second. */
export function liveLines({ title, nowMs, startMs, endMs, measurements, load }: Viewed): readonly string[] {
  const { countFromMs, intervals, failed, unknown } = measurements;
  const isWarm = nowMs >= countFromMs;
  const [fromMs, toMs] = isWarm ? [countFromMs, endMs] : [startMs, countFromMs];
  const doneMs = Math.min(nowMs, toMs) - fromMs;
  const bar = '█'.repeat(Math.floor((doneMs / Math.max(1, toMs - fromMs)) * barCells)).padEnd(barCells, '░');
  const seconds = `${Math.floor(doneMs / 1000)} of ${((toMs - fromMs) / 1000).toFixed(0)} s`;
  const phase = !isWarm ? ' of warm-up' : nowMs > endMs ? ', waiting for the last answers' : '';
  const waiting = load.waiting > 0 ? `, ${formatCount(load.waiting)} due and waiting` : '';
  const head = [
    `${title}  ${bar}  ${seconds}${phase}`,
    `${formatCount(load.inFlight)} in flight${waiting}; ${formatCount(failed)} failed, ${formatCount(unknown)} unknown`,
  ];
  const last = intervals.at(-1);
  if (last === undefined) return head;
  const shown = intervals.slice(-secondsShown).map(({ perSecond }) => perSecond);
  const range = `${formatCount(Math.min(...shown))} to ${formatCount(Math.max(...shown))}/s`;
  const overall = formatCount(measurements.perSecond(nowMs));
  return [
    ...head,
    `${'latency, ms'.padEnd(12)}${['p50', 'p99', 'p99.9', 'per second'].map(column).join('')}`,
    `${latencyLine('last second', { p50: last.p50Ms, p99: last.p99Ms, p999: last.p999Ms })}${column(formatCount(last.perSecond))}`,
    `${latencyLine('all', measurements.latencyMs())}${column(overall)}`,
    `${sparkline(shown)}  ${range}`,
  ];
}

export class LiveView {
  private drawn = 0;
  private timer: Timer | undefined;

  constructor(
    private readonly io: Pick<Io, 'err'>,
    private readonly clock: Clock,
    private readonly view: () => Viewed,
  ) {}

  start(): void {
    this.timer = this.clock.after(refreshMs, () => {
      this.draw(liveLines(this.view()));
      this.start();
    });
  }

  stop(): void {
    this.timer?.cancel();
    this.draw([]);
  }

  /** In place of what stands there. A line longer than the terminal is cut: a wrapped one would count as two. */
  private draw(lines: readonly string[]): void {
    const width = (this.io.err.columns ?? 80) - 1;
    const up = this.drawn === 0 ? '' : `\x1b[${this.drawn}A`;
    const text = lines.map((line) => `${[...line].slice(0, width).join('')}\x1b[K\n`).join('');
    if (lines.length > 0 || this.drawn > 0) this.io.err.write(`${up}\r${text}\x1b[J`);
    this.drawn = lines.length;
  }
}
