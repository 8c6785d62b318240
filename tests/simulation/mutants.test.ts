/**
 * Goal: the simulation finds known bugs; one that does not would say nothing by passing. Method: some of the bugs of
 * `mutants.ts` that it finds soon are switched on, one after the other, in a process of their own; `npm run sim --
 * --mutants` looks for all of them.
 */
import test from 'ava';
import { isClusterMutant } from './cluster-mutants.js';
import type { FaultKind } from './faults.js';
import type { MutantName } from './mutants.js';
import { runPool } from './pool.js';
import type { WorkerAnswer } from './worker.js';

/** With the faults that bring each out soonest, and where that takes many seeds the one to begin with. */
const bugs: readonly (readonly [mutant: MutantName, kinds: readonly FaultKind[], from?: number])[] = [
  ['vote-not-persisted', ['kill', 'power-loss', 'leader-crash', 'loss']],
  ['acknowledged-before-sync', ['power-loss', 'power-loss-all', 'slow-disk', 'leader-crash'], 170],
  ['acknowledge-after-one', ['leader-crash', 'partition']],
  ['read-without-quorum', ['partition', 'link', 'one-way'], 120],
  ['duplicate-applied-twice', ['loss', 'delay']],
  ['replica-id-reused', ['bit-flip', 'membership', 'delay']],
  ['applied-index-not-atomic', ['power-loss', 'power-loss-all']],
  ['damage-taken-for-a-torn-tail', ['bit-flip']],
  ['quorum-read-ignores-the-log', ['delay', 'partition', 'loss']],
  ['scan-not-waited-for', ['partition', 'link', 'one-way', 'delay']],
  ['move-not-waited-for', ['join', 'drain', 'move']],
  ['map-not-read-again', ['join', 'drain', 'kill', 'transfer']],
  ['founded-without-asking', ['lose-disk', 'kill']],
];
const mostSeeds = 60;

for (const [mutant, kinds, from = 1] of bugs) {
  test.serial(`the bug "${mutant}" is found within ${mostSeeds} seeds`, async (t) => {
    t.timeout(300_000);
    let found: WorkerAnswer | undefined;
    await runPool({
      from,
      seeds: mostSeeds,
      checkEvery: 0,
      jobs: 1,
      kinds,
      mutant,
      isCluster: isClusterMutant(mutant),
      onResult: (result) => {
        if (result.failure !== undefined) found = result;
        return found === undefined;
      },
    });
    t.log(found === undefined ? 'escaped' : `seed ${found.seed}: ${found.failure?.check}`);
    t.not(found, undefined);
  });
}
