/**
 * Goal: a cluster is founded once, by all of its founding nodes, whoever dies meanwhile; what was lost later never speaks
 * again under an old name. Method: stories in the simulated world (`cluster-scenario.ts`); nodes die at many moments of
 * the founding.
 */
import type { ExecutionContext } from 'ava';
import test from 'ava';
import { homesOf } from '../../src/meta/planning.js';
import { type ClusterScenario, clusterScenario } from './cluster-scenario.js';
import type { SimNode } from './sim-node.js';

/** A founding is over after about a second: a moment a seed, most of them early. */
const everyMoment = Array.from({ length: 14 }, (_, at) => at);
const momentOf = ({ seed }: ClusterScenario): number => 8 * seed ** 2;

async function expectFounded(t: ExecutionContext, s: ClusterScenario): Promise<void> {
  await s.rest('the cluster is founded', 30_000);
  t.is(s.changesOf('founded').length, 1);
  for (const node of s.cluster.founders) t.is(node.host?.maps.current.epoch, s.map.epoch);
  await s.wait(s.client.connect());
  await s.fill(5);
  await s.expectFilled(t, 5);
}

for (const power of [false, true]) {
  const how = power ? 'loses power' : 'is killed';
  test(
    `a founding node ${how} at any of ${everyMoment.length} moments of the founding: it is completed, once`,
    clusterScenario({ seeds: everyMoment }, async (t, s) => {
      for (const node of s.cluster.founders) node.start();
      await s.run(momentOf(s));
      const victim = s.cluster.founders[s.seed % 3] as SimNode;
      victim.crash(power);
      await s.run(300);
      victim.start();
      await expectFounded(t, s);
    }),
  );

  test(
    `all founding nodes ${power ? 'lose power' : 'are killed'} at any of ${everyMoment.length} moments of the founding: it is completed, once`,
    clusterScenario({ founders: 5, seeds: everyMoment }, async (t, s) => {
      for (const node of s.cluster.founders) node.start();
      await s.run(momentOf(s));
      for (const node of s.cluster.founders) node.crash(power);
      for (const node of s.cluster.founders) {
        await s.run(s.world.between(0, 200));
        node.start();
      }
      await expectFounded(t, s);
    }),
  );
}

test(
  'founding nodes wait for the one that starts late, and no shard is without a majority then',
  clusterScenario({ founders: 5, shards: 8 }, async (t, s) => {
    const [late, later, ...others] = s.cluster.founders as [SimNode, SimNode, ...SimNode[]];
    for (const node of others) node.start();
    await s.run(10_000);
    t.is(s.changesOf('founded').length, 0);
    t.true(s.logged('waiting for the other founding nodes') >= 3);
    late.start();
    await s.run(5000);
    t.is(s.changesOf('founded').length, 0);
    later.start();
    await expectFounded(t, s);
  }),
);

test(
  'two founding nodes die between their answer and their beginning: the others found nothing without them',
  clusterScenario({ founders: 5, shards: 8 }, async (t, s) => {
    for (const node of s.cluster.founders) node.start();
    const [one, two] = s.cluster.founders as [SimNode, SimNode];
    // Whoever has begun serves; these two never come so far.
    await s.until(() => s.cluster.founders.some(({ host }) => host !== undefined), 2000, 'somebody has begun');
    for (const node of [one, two]) node.crash(true);
    await s.run(6000);
    t.is(s.changesOf('founded').length, 0);
    for (const node of [one, two]) node.start();
    await expectFounded(t, s);
  }),
);

test(
  'a founding node that comes back with an empty disk takes no vote back: it gets new replicas from the others',
  clusterScenario({ founders: 3, shards: 4 }, async (t, s) => {
    await s.begin();
    await s.fill(20);
    const [victim] = s.cluster.founders as [SimNode];
    victim.crash(true);
    victim.wipe();
    await s.run(500);
    victim.start();
    await s.rest('it has all its replicas');
    const ids = [...(victim.host?.replicas() ?? [])].map(({ replicaId }) => replicaId);
    t.is(ids.length, s.map.shards.filter((shard) => homesOf(shard).includes(victim.id)).length + 1);
    t.true(
      ids.every((id) => id >= 0x1_0000),
      'none has the id it had',
    );
    await s.expectFilled(t, 20);
  }),
);

test(
  'a founding node with an empty disk begins nothing while nobody is there to ask',
  clusterScenario({ founders: 3, shards: 2 }, async (t, s) => {
    await s.begin();
    await s.fill(10);
    const [victim, second, third] = s.cluster.founders as [SimNode, SimNode, SimNode];
    for (const node of s.cluster.founders) node.crash(true);
    victim.wipe();
    await s.run(500);
    victim.start();
    await s.run(10_000);
    t.false(victim.isServing);
    second.start();
    await s.run(10_000);
    t.is(s.changesOf('founded').length, 1);
    third.start();
    await s.rest('it is whole again');
    await s.expectFilled(t, 10);
  }),
);
