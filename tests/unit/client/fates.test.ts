/**
 * Goal: what a caller is told of a write's fate is true: done means applied once, `no` means never applied, `unknown`
 * means at most once.
 * Method: random losses, delays, dead nodes and leader changes, from a seed; afterwards all that was under way arrives.
 */
import test from 'ava';
import { type NodeId, type RingraftError, randomBetween, seededRandom } from '../../../src/base/index.js';
import { startFixture } from '../../support/client-fixture.js';
import { refusal } from '../../support/fake-cluster.js';

const firstSeed = Number(process.env.TEST_SEED ?? Date.now() % 1_000_000);
const runs = 60;
const writes = 120;

type Fates = { done: number; no: number; unknown: number };

async function run(seed: number): Promise<Fates> {
  const random = seededRandom(seed);
  const chance = (percent: number): boolean => randomBetween(random, 1, 100) <= percent;
  const fixture = await startFixture({ seed, shards: 3, timeoutMs: 900, maxInFlight: 32 });
  const { clock, bus, cluster, client } = fixture;
  const lossPercent = randomBetween(random, 0, 25);
  const slowPercent = randomBetween(random, 0, 20);
  bus.filter = () => !chance(lossPercent);
  bus.delayMs = () => (chance(slowPercent) ? randomBetween(random, 50, 700) : 1);
  const refusalPercent = randomBetween(random, 0, 30);
  cluster.script = ({ requestId }) =>
    chance(refusalPercent) ? refusal(requestId, chance(50) ? 'BUSY' : 'NOT_LEADER') : undefined;
  const appliedKeys = (): string[] => [...cluster.data.values()].map(({ key }) => key.toString());
  const stopped = new Set<NodeId>();
  const fates = new Map<string, Promise<keyof Fates>>();
  for (let at = 0; at < writes; at++) {
    const key = `key-${at}`;
    const told = client.put('default', key, key).then(
      () => 'done' as const,
      (error: RingraftError) => error.happened,
    );
    fates.set(key, told);
    if (chance(30)) await clock.advance(randomBetween(random, 1, 120));
    if (chance(8)) cluster.leaders[randomBetween(random, 0, 2)] = cluster.nodes[randomBetween(random, 0, 2)] ?? null;
    if (chance(4)) cluster.leaders[randomBetween(random, 0, 2)] = null;
    const node = cluster.nodes[randomBetween(random, 0, 2)] as NodeId;
    if (chance(5) && !stopped.has(node)) {
      cluster.stop(node);
      stopped.add(node);
    } else if (chance(15) && stopped.delete(node)) {
      cluster.start(node);
    }
  }
  const told = await clock.until(Promise.all(fates.values()));
  await clock.advance(5000);
  const counts: Fates = { done: 0, no: 0, unknown: 0 };
  const applied = appliedKeys();
  const isApplied = new Set(applied);
  for (const [at, key] of [...fates.keys()].entries()) {
    const fate = told[at] as keyof Fates;
    counts[fate]++;
    if (fate === 'done' && !isApplied.has(key)) throw new Error(`seed ${seed}: ${key} is done but was not applied`);
    if (fate === 'no' && isApplied.has(key)) throw new Error(`seed ${seed}: ${key} did not happen but was applied`);
  }
  if (new Set(cluster.applied).size !== cluster.applied.length) throw new Error(`seed ${seed}: applied twice`);
  await client.close();
  return counts;
}

test('done is done once, no is never, unknown is at most once', async (t) => {
  t.log(`seeds ${firstSeed} to ${firstSeed + runs - 1}`);
  const total: Fates = { done: 0, no: 0, unknown: 0 };
  for (let at = 0; at < runs; at++) {
    const counts = await run(firstSeed + at);
    total.done += counts.done;
    total.no += counts.no;
    total.unknown += counts.unknown;
  }
  t.log(total);
  t.true(total.done > 0 && total.no > 0 && total.unknown > 0, 'all three fates occurred');
});
