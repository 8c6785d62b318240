/**
 * Goal: members come, go, come back and are removed, and nobody mistakes one for the other. Method: detectors in the
 * simulated world; every state that any node ever saw counts.
 */
import test from 'ava';
import type { NodeId } from '../../../src/base/index.js';
import { gossipSubject } from '../../../src/wire/index.js';
import { cluster as clusterName, factsOf, GossipCluster, namesOf } from './gossip-cluster.js';

type Names3 = [NodeId, NodeId, NodeId, ...NodeId[]];

test('a dead node that is started again is alive everywhere, and old news of its former life does not kill it', async (t) => {
  for (const seed of [1, 2, 3, 4, 5]) {
    const cluster = await GossipCluster.started(seed, 5);
    const [back, witness, ...others] = cluster.names as Names3;
    cluster.crash(back);
    await cluster.periodsUntil(10, () => cluster.allSee(back, 'dead'), 'dead');
    // One that missed its return still says that it is dead.
    cluster.cutBetween([witness], [back, ...others]);
    cluster.start(back);
    await cluster.periods(3);
    t.is(cluster.at(witness).detector.stateOf(back), 'dead');
    const returned = cluster.period;
    cluster.network.mendAll();
    await cluster.periodsUntil(14, () => cluster.allSeeAll('alive'), 'all are alive');
    const killed = cluster.deathsSince(returned).filter(({ nodeId }) => nodeId === back);
    t.deepEqual(killed, []);
    t.is(
      cluster
        .at(witness)
        .detector.members()
        .find(({ nodeId }) => nodeId === back)?.life,
      2,
    );
  }
});

test('a new life is told of even where nobody noticed the end of the old one', async (t) => {
  const cluster = await GossipCluster.started(1, 5);
  const [back, other] = cluster.names as Names3;
  cluster.crash(back);
  cluster.start(back);
  await cluster.periods(2);
  const seen = cluster.sightings.filter(
    ({ observer, nodeId, life }) => observer === other && nodeId === back && life === 2,
  );
  t.deepEqual(
    seen.map(({ before, state }) => [before, state]),
    [['alive', 'alive']],
  );
});

test('each side of a partition 2|3 finds the other dead, and it heals without restarts and without anybody dying of it', async (t) => {
  for (const noticed of [false, true]) {
    for (const seed of [1, 2, 3, 4, 5]) {
      const cluster = await GossipCluster.started(seed, 5);
      const few = cluster.names.slice(0, 2);
      const many = cluster.names.slice(2);
      cluster.cutBetween(few, many, noticed);
      const isSplit = (): boolean =>
        few.every((name) => cluster.allSee(name, 'dead', many) && cluster.allSee(name, 'alive', few)) &&
        many.every((name) => cluster.allSee(name, 'dead', few) && cluster.allSee(name, 'alive', many));
      await cluster.periodsUntil(16, isSplit, 'each side alone');
      await cluster.periods(100);
      t.true(isSplit());
      const healed = cluster.period;
      cluster.network.mendAll();
      await cluster.periodsUntil(20, () => cluster.allSeeAll('alive'), 'one cluster');
      await cluster.periods(20);
      t.deepEqual(cluster.deathsSince(healed), [], `seed ${seed}`);
    }
  }
});

test('a partition 50|50 heals within 30 periods without anybody dying of it', async (t) => {
  for (const seed of [1, 2]) {
    const cluster = await GossipCluster.started(seed, 100);
    const [one, other] = [cluster.names.slice(0, 50), cluster.names.slice(50)];
    cluster.cutBetween(one, other, true);
    await cluster.periods(60);
    t.true(cluster.names.slice(0, 50).every((name) => cluster.allSee(name, 'dead', other)));
    const healed = cluster.period;
    cluster.network.mendAll();
    const took = await cluster.periodsUntil(30, () => cluster.allSeeAll('alive'), 'one cluster');
    t.log(`${took.toFixed(1)} periods`);
    t.deepEqual(cluster.deathsSince(healed), []);
  }
});

test('facts that changed behind a partition are known to all within 16 periods of its end', async (t) => {
  for (const seed of [1, 2, 3]) {
    const cluster = await GossipCluster.started(seed, 20);
    cluster.cutBetween(cluster.names.slice(0, 10), cluster.names.slice(10));
    await cluster.periods(20);
    for (const { detector } of cluster.nodes.values()) detector.setFacts(factsOf({ zone: 'moved' }));
    await cluster.periods(80);
    cluster.network.mendAll();
    const isKnown = (): boolean =>
      [...cluster.nodes.values()].every(({ detector }) =>
        detector.members().every(({ facts }) => facts?.zone === 'moved'),
      );
    t.false(isKnown());
    const took = await cluster.periodsUntil(16, isKnown, 'facts of the other side');
    t.log(`${took.toFixed(1)} periods`);
  }
});

test('a node that leaves is left, not dead, everywhere, and stays so', async (t) => {
  for (const seed of [1, 2, 3]) {
    const cluster = await GossipCluster.started(seed, 5);
    const [leaver, missedIt] = cluster.names as Names3;
    cluster.cutBetween([leaver], [missedIt]);
    const { detector } = cluster.at(leaver);
    detector.leave();
    await cluster.periods(0.1);
    detector.stop();
    cluster.crash(leaver);
    await cluster.periodsUntil(6, () => cluster.allSee(leaver, 'left'), 'left');
    await cluster.periods(100);
    t.true(cluster.allSee(leaver, 'left'));
    t.deepEqual(cluster.deathsSince(0), []);
    cluster.network.mendAll();
    cluster.start(leaver);
    await cluster.periodsUntil(8, () => cluster.allSeeAll('alive'), 'it is back');
  }
});

test('a node that is expected and never comes is unknown, then suspect, then dead, and alive once it comes', async (t) => {
  const cluster = new GossipCluster(1, namesOf(5));
  const [late, ...others] = cluster.names as Names3;
  for (const name of others) cluster.start(name);
  const [first] = others as [NodeId, ...NodeId[]];
  t.is(cluster.at(first).detector.stateOf(late), 'unknown');
  await cluster.periodsUntil(12, () => cluster.allSee(late, 'dead'), 'dead');
  const seen = cluster.sightings.filter(({ observer, nodeId }) => observer === first && nodeId === late);
  t.deepEqual(
    seen.map(({ before, state }) => [before, state]),
    [
      ['unknown', 'suspect'],
      ['suspect', 'dead'],
    ],
  );
  const never = cluster
    .at(first)
    .detector.members()
    .find(({ nodeId }) => nodeId === late);
  t.is(never?.lastHeardMs, Number.NEGATIVE_INFINITY);
  t.true(cluster.sum(({ counters }) => counters.probesIndirect) > 0, 'others were asked for it');
  t.is(
    cluster.sum(({ counters }) => counters.messagesMalformed),
    0,
    'and understood',
  );
  cluster.start(late);
  await cluster.periodsUntil(8, () => cluster.allSeeAll('alive'), 'alive');
});

test('what is said about a node that was never heard of is understood by everybody', async (t) => {
  const cluster = new GossipCluster(1, namesOf(5));
  const [late, ...others] = cluster.names as Names3;
  for (const name of others) cluster.start(name);
  await cluster.periodsUntil(12, () => cluster.allSee(late, 'dead'), 'dead');
  for (const name of others) t.is(cluster.at(name).detector.counters.messagesMalformed, 0, name);
});

test('a node that was forgotten stays away until its life is greater', async (t) => {
  const cluster = await GossipCluster.started(1, 5);
  const [removed, stillKnows, ...others] = cluster.names as Names3;
  for (const name of others) cluster.at(name).detector.forget(removed);
  await cluster.periods(100);
  t.is(cluster.at(stillKnows).detector.stateOf(removed), 'alive');
  for (const name of others) t.is(cluster.at(name).detector.stateOf(removed), undefined);
  t.true(cluster.sum(({ counters }) => counters.messagesFromPastLives) > 0);
  cluster.crash(removed);
  cluster.start(removed);
  await cluster.periodsUntil(12, () => cluster.allSeeAll('alive'), 'it is back');
});

test('a process of an earlier life that still speaks is not listened to', async (t) => {
  const cluster = await GossipCluster.started(1, 5);
  const [twice, other] = cluster.names as Names3;
  const old = cluster.at(twice);
  cluster.start(twice);
  await cluster.periods(50);
  t.true(cluster.at(other).detector.counters.messagesFromPastLives > 0);
  t.is(
    cluster
      .at(other)
      .detector.members()
      .find(({ nodeId }) => nodeId === twice)?.life,
    2,
  );
  t.true(old.detector.counters.messagesSent > 50);
  t.deepEqual(
    cluster.deathsSince(0).filter(({ observer }) => observer !== twice),
    [],
  );
});

test('members come sorted, with heartbeats that go on', async (t) => {
  const cluster = await GossipCluster.started(1, 5);
  const [one] = cluster.names as Names3;
  const beatsNow = () =>
    cluster
      .at(one)
      .detector.members()
      .map(({ heartbeat }) => heartbeat);
  const before = beatsNow();
  await cluster.periods(20);
  t.true(beatsNow().every((beat, at) => beat >= (before[at] ?? 0) + 15));
  t.deepEqual(
    cluster
      .at(one)
      .detector.members()
      .map(({ nodeId }) => nodeId),
    [...cluster.names],
  );
  t.true(gossipSubject(clusterName, one).endsWith(one));
});
