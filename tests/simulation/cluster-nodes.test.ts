/**
 * Goal: nodes leave, die and come back, and the cluster sees to its replicas by itself, whoever manages it. Method:
 * stories in the simulated world (`cluster-scenario.ts`).
 */
import test from 'ava';
import { type ReplicaId, systemShardId } from '../../src/base/index.js';
import { homesOf } from '../../src/meta/planning.js';
import { type ClusterScenario, clusterScenario } from './cluster-scenario.js';
import type { SimNode } from './sim-node.js';

const conditionOf = (s: ClusterScenario, node: SimNode): string | undefined =>
  s.map.nodes.find(({ id }) => id === node.id)?.condition;

const holds = (s: ClusterScenario, node: SimNode): number =>
  [s.map.system, ...s.map.shards].filter((shard) => homesOf(shard).includes(node.id)).length;

/** One that does not manage the cluster. */
const another = (s: ClusterScenario): SimNode =>
  s.cluster.nodes.find((node) => node.isServing && node !== s.cluster.manager) as SimNode;

test(
  'a node is drained under load: no operation fails, nothing is left on it, and taken back it gets its share again',
  clusterScenario({ founders: 4, shards: 6 }, async (t, s) => {
    await s.begin();
    await s.fill();
    const work = s.startWorkload();
    const node = another(s);
    await s.ask({ op: 'drain', node: node.id });
    await s.rest('it is drained', 60_000, () => conditionOf(s, node) === 'drained');
    t.is(holds(s, node), 0);
    t.is(node.host?.status.shards.length, 0);
    // Drained, it may be stopped and started.
    await s.wait(node.stop());
    await s.run(500);
    node.start();
    await s.run(1000);
    t.is(node.host?.status.shards.length, 0);
    await s.ask({ op: 'recommission', node: node.id });
    await s.rest('it has its share', 60_000, () => holds(s, node) > 0);
    t.is(work.counts.failed + work.counts.unknown, 0);
    t.true(work.counts.ok > 100);
    await s.expectFilled(t);
  }),
);

test(
  'the node that manages the cluster is drained: another one goes on with it',
  clusterScenario({ founders: 4, shards: 6 }, async (t, s) => {
    await s.begin();
    await s.fill();
    const work = s.startWorkload();
    const node = s.cluster.manager;
    await s.ask({ op: 'drain', node: node.id });
    await s.rest('it is drained', 60_000, () => conditionOf(s, node) === 'drained');
    t.not(s.cluster.manager, node);
    t.is(holds(s, node), 0);
    t.is(work.counts.failed + work.counts.unknown, 0);
    await s.expectFilled(t);
  }),
);

for (const power of [false, true]) {
  test(
    `a drain goes on when the manager ${power ? 'loses power' : 'is killed'} in the middle of it`,
    clusterScenario({ founders: 5, shards: 8, management: { maxMoves: 2 } }, async (t, s) => {
      await s.begin();
      await s.fill();
      const node = another(s);
      await s.ask({ op: 'drain', node: node.id });
      await s.until(() => s.changesOf('moveDone').length > 0, 10_000, 'a part of it is done');
      const { manager } = s.cluster;
      manager.crash(power);
      await s.run(1500);
      manager.start();
      await s.rest('it is drained', 60_000, () => conditionOf(s, node) === 'drained');
      await s.expectFilled(t);
    }),
  );
}

test(
  'a node is taken out for good: drained first, then forgotten by all, and it does not come back by itself',
  clusterScenario({ founders: 4, shards: 4 }, async (t, s) => {
    await s.begin();
    await s.fill();
    const node = another(s);
    await t.throwsAsync(s.ask({ op: 'decommission', node: node.id }), { code: 'BUSY' });
    await s.rest('it is drained', 60_000, () => conditionOf(s, node) === 'drained');
    await s.ask({ op: 'decommission', node: node.id });
    await s.rest('it is forgotten');
    t.is(s.map.nodes.length, 3);
    node.crash(false);
    await s.run(500);
    node.start();
    await s.run(5000);
    t.is(s.map.nodes.length, 3);
    t.is(node.host?.status.shards.length ?? 0, 0);
    await s.expectFilled(t);
  }),
);

test(
  'one of 5 nodes dies for good under load: every shard is whole again, and nobody was asked',
  clusterScenario({ founders: 5, shards: 6, management: { downAfterMs: 2000 } }, async (t, s) => {
    await s.begin();
    await s.fill();
    const work = s.startWorkload();
    const node = another(s);
    s.cluster.kill(node, true);
    await s.rest('all is replicated again', 60_000, () => conditionOf(s, node) === 'down' && holds(s, node) === 0);
    await s.expectFilled(t);
    t.true(work.counts.ok > 100);

    s.cluster.revive(node);
    await s.rest('it has a share again', 60_000, () => conditionOf(s, node) === 'up' && holds(s, node) > 0);
    await s.expectFilled(t);
  }),
);

test(
  'the managing node dies for good: the next one replaces it, and the system shard is whole again',
  clusterScenario({ founders: 5, shards: 4, management: { downAfterMs: 2000 } }, async (t, s) => {
    await s.begin();
    await s.fill();
    const node = s.cluster.manager;
    s.cluster.kill(node, false);
    await s.rest('all is replicated again', 60_000, () => conditionOf(s, node) === 'down' && holds(s, node) === 0);
    t.is(homesOf(s.map.system).length, 3);
    t.false(homesOf(s.map.system).includes(node.id));
    await s.expectFilled(t);
  }),
);

test(
  'of two replicas that have to go the dead one goes first, so that the shard can bear another death as soon as may be',
  clusterScenario({ founders: 5, shards: 10, management: { downAfterMs: 1500 } }, async (t, s) => {
    await s.begin();
    const { manager } = s.cluster;
    const shard = s.map.shards.find((one) => {
      const [first, ...others] = homesOf(one);
      return first === manager.id || !others.includes(manager.id);
    });
    if (shard === undefined) throw new Error('every shard has a follower beside the manager');
    const leader = s.node(homesOf(shard)[0] as string);
    const group = [...(leader.host?.replicas() ?? [])].find(({ shardId }) => shardId === shard.id);
    if (group === undefined) throw new Error('it does not lead');
    // The first in the list of voters is alive.
    const { voters, nodes } = group.raft.configuration;
    const [alive, dead] = voters.filter((id) => id !== group.replicaId) as [ReplicaId, ReplicaId];
    const homeOf = (id: ReplicaId): string => nodes?.[id] as string;
    s.cluster.network.watch = ({ message }) => !message.payload.includes('replaceReplica');
    s.cluster.kill(s.node(homeOf(dead)), true);
    await s.ask({ op: 'drain', node: homeOf(alive) });
    await s.until(() => s.cluster.shardOf(shard.id).leaving.length === 2, 20_000, 'both are to go');
    s.cluster.network.watch = () => true;
    await s.until(() => group.raft.configuration.outgoing.length > 0, 20_000, 'one goes');
    t.false(group.raft.configuration.voters.includes(dead));
  }),
);

test(
  'a node that is back before its time is up keeps what it had: nothing moves',
  clusterScenario({ founders: 4, shards: 6, management: { downAfterMs: 6000 } }, async (t, s) => {
    await s.begin();
    const node = another(s);
    const held = holds(s, node);
    node.crash(true);
    await s.run(4000);
    node.start();
    await s.run(6000);
    t.is(holds(s, node), held);
    t.deepEqual(s.changesOf('moveBegan'), []);
    t.deepEqual(s.changesOf('nodeChanged'), []);
  }),
);

test(
  'a node is dead when the whole cluster starts again: whoever manages it then finds it dead, and replaces it',
  clusterScenario({ founders: 5, shards: 4, management: { downAfterMs: 2000 } }, async (t, s) => {
    await s.begin();
    await s.fill();
    const node = another(s);
    s.cluster.kill(node, true);
    for (const other of s.cluster.members) other.crash(true);
    await s.run(300);
    for (const other of s.cluster.members) other.start();
    await s.rest('all is replicated again', 60_000, () => conditionOf(s, node) === 'down' && holds(s, node) === 0);
    await s.expectFilled(t);
  }),
);

test(
  'the members of the system shard die one after the other, with time in between: the cluster is managed to the end',
  clusterScenario({ founders: 6, shards: 3, management: { downAfterMs: 1500 } }, async (t, s) => {
    await s.begin();
    await s.fill(20);
    for (let deaths = 0; deaths < 3; deaths++) {
      const node = s.node(homesOf(s.map.system)[deaths % 2] as string);
      s.cluster.kill(node, deaths % 2 === 0);
      await s.rest(`death ${deaths + 1} is got over`, 60_000, () => holds(s, node) === 0);
    }
    t.is(s.cluster.dead.size, 3);
    t.is(homesOf(s.map.system).length, 3);
    await s.expectFilled(t, 20);
  }),
);

test(
  'the manager is cut off: another one manages, what is asked of the old one is not done, and there is one history',
  clusterScenario({ founders: 4, shards: 4, management: { downAfterMs: 60_000 } }, async (t, s) => {
    await s.begin();
    const old = s.cluster.manager;
    const before = s.map.epoch;
    s.isolate([old.id]);
    const order = s.cluster.nodes.find((node) => node !== old) as SimNode;
    await s.until(() => s.cluster.leaderOf(systemShardId) !== old, 10_000, 'another one leads');
    await s.ask({ op: 'setNode', node: order.id, weight: 2 });
    t.is(s.map.epoch, before + 1);
    s.mend();
    await s.rest('all have one map');
    t.is(old.host?.maps.current.nodes.find(({ id }) => id === order.id)?.weight, 2);
  }),
);

test(
  'the manager takes one step at a time, however often it is woken',
  clusterScenario({ founders: 3, shards: 2 }, async (t, s) => {
    await s.begin();
    const server = Reflect.get(s.cluster.manager.cluster as object, 'manager') as object;
    const manager = Reflect.get(server, 'manager') as { plan(): void };
    const { plan } = manager;
    let steps = 0;
    manager.plan = () => {
      steps++;
      plan.call(manager);
    };
    for (let n = 0; n < 100; n++) {
      // A step that the first of them wakes waits for the next, which wakes it again.
      for (const node of ['n1', 'n2', 'n3']) s.order({ op: 'setNode', node, weight: 1 + (n % 3) });
      await s.run(11);
    }
    await s.run(2000);
    steps = 0;
    await s.run(5000);
    t.true(steps >= 4 && steps <= 6, `${steps} steps in 5 s`);
  }),
);
