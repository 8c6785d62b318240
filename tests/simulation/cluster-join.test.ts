/**
 * Goal: a node that joins takes its share and nothing is lost. Method: stories in the simulated world
 * (`cluster-scenario.ts`).
 */
import test from 'ava';
import type { ShardId } from '../../src/base/index.js';
import { clusterScenario } from './cluster-scenario.js';

test(
  'a fourth node joins under load: it gets its share, what moved away is gone from the disks, and no operation fails',
  clusterScenario({ spares: 1, shards: 8 }, async (t, s) => {
    await s.begin();
    await s.fill();
    const work = s.startWorkload();
    await s.run(300);
    s.node('n4').start();
    await s.rest('n4 has its share', 60_000, () => s.changesOf('moveBegan').length > 0);
    t.is(s.map.nodes.length, 4);
    for (const { replicas, leaders } of s.cluster.loads) {
      t.true(replicas === 6, `${replicas} replicas`);
      t.true(leaders >= 1 && leaders <= 3, `${leaders} leaders`);
    }
    t.true(s.cluster.truth.mostMoves <= s.map.settings.maxMoves);
    await s.expectFilled(t);
    t.true(work.counts.ok > 50);
    t.is(work.counts.failed + work.counts.unknown, 0);
    // Nothing that went comes back from a log: the checks look at every start.
    for (const node of s.cluster.nodes) {
      node.crash(true);
      await s.run(300);
      node.start();
      await s.rest(`${node.id} is back`);
    }
  }),
);

for (const power of [false, true]) {
  test(
    `a node that ${power ? 'loses power' : 'is killed'} again and again while it joins has its share in the end`,
    clusterScenario({ spares: 1, shards: 6, management: { maxMoves: 2 } }, async (t, s) => {
      await s.begin();
      await s.fill();
      const node = s.node('n4');
      for (let lives = 0; lives < 12; lives++) {
        node.start();
        await s.run(s.world.between(1, 700));
        node.crash(power);
        await s.run(s.world.between(1, 300));
      }
      node.start();
      await s.rest('it has its share', 60_000, () => s.changesOf('moveDone').length > 0);
      t.is(s.changesOf('nodeJoined').length, 1);
      await s.expectFilled(t);
    }),
  );
}

test(
  'the manager dies while two nodes join: both are in, once',
  clusterScenario({ spares: 2, shards: 6 }, async (t, s) => {
    await s.begin();
    await s.fill();
    for (const node of s.cluster.spares) node.start();
    const { manager } = s.cluster;
    s.whenChanged('nodeJoined', () => manager.crash(true));
    await s.run(4000);
    manager.start();
    await s.rest('both have their share', 60_000, () => s.map.nodes.length === 5);
    t.is(s.changesOf('nodeJoined').length, 2);
    await s.expectFilled(t);
  }),
);

test(
  'a node that joined comes back with an empty disk: it gets what it had anew, under new ids',
  clusterScenario({ spares: 1, shards: 4 }, async (t, s) => {
    await s.begin();
    await s.fill();
    const node = s.node('n4');
    node.start();
    await s.rest('it has its share', 60_000, () => s.changesOf('moveDone').length > 0);
    node.crash(true);
    node.wipe();
    await s.run(3000);
    node.start();
    await s.rest('it has it again', 60_000, () => node.host !== undefined);
    t.is(s.changesOf('nodeJoined').length, 1);
    await s.expectFilled(t);
  }),
);

test(
  'a joined node that holds a member of the system shard goes on when all start again and nobody manages yet',
  clusterScenario({ spares: 1, shards: 2, management: { downAfterMs: 1500 } }, async (t, s) => {
    await s.begin();
    await s.fill(10);
    s.node('n4').start();
    await s.rest('it has its share', 60_000, () => s.map.nodes.length === 4);
    const [gone, stays] = s.map.system.replicas.map(({ nodeId }) => s.node(nodeId));
    if (gone === undefined || stays === undefined) throw new Error('no system shard');
    s.cluster.kill(gone, true);
    await s.until(
      () => s.map.system.leaving.length === 0 && s.map.system.replicas.some(({ nodeId }) => nodeId === 'n4'),
      30_000,
      'n4 is a member of it',
    );
    for (const node of s.cluster.members) node.crash(true);
    await s.run(300);
    // Of the others only one comes back at first: without n4 there is no majority.
    stays.start();
    s.node('n4').start();
    await s.until(() => s.cluster.leaderOf(0 as ShardId) !== undefined, 10_000, 'somebody leads the system shard');
    await s.run(1000);
    t.pass();
  }),
);
