/**
 * Goal: the simulation is worth what it says: the code passes a sample of seeds, the same seed is the same run, and known
 * bugs, switched on one by one, are found. Method: seeds of `simulation.ts` in processes of their own (`pool.ts`).
 */
import test from 'ava';
import { faultKinds } from './faults.js';
import { type MutantName, mutantNames } from './mutants.js';
import { runPool } from './pool.js';
import type { WorkerAnswer } from './worker.js';

/** Every ten seeds one is run twice: 3 of these 30. */
const sample = { from: 1, seeds: 30, checkEvery: 10, jobs: 1, kinds: faultKinds, mutant: undefined };

test('30 seeds pass every check, and 3 of them, run twice, are the same run to the last event', async (t) => {
  t.timeout(300_000);
  const results: WorkerAnswer[] = [];
  await runPool({
    ...sample,
    onResult: (result) => {
      results.push(result);
      return true;
    },
  });
  t.is(results.length, 30);
  t.is(results.filter(({ seed }) => seed % sample.checkEvery === 0).length, 3);
  for (const { seed, failure, isUnstable } of results) {
    t.is(failure, undefined, `seed ${seed}`);
    t.false(isUnstable, `seed ${seed} was another run the second time`);
  }
  const sum = (of: (result: WorkerAnswer) => number): number => results.reduce((total, one) => total + of(one), 0);
  t.true(sum(({ operations }) => operations.ok) > 5000, 'operations succeed under faults');
  t.true(sum(({ elections }) => elections) > 60);
  t.true(sum(({ snapshots }) => snapshots) > 5);
  t.true(sum(({ repairs }) => repairs) > 2);
  const injected = new Set(results.flatMap(({ injected: kinds }) => Object.keys(kinds)));
  t.is(injected.size, faultKinds.length, 'every kind of fault occurs');
});
