/**
 * Goal: a bad link, a lossy node, a pause, or a node's own lost connection condemns nobody who can be reached by
 * another way. Method: detectors in the simulated world; every death that any node ever believed in counts.
 */
import test from 'ava';
import type { NodeId } from '../../../src/base/index.js';
import { GossipCluster } from './gossip-cluster.js';

type Names3 = [NodeId, NodeId, NodeId, ...NodeId[]];

test('one link cut for 1,000 periods kills nobody, however NATS words it', async (t) => {
  for (const noticed of [false, true]) {
    for (const nodes of [3, 5]) {
      const cluster = await GossipCluster.started(nodes, nodes);
      const [a, b] = cluster.names as Names3;
      cluster.cutBetween([a], [b], noticed);
      await cluster.periods(1000);
      t.deepEqual(cluster.deathsSince(0), []);
      t.true(cluster.allSeeAll('alive'));
      t.true(cluster.at(a).detector.counters.probesIndirect > 100, 'the link was needed');
      t.is(cluster.at(a).detector.counters.probesRefused > 0, noticed);
    }
  }
});

test('links cut one way for 300 periods kill nobody', async (t) => {
  for (const seed of [1, 2, 3]) {
    const cluster = await GossipCluster.started(seed, 5);
    const [a, b, c] = cluster.names as Names3;
    cluster.network.cut(a, b, Number.POSITIVE_INFINITY);
    cluster.network.cut(b, c, 0);
    await cluster.periods(300);
    t.deepEqual(cluster.deathsSince(0), []);
    t.true(cluster.sum(({ counters }) => counters.probesIndirect) > 50);
  }
});

test('a node that hears nobody, while all hear it, kills nobody among those who hear each other', async (t) => {
  for (const seed of [1, 2, 3]) {
    const cluster = await GossipCluster.started(seed, 5);
    const [deaf, ...others] = cluster.names as Names3;
    for (const other of others) cluster.network.cut(other, deaf, Number.POSITIVE_INFINITY);
    await cluster.periods(60);
    t.true(
      cluster.deathsSince(0).some(({ observer }) => observer === deaf),
      'its own probes all fail',
    );
    const wrong = cluster.deathsSince(0).filter(({ observer, nodeId }) => observer !== deaf && nodeId !== deaf);
    t.deepEqual(wrong, []);
    cluster.network.mendAll();
    await cluster.periodsUntil(20, () => cluster.allSeeAll('alive'), 'all are alive again');
  }
});

test('a node that loses 20 % on all its links for 500 periods is suspected, refutes, and never dies', async (t) => {
  let refutations = 0;
  for (let seed = 1; seed <= 8; seed++) {
    const cluster = await GossipCluster.started(seed, 5);
    const [lossy] = cluster.names as Names3;
    cluster.loseAround(lossy, 0.2);
    await cluster.periods(500);
    t.deepEqual(cluster.deathsSince(0), [], `seed ${seed}`);
    refutations += cluster.at(lossy).detector.counters.refutations;
    cluster.loseAround(lossy, 0);
    await cluster.periodsUntil(12, () => cluster.allSeeAll('alive'), 'all agree');
  }
  t.log(`${refutations} refutations in 8 runs of 500 periods`);
  t.true(refutations > 8);
});

test('a node paused for less than the shortest suspicion refutes and never dies, and condemns nobody', async (t) => {
  let refutations = 0;
  for (let seed = 1; seed <= 20; seed++) {
    const cluster = await GossipCluster.started(seed, 5);
    const [slow] = cluster.names as Names3;
    const { life, detector } = cluster.at(slow);
    life.pause();
    await cluster.periods(2 + (seed % 10) / 10);
    life.resume();
    await cluster.periods(12);
    t.deepEqual(cluster.deathsSince(0), [], `seed ${seed}`);
    t.true(cluster.allSeeAll('alive'), `seed ${seed}`);
    t.true(detector.counters.timesAway > 0, 'it noticed its own pause');
    refutations += detector.counters.refutations;
  }
  t.true(refutations > 5);
});

test('a node that stands still for a minute is dead to others, condemns none of them, and is alive again', async (t) => {
  for (const seed of [1, 2, 3]) {
    const cluster = await GossipCluster.started(seed, 5);
    const [slow, ...others] = cluster.names as Names3;
    cluster.at(slow).life.pause();
    await cluster.periods(120);
    t.true(cluster.allSee(slow, 'dead', others));
    cluster.at(slow).life.resume();
    await cluster.periodsUntil(12, () => cluster.allSeeAll('alive'), 'all are alive');
    t.true(cluster.deathsSince(0).every(({ nodeId }) => nodeId === slow));
  }
});

test('a node whose bus is disconnected condemns nobody, and all are alive soon after', async (t) => {
  let suspicions = 0;
  for (let seed = 1; seed <= 10; seed++) {
    const cluster = await GossipCluster.started(seed, 5);
    const [away, suspect, ...others] = cluster.names as Names3;
    const { endpoint, detector } = cluster.at(away);
    // Somebody's suspicion is about to run out when the connection goes.
    cluster.at(suspect).life.pause();
    await cluster.periodsUntil(10, () => detector.stateOf(suspect) === 'suspect', 'a suspicion');
    await cluster.periods(2);
    const before = detector.stateOf(suspect);
    if (before === 'suspect') suspicions++;
    const disconnected = cluster.period;
    endpoint.setConnected(false);
    cluster.at(suspect).life.resume();
    await cluster.periods(100);
    t.true(cluster.allSee(away, 'dead', others));
    t.is(detector.stateOf(suspect), before);
    endpoint.setConnected(true);
    await cluster.periodsUntil(12, () => cluster.allSeeAll('alive'), 'all are alive');
    t.deepEqual(
      cluster.deathsSince(disconnected).filter(({ observer }) => observer === away),
      [],
    );
  }
  t.true(suspicions >= 4, `${suspicions}`);
});

test('a suspicion does not go on while its node is away, nor ends before it has heard what it missed', async (t) => {
  for (const elapsed of [0.1, 3.2]) {
    const cluster = await GossipCluster.started(1, 2);
    const [away, suspect] = cluster.names as Names3;
    const { endpoint, detector } = cluster.at(away);
    cluster.at(suspect).life.pause();
    await cluster.periodsUntil(10, () => detector.stateOf(suspect) === 'suspect', 'a suspicion');
    await cluster.periods(elapsed);
    t.is(detector.stateOf(suspect), 'suspect');
    endpoint.setConnected(false);
    await cluster.periods(50);
    endpoint.setConnected(true);
    // Four periods in all; two at least after the return.
    await cluster.periods(Math.max(1.9, 3.5 - elapsed));
    t.is(detector.stateOf(suspect), 'suspect', `${elapsed}`);
    await cluster.periodsUntil(3, () => detector.stateOf(suspect) === 'dead', 'dead in the end');
  }
});

test('a node whose connection gives nothing back, though it counts as connected, condemns nobody', async (t) => {
  for (const seed of [1, 2, 3, 4, 5]) {
    const cluster = await GossipCluster.started(seed, 5);
    const [deaf, ...others] = cluster.names as Names3;
    // Not even its own echo.
    const { watch } = cluster.network;
    cluster.network.watch = (passage) => passage.from !== deaf && passage.to !== deaf && watch(passage);
    await cluster.periods(100);
    t.true(cluster.allSee(deaf, 'dead', others));
    t.true(
      cluster
        .at(deaf)
        .detector.members()
        .every(({ state }) => state === 'alive'),
    );
    cluster.network.watch = watch;
    await cluster.periodsUntil(12, () => cluster.allSeeAll('alive'), 'all are alive');
    t.deepEqual(
      cluster.deathsSince(0).filter(({ observer }) => observer === deaf),
      [],
    );
  }
});

test('of two nodes one that stops answering is found dead by the other', async (t) => {
  const cluster = await GossipCluster.started(1, 2);
  const [one, two] = cluster.names as [NodeId, NodeId];
  cluster.at(two).life.pause();
  await cluster.periodsUntil(8, () => cluster.at(one).detector.stateOf(two) === 'dead', 'dead');
  t.pass();
});
