/** Progress of long work, on standard error: a bar on a terminal, a line every tenth elsewhere. */
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
