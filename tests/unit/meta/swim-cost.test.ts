/**
 * Goal: failure detection costs each node a few small messages a period and one timer, in peace and in trouble, and a
 * seed replays it. Method: detectors in the simulated world, whose clock refuses a second timer.
 */
import test from 'ava';
import type { NodeId } from '../../../src/base/index.js';
import { factsOf, GossipCluster } from './gossip-cluster.js';

const settle = 80;

/** Messages of all nodes in each of `count` periods, for one node. */
async function messagesPerPeriod(cluster: GossipCluster, count: number): Promise<readonly number[]> {
  const sent: number[] = [];
  for (let at = 0; at < count; at++) {
    const before = cluster.sum(({ counters }) => counters.messagesSent);
    await cluster.periods(1);
    sent.push((cluster.sum(({ counters }) => counters.messagesSent) - before) / cluster.nodes.size);
  }
  return sent;
}

for (const nodes of [5, 100]) {
  test(`each of ${nodes} nodes sends about two messages a period, none over its bound`, async (t) => {
    const cluster = await GossipCluster.started(1, nodes, { syncMs: 30_000 });
    await cluster.periods(settle);
    cluster.largestMessageBytes = 0;
    const bytesBefore = cluster.sum(({ counters }) => counters.bytesSent);
    const sent = await messagesPerPeriod(cluster, 50);
    const average = sent.reduce((sum, each) => sum + each, 0) / sent.length;
    const bytes = (cluster.sum(({ counters }) => counters.bytesSent) - bytesBefore) / 50 / nodes;
    t.log(`${average.toFixed(2)} messages, ${bytes.toFixed(0)} bytes a node and period`);
    t.true(average >= 1.9 && average <= 2.2);
    t.true(Math.max(...sent) <= 4);
    t.is(
      cluster.sum(({ counters }) => counters.probesIndirect),
      0,
    );
    // Only a full exchange is larger than a probe may be.
    t.true(cluster.largestMessageBytes <= (nodes === 5 ? 2048 : 32 * 1024));
  });
}

test('no probe or answer is over its bound, with 100 nodes and much to tell', async (t) => {
  const cluster = await GossipCluster.started(2, 100, { syncMs: 10_000_000, factsIntervalMs: 500 });
  await cluster.periods(10);
  cluster.largestMessageBytes = 0;
  for (const name of cluster.names.slice(0, 10)) cluster.crash(name);
  for (let at = 0; at < 6; at++) {
    for (const { detector } of cluster.nodes.values()) detector.setFacts(factsOf({ groups: at, zone: 'Zürich' }));
    await cluster.periods(2);
  }
  t.true(cluster.largestMessageBytes > 1000);
  t.true(cluster.largestMessageBytes <= 1400);
});

test('with a fifth of 20 nodes dead each other node sends at most 8 messages a period, and two and a half later', async (t) => {
  const cluster = await GossipCluster.started(3, 20);
  for (const name of cluster.names.slice(0, 4)) cluster.crash(name);
  const during = await messagesPerPeriod(cluster, 15);
  t.true(Math.max(...during) <= 8, `${during}`);
  await cluster.periods(settle);
  const after = await messagesPerPeriod(cluster, 40);
  t.log(`at most ${Math.max(...during).toFixed(1)} meanwhile, ${Math.max(...after).toFixed(1)} later`);
  t.true(after.reduce((sum, each) => sum + each, 0) / after.length <= 2.5);
});

async function eventfulRun(seed: number): Promise<string> {
  const cluster = await GossipCluster.started(seed, 7);
  const [a, b, c, d] = cluster.names as [NodeId, NodeId, NodeId, NodeId, ...NodeId[]];
  cluster.loseAround(a, 0.3);
  cluster.cutBetween([b], [c]);
  await cluster.periods(20);
  cluster.crash(d);
  await cluster.periods(20);
  cluster.start(d);
  cluster.network.mendAll();
  await cluster.periods(20);
  const counters = [...cluster.nodes.values()].map(({ detector }) => ({ ...detector.counters, busyMs: 0 }));
  return JSON.stringify({ digest: cluster.world.digest, sightings: cluster.sightings, counters });
}

test('a seed replays a run, another seed another', async (t) => {
  const first = await eventfulRun(1);
  t.is(await eventfulRun(1), first);
  t.not(await eventfulRun(2), first);
});

test('a stopped node has no timer and says nothing', async (t) => {
  const cluster = await GossipCluster.started(1, 3);
  const [one] = cluster.names as [NodeId, ...NodeId[]];
  const { detector } = cluster.at(one);
  detector.stop();
  const { messagesSent, messagesReceived } = detector.counters;
  await cluster.periods(20);
  t.is(detector.counters.messagesSent, messagesSent);
  t.is(detector.counters.messagesReceived, messagesReceived);
  t.true(cluster.allSee(one, 'dead', cluster.names.slice(1)));
});
