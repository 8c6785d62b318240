/** Goal: clusters keep every rule of placement throughout their lives. Method: small ones of `npm run sim:placement`. */
import test from 'ava';
import { initHash } from '../../../src/ring/index.js';
import { type Case, runCase, stepNames } from '../../simulation/placement/sequence.js';

test.before(() => initHash());

const cases: readonly Case[] = [1, 3, 5].flatMap((zones) =>
  (['equal', 'mixed'] as const).flatMap((weights) => [
    { nodes: 12, shards: 400, zones, weights, seed: 1 },
    { nodes: 40, shards: 2000, zones, weights, seed: 2 },
  ]),
);

test('no step in the life of a cluster breaks a rule of placement', (t) => {
  const seen = new Set<string>();
  for (const given of cases) {
    for (const { name, breaches, zoneViolations } of runCase(given)) {
      seen.add(name);
      t.deepEqual(breaches, [], `${name}, ${JSON.stringify(given)}`);
      t.is(zoneViolations, 0);
    }
  }
  t.deepEqual([...seen].sort(), [...stepNames].sort());
});

test('the same seed gives the same life', (t) => {
  const given: Case = { nodes: 20, shards: 300, zones: 4, weights: 'mixed', seed: 7 };
  const outcome = (): unknown => [...runCase(given)].map(({ planMs, leadersMs, ...figures }) => figures);
  t.deepEqual(outcome(), outcome());
});
