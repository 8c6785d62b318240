/** Starts `child.ts` and takes what it says. */
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

export type Mode = 'copies' | 'heap' | 'codecs';
export type Figures = Record<string, number>;
export type ChildResult = { readonly workloads: Record<string, Figures>; readonly codecs: Record<string, Figures> };

const childPath = fileURLToPath(new URL('./child.js', import.meta.url));
/** Room for everything one workload allocates: a collection would take away what is measured. */
const youngMegabytes = 512;
const heapArguments = [
  '--expose-gc',
  `--min-semi-space-size=${youngMegabytes}`,
  `--max-semi-space-size=${youngMegabytes}`,
  // What is compiled when, and so what is allocated, must not hang on threads and seeds.
  '--single-threaded',
  '--hash-seed=1',
  '--random-seed=1',
];

const modeArguments: Readonly<Record<Mode, readonly string[]>> = {
  copies: [],
  heap: heapArguments,
  // A loop over one message is compiled in one way or another, by chance: not at all is always the same.
  codecs: [...heapArguments, '--no-opt'],
};

/** Rejects with what the child wrote to standard error when it failed. */
async function runChild(mode: Mode): Promise<ChildResult> {
  const run = promisify(execFile);
  const childArguments = [...modeArguments[mode], childPath, mode];
  const { stdout } = await run(process.execPath, childArguments, { maxBuffer: 1e7 });
  return JSON.parse(stdout) as ChildResult;
}

const joined = (some: Record<string, Figures>, more: Record<string, Figures>): Record<string, Figures> =>
  Object.fromEntries(Object.entries(some).map(([name, figures]) => [name, { ...figures, ...more[name] }]));

/** All figures, one process after the other: side by side they would take each other's time. */
export async function countAll(): Promise<ChildResult> {
  const counted = await runChild('copies');
  const allocated = await runChild('heap');
  const coded = await runChild('codecs');
  return {
    workloads: joined(counted.workloads, allocated.workloads),
    codecs: joined(counted.codecs, coded.codecs),
  };
}
