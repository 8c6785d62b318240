/** Progress of long work, on standard error: a bar or one line on a terminal, a line every tenth or phase elsewhere. */
import cliProgress from 'cli-progress';
import type { Io } from './io.js';
import { formatCount } from './values.js';

export type Progress = { advance(by: number): void; stop(): void };

const secondsText = (seconds: number): string =>
  seconds < 60 ? `${Math.ceil(seconds)} s` : `${Math.floor(seconds / 60)} m ${Math.ceil(seconds % 60)} s`;

/** `total` undefined: not known. */
export function startProgress(io: Pick<Io, 'err'>, what: string, total: number | undefined, unit: string): Progress {
  const started = performance.now();
  let done = 0;
  const rate = (): number => done / Math.max(0.001, (performance.now() - started) / 1000);
  const left = (): string => (total === undefined || done === 0 ? '?' : secondsText((total - done) / rate()));
  if (io.err.isTTY !== true || total === undefined) {
    let shown = 0;
    return {
      advance(by) {
        done += by;
        if (total === undefined) return;
        const tenths = Math.floor((10 * done) / total);
        if (tenths <= shown) return;
        shown = tenths;
        const time = done < total ? `, ${left()} left` : '';
        io.err.write(
          `${what} ${String(tenths * 10).padStart(3)} %  ${formatCount(done)} ${unit}  ${formatCount(rate())}/s${time}\n`,
        );
      },
      stop: () => {},
    };
  }
  const bar = new cliProgress.SingleBar({
    stream: io.err as NodeJS.WriteStream,
    format: `${what} {bar} {percentage} %  {done} of {all} ${unit}  {rate}/s  {left} left`,
    barCompleteChar: '█',
    barIncompleteChar: '░',
    barsize: 24,
    hideCursor: true,
    clearOnComplete: false,
  });
  const payload = (): object => ({
    done: formatCount(done),
    all: formatCount(total),
    rate: formatCount(rate()),
    left: left(),
  });
  bar.start(total, 0, payload());
  return {
    advance(by) {
      done += by;
      bar.update(done, payload());
    },
    stop: () => bar.stop(),
  };
}

/** Of work that somebody else does: how far it is may go back, and its size may change. */
export type Gauge = {
  /** `total` undefined: not known yet. */
  show(done: number, total: number | undefined, note: string): void;
  stop(): void;
};

export function startGauge(io: Pick<Io, 'err'>, what: string, unit: string): Gauge {
  return io.err.isTTY === true ? barGauge(io.err as NodeJS.WriteStream, what, unit) : lineGauge(io, what, unit);
}

const partOf = (done: number, total: number): number => (total === 0 ? 1 : Math.min(1, done / total));

function lineGauge(io: Pick<Io, 'err'>, what: string, unit: string): Gauge {
  let shown = '';
  return {
    show(done, total, note) {
      const tenths = total === undefined ? '' : `  ${String(Math.floor(10 * partOf(done, total)) * 10).padStart(3)} %`;
      const state = `${tenths}|${note}`;
      if (state === shown) return;
      shown = state;
      const count = total === undefined ? '' : `  ${formatCount(done)} of ${formatCount(total)} ${unit}`;
      io.err.write(`${what}${tenths}${count}${note === '' ? '' : `  ${note}`}\n`);
    },
    stop: () => {},
  };
}

function barGauge(stream: NodeJS.WriteStream, what: string, unit: string): Gauge {
  const bar = new cliProgress.SingleBar({
    stream,
    format: `${what} {bar} {percentage} %  {count}  {duration_formatted}  {note}`,
    barCompleteChar: '█',
    barIncompleteChar: '░',
    barsize: 24,
    hideCursor: true,
    clearOnComplete: false,
  });
  let isStopped = false;
  bar.start(1, 0, { count: '', note: '' });
  return {
    show(done, total, note) {
      if (isStopped) return;
      const count = total === undefined ? '' : `${formatCount(done)} of ${formatCount(total)} ${unit}`;
      bar.update(total === undefined ? 0 : partOf(done, total), { count, note });
    },
    stop() {
      if (isStopped) return;
      isStopped = true;
      bar.stop();
    },
  };
}
