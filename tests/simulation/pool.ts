/** Runs seeds in several processes at once and hands the results over as they come, in no particular order. */
import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { FaultKind } from './faults.js';
import type { MutantName } from './mutants.js';
import type { WorkerAnswer, WorkerRequest } from './worker.js';

export type PoolOptions = {
  readonly from: number;
  readonly seeds: number;
  readonly jobs: number;
  readonly kinds: readonly FaultKind[];
  readonly mutant: MutantName | undefined;
  /** Of clusters that manage themselves. */
  readonly isCluster?: boolean;
  /** Every so many seeds one is run twice, to see that it is the same run. */
  readonly checkEvery: number;
  /** false: no further seeds are begun. */
  readonly onResult: (result: WorkerAnswer) => boolean;
};

const workerPath = fileURLToPath(new URL('./worker.js', import.meta.url));

export function runPool(options: PoolOptions): Promise<void> {
  let next = options.from;
  const end = options.from + options.seeds;
  let goesOn = true;
  const job = (): Promise<void> =>
    new Promise((resolve, reject) => {
      const child = fork(workerPath, options.mutant === undefined ? [] : [options.mutant], {
        execArgv: ['--enable-source-maps'],
      });
      let running: number | undefined;
      const feed = (): void => {
        if (!goesOn || next >= end) {
          running = undefined;
          child.kill();
          resolve();
          return;
        }
        running = next++;
        const twice = options.checkEvery > 0 && running % options.checkEvery === 0;
        const request: WorkerRequest = {
          seed: running,
          kinds: options.kinds,
          twice,
          isCluster: options.isCluster === true,
        };
        child.send(request);
      };
      child.on('message', (answer: WorkerAnswer) => {
        if (!options.onResult(answer)) goesOn = false;
        feed();
      });
      child.on('exit', (code) => {
        if (running !== undefined) reject(new Error(`seed ${running} ended its process with code ${code}`));
      });
      feed();
    });
  return Promise.all(Array.from({ length: options.jobs }, job)).then(() => {});
}
