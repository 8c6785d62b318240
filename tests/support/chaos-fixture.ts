/** Whole chaos runs on a store in memory and a virtual clock: a minute of them takes a second, and a seed replays one. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { seededRandom } from '../../src/base/index.js';
import { type ChaosOptions, ChaosRun } from '../../src/chaos/index.js';
import { ChaosStore, type Lie } from './chaos-store.js';
import { VirtualClock } from './virtual-clock.js';

export const hosts = ['n1', 'n2', 'n3'] as const;

export type FixtureOptions = {
  readonly seed: number;
  readonly lie?: Lie;
  readonly liePercent?: number;
  readonly durationMs?: number;
  /** Called at the beginning, with everything running. */
  readonly during?: (run: ChaosRun, store: ChaosStore, clock: VirtualClock) => Promise<void>;
  readonly options?: Partial<ChaosOptions>;
};

/** Lets the clock run until the promise settles; real files may take a moment without any timer. */
export async function drive<T>(clock: VirtualClock, promise: Promise<T>): Promise<T> {
  let isSettled = false;
  const mark = (): void => {
    isSettled = true;
  };
  promise.then(mark, mark);
  const endMs = clock.nowMs() + 1_000_000;
  while (!isSettled) {
    if (clock.nowMs() > endMs) throw new Error('still pending after 1,000 virtual seconds');
    if (clock.armed > 0) await clock.advance(50);
    // No timer: it waits for a file, which takes the time it takes.
    else await new Promise((resolve) => setTimeout(resolve, 1));
  }
  return promise;
}

export async function chaosRun({ seed, lie, liePercent, durationMs = 25_000, during, options }: FixtureOptions) {
  const clock = new VirtualClock();
  const random = seededRandom(seed);
  const lying = { ...(lie === undefined ? {} : { lie }), ...(liePercent === undefined ? {} : { liePercent }) };
  const store = new ChaosStore({ clock, random: seededRandom(seed + 1), ...lying });
  const directory = mkdtempSync(join(tmpdir(), 'ringraft-chaos-'));
  const connect = async (host: string) => store.client(host);
  const run = new ChaosRun({ clock, random, seed, directory, hosts, connect, ...options });
  await drive(clock, run.start());
  if (during === undefined) await clock.advance(durationMs);
  else await during(run, store, clock);
  await drive(clock, run.stop());
  const result = await drive(clock, run.finish());
  const remove = (): void => rmSync(directory, { recursive: true, force: true });
  return { result, store, directory, remove };
}
