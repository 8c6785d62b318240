/**
 * Goal: clusters that manage themselves pass a sample of seeds, and the same seed is the same run. Method: seeds of
 * `cluster-simulation.ts`, in a process of their own; `npm run sim -- --cluster` runs many more.
 */
import test from 'ava';
import { usualClusterKinds } from './cluster-simulation.js';
import { clusterKinds } from './faults.js';
import { runPool } from './pool.js';
import type { WorkerAnswer } from './worker.js';

const seeds = 16;
const results: WorkerAnswer[] = [];

test.serial(
  `cluster seeds 1 to ${seeds} pass every check, and seed ${seeds}, run twice, is the same run`,
  async (t) => {
    t.timeout(300_000);
    await runPool({
      from: 1,
      seeds,
      checkEvery: seeds,
      jobs: 1,
      kinds: usualClusterKinds,
      mutant: undefined,
      isCluster: true,
      onResult: (result) => {
        results.push(result);
        return true;
      },
    });
    t.is(results.length, seeds);
    for (const { seed, failure, isUnstable } of results) {
      t.is(failure, undefined, `seed ${seed}`);
      t.false(isUnstable, `seed ${seed} was another run the second time`);
    }
  },
);

test.serial('these seeds see most kinds of orders, moved replicas, and answers all along', (t) => {
  const sum = (of: (result: WorkerAnswer) => number): number => results.reduce((total, one) => total + of(one), 0);
  t.true(sum(({ operations }) => operations.ok) > 3000);
  t.true(sum(({ mapChanges }) => mapChanges) > 50);
  t.true(sum(({ configurations }) => configurations) > 80);
  const injected = new Set(results.flatMap(({ injected: kinds }) => Object.keys(kinds)));
  const missing = clusterKinds.filter((kind) => !injected.has(kind));
  t.true(missing.length <= 3, missing.join(', '));
});
