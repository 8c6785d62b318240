/** A process that runs seeds for `main.ts`: one request, one answer. */

import { runClusterSeed } from './cluster-simulation.js';
import type { FaultKind } from './faults.js';
import { applyMutant, type MutantName } from './mutants.js';
import { type RunResult, runSeed } from './simulation.js';

export type WorkerRequest = {
  readonly seed: number;
  readonly kinds: readonly FaultKind[];
  readonly twice: boolean;
  /** A cluster that manages itself. */
  readonly isCluster: boolean;
};
/** A result without its history, which only a failure needs, and `main.ts` runs that again. */
export type WorkerAnswer = Omit<RunResult, 'history'> & {
  /** The second run of the same seed was another one. */
  readonly isUnstable: boolean;
};

const mutant = process.argv[2] as MutantName | undefined;
if (mutant !== undefined) applyMutant(mutant);

process.on('message', (request: WorkerRequest) => {
  void answer(request).then((result) => process.send?.(result));
});
process.on('disconnect', () => process.exit(0));

async function answer({ seed, kinds, twice, isCluster }: WorkerRequest): Promise<WorkerAnswer> {
  const run = isCluster ? runClusterSeed : runSeed;
  const { history, ...result } = await run(seed, { kinds });
  let isUnstable = false;
  if (twice || result.failure !== undefined) {
    const again = await run(seed, { kinds });
    isUnstable =
      again.digest !== result.digest ||
      again.events !== result.events ||
      JSON.stringify(again.history) !== JSON.stringify(history);
  }
  return { ...result, isUnstable };
}
