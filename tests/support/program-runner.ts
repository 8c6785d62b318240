/**
 * How a long program of tests/ ends. Exit codes: 0 all checks held, 1 one did not or the program failed, 2 usage,
 * 130 stopped by a signal, after what was started has been stopped.
 */

/** Somebody asked for the end of the run. */
export class Stopped extends Error {}

export type ProgramRun = {
  /** The exit code. `stop` is aborted, with `Stopped`, by SIGINT, SIGTERM and SIGHUP. */
  run(stop: AbortSignal): Promise<number>;
  /** What to say of an error that is a mistake of the caller; undefined when it is none. */
  usageOf(error: unknown): string | undefined;
};

/** Runs the program of this process and ends it. */
export function runToEnd({ run, usageOf }: ProgramRun): void {
  const stopping = new AbortController();
  // The first one stops the run; a second one changes nothing, since what was started must be stopped.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => stopping.abort(new Stopped()));
  }
  run(stopping.signal).then(
    (code) => process.exit(code),
    (error: unknown) => {
      const usage = usageOf(error);
      const isStopped = error instanceof Stopped;
      const text = isStopped ? 'stopped' : (usage ?? String((error as Error).stack ?? error));
      process.stderr.write(`${text}\n`);
      process.exit(isStopped ? 130 : usage === undefined ? 1 : 2);
    },
  );
}

/** What `work` yields, unless the run is stopped before; `work` then goes on unheard. */
export async function unlessStopped<T>(stop: AbortSignal, work: () => Promise<T>): Promise<T> {
  stop.throwIfAborted();
  const stopped = new Promise<never>((_, reject) => {
    stop.addEventListener('abort', () => reject(stop.reason));
  });
  return Promise.race([stopped, work()]);
}
