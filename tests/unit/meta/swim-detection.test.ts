/**
 * Goal: whoever is gone is found dead by all within a bounded number of periods, and news of a member reaches all in
 * O(log n). Method: 5, 20 and 100 detectors in the simulated world, over several seeds and deaths; the figures are logged.
 */
import test from 'ava';
import type { NodeId } from '../../../src/base/index.js';
import { factsOf, GossipCluster, namesOf } from './gossip-cluster.js';

const median = (numbers: readonly number[]): number =>
  [...numbers].sort((a, b) => a - b)[Math.floor(numbers.length / 2)] as number;
const figures = (numbers: readonly number[]): string =>
  `median ${median(numbers).toFixed(1)}, most ${Math.max(...numbers).toFixed(1)} periods of ${numbers.length} times`;
const deathsACluster = 5;

/** Ends one node after the other, each time until all others hold it for dead; it comes back in between. */
async function periodsToDetect(seed: number, nodes: number, how: 'crash' | 'halt', most: number): Promise<number[]> {
  const cluster = await GossipCluster.started(seed, nodes);
  const took: number[] = [];
  for (let at = 0; at < deathsACluster; at++) {
    const victim = cluster.names[(seed + 7 * at) % nodes] as NodeId;
    const others = cluster.names.filter((name) => name !== victim);
    const start = cluster.period;
    if (how === 'crash') cluster.crash(victim);
    else cluster.at(victim).life.pause();
    took.push(await cluster.periodsUntil(most, () => cluster.allSee(victim, 'dead', others), `${victim} is dead`));
    const falsely = cluster.deathsSince(start).filter(({ nodeId }) => nodeId !== victim);
    if (falsely.length > 0) throw new Error(`seed ${seed}: ${JSON.stringify(falsely[0])}`);
    if (how === 'halt') cluster.crash(victim);
    cluster.start(victim);
    await cluster.periodsUntil(12, () => cluster.allSeeAll('alive'), `${victim} is back`);
    // The next one ends at another point of the period.
    await cluster.periods(5 + at / deathsACluster);
  }
  return took;
}

for (const [nodes, most, seeds] of [
  [5, 8, 10],
  [20, 12, 4],
  [100, 15, 1],
] as const) {
  for (const how of ['crash', 'halt'] as const) {
    test(`all of ${nodes} nodes find a node dead within ${most} periods of its ${how}, and nobody else`, async (t) => {
      const took: number[] = [];
      for (let seed = 1; seed <= seeds; seed++) took.push(...(await periodsToDetect(seed, nodes, how, most)));
      t.log(figures(took));
      t.is(took.length, seeds * deathsACluster);
    });
  }
}

test('100 nodes that start in one moment all know each other within 12 periods', async (t) => {
  const took: number[] = [];
  for (let seed = 1; seed <= 2; seed++) {
    const cluster = new GossipCluster(seed, namesOf(100));
    for (const name of cluster.names) cluster.start(name);
    took.push(await cluster.periodsUntil(12, () => cluster.allSeeAll('alive'), 'all alive'));
    t.deepEqual(cluster.deathsSince(0), []);
  }
  t.log(figures(took));
});

test('a member nobody ever heard of is probed through others, and dead for all, and every message of that reads', async (t) => {
  for (let seed = 1; seed <= 5; seed++) {
    const cluster = new GossipCluster(seed, namesOf(5));
    const [absent, ...others] = cluster.names as [NodeId, ...NodeId[]];
    for (const name of others) cluster.start(name);
    await cluster.periodsUntil(12, () => cluster.allSee(absent, 'dead'), `${absent} is dead`);
    t.true(cluster.sum(({ counters }) => counters.probesFailed) > 0);
    t.is(
      cluster.sum(({ counters }) => counters.messagesMalformed),
      0,
    );
  }
});

test('a newcomer whom one node knows is known to 100 nodes within 2 log2 n periods', async (t) => {
  const took: number[] = [];
  const cluster = await GossipCluster.started(1, 100);
  for (let at = 0; at < 10; at++) {
    const newcomer = `newcomer${at}` as NodeId;
    const first = cluster.names[9 * at] as NodeId;
    const others = cluster.names.filter((name) => name !== first);
    // Nobody else hears its hello, nor anything that it says later.
    cluster.cutBetween([newcomer], others);
    cluster.start(newcomer, [first]);
    const isKnown = (): boolean => others.every((name) => cluster.at(name).detector.stateOf(newcomer) !== undefined);
    took.push(await cluster.periodsUntil(14, isKnown, 'the newcomer is known'));
    cluster.network.mendAll();
  }
  t.log(figures(took));
  t.is(took.length, 10);
});

test('facts and newer map epochs reach all of 20 nodes', async (t) => {
  const cluster = await GossipCluster.started(5, 20, { factsIntervalMs: 1000 });
  const [teller] = cluster.names as [NodeId];
  cluster.at(teller).detector.setFacts(factsOf({ zone: 'z9', mapEpoch: 7 }));
  const factsAt = (name: NodeId) =>
    cluster
      .at(name)
      .detector.members()
      .find(({ nodeId }) => nodeId === teller)?.facts;
  await cluster.periodsUntil(14, () => cluster.names.every((name) => factsAt(name)?.zone === 'z9'), 'facts');
  t.deepEqual(factsAt(cluster.names[9] as NodeId), factsOf({ zone: 'z9', mapEpoch: 7 }));
  const told = cluster.mapEpochs.filter(({ epoch }) => epoch === 7);
  t.true(told.length > 0);
  t.true(told.every(({ observer }) => observer !== teller));
});

test('a newer map epoch reaches all of 5 nodes within 4 periods, those that were told telling others', async (t) => {
  for (let seed = 1; seed <= 20; seed++) {
    const cluster = await GossipCluster.started(seed, 5);
    for (const { detector } of cluster.nodes.values()) {
      detector.onMapEpoch((epoch) => detector.setFacts(factsOf({ mapEpoch: epoch })));
    }
    const [teller] = cluster.names as [NodeId];
    cluster.at(teller).detector.setFacts(factsOf({ mapEpoch: 2 }));
    const knowing = () => new Set(cluster.mapEpochs.filter(({ epoch }) => epoch === 2).map(({ observer }) => observer));
    await cluster.periodsUntil(4, () => knowing().size === 4, 'epoch 2');
    t.is(knowing().size, 4);
  }
});

test('every member was heard of within 12 periods, at 5 and at 100 nodes', async (t) => {
  for (const nodes of [5, 100]) {
    const cluster = await GossipCluster.started(6, nodes);
    await cluster.periods(20);
    const ages: number[] = [];
    for (const { detector, life } of cluster.nodes.values()) {
      for (const { lastHeardMs } of detector.members()) ages.push((life.clock.nowMs() - lastHeardMs) / 500);
    }
    t.log(
      `${nodes} nodes: last heard ${median(ages).toFixed(1)} periods ago in the median, ${Math.max(...ages).toFixed(1)} at most`,
    );
    t.true(Math.max(...ages) <= 12);
  }
});
