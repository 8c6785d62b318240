/**
 * Goal: a node with an old map does no harm, whatever it leads. Method: stories in the simulated world
 * (`cluster-scenario.ts`) in which news of the map reach some nodes late.
 */
import test from 'ava';
import { homesOf } from '../../src/meta/planning.js';
import { type ClusterScenario, clusterScenario } from './cluster-scenario.js';
import type { SimNode } from './sim-node.js';

/** Nothing reaches these nodes that tells of a newer map: neither changes, nor maps, nor gossip. */
function keepOld(s: ClusterScenario, nodes: readonly SimNode[]): void {
  s.cluster.network.watch = ({ to, message }) => {
    const isNews = message.subject.startsWith('_kv.sim.mapchange') || message.subject.startsWith('_kv.sim.gossip');
    return !isNews || nodes.every(({ id }) => id !== to);
  };
}

test(
  'a leader that has missed a move does not take it back: 2 nodes with the old map, one leading, one whose replica went',
  clusterScenario({ founders: 4, shards: 4, management: { downAfterMs: 600_000 } }, async (t, s) => {
    await s.begin();
    await s.fill(20);
    const { manager } = s.cluster;
    const shard = s.map.shards.find((one) => !homesOf(one).includes(manager.id));
    if (shard === undefined) throw new Error('every shard has a replica beside the manager');
    const [first, second, third] = homesOf(shard).map((id) => s.node(id)) as [SimNode, SimNode, SimNode];
    // Every node has asked the manager for its map, and asks no more.
    await s.run(1000);
    keepOld(s, [second, third]);
    s.cluster.wasShardMoved = true;
    await s.ask({ op: 'move', shard: shard.id, from: third.id, to: manager.id });
    await s.until(() => s.changesOf('moveDone').length === 1, 5000, 'the move is over');
    t.is(third.host?.maps.current.epoch, 1, 'it does not know');

    const group = [...(first.host?.replicas() ?? [])].find(({ shardId }) => shardId === shard.id);
    const successor = group?.voterOn(second.id);
    if (group === undefined || successor === undefined) throw new Error('no replica');
    first.life?.run(() => {
      group.raft.transferLeadership(successor, first.life?.clock.nowMs() ?? 0);
      first.host?.wake(group);
    });
    await s.until(() => s.cluster.leaderOf(shard.id) === second, 2000, 'the other one leads');
    first.crash(false);
    await s.run(3000);
    t.is(s.cluster.leaderOf(shard.id), second);
    const voters = s.cluster.checks.membership(shard.id)?.nodes ?? {};
    t.deepEqual(new Set(Object.values(voters)), new Set([first.id, second.id, manager.id]));
    s.cluster.network.watch = () => true;
    await s.run(3000);
    first.start();
    await s.expectFilled(t, 20);
  }),
);
