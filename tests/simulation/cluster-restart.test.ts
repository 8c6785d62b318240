/**
 * Goal: whatever a node remembers when it starts again, and however old that is, it goes on with what it holds. Method:
 * stories in the simulated world (`cluster-scenario.ts`).
 */
import test from 'ava';
import { clusterScenario } from './cluster-scenario.js';

test(
  'the machines of all lose power right after a replica has moved: the new one votes on, whatever map its node had kept',
  clusterScenario({ founders: 4, shards: 1, seeds: [1, 2, 3] }, async (t, s) => {
    await s.begin();
    await s.fill(10);
    const [shard] = s.map.shards;
    const [, from] = shard?.replicas ?? [];
    const to = s.map.nodes.find(({ id }) => !shard?.replicas.some(({ nodeId }) => nodeId === id));
    if (shard === undefined || from === undefined || to === undefined) throw new Error('no move is possible');
    s.cluster.wasShardMoved = true;
    let happened = false;
    s.when('a new replica takes its place', () => {
      s.world.at(8, () => {
        for (const node of s.cluster.nodes) node.crash(true);
        happened = true;
      });
    });
    await s.ask({ op: 'move', shard: shard.id, from: from.nodeId, to: to.id });
    await s.until(() => happened, 10_000, 'the replica has moved');
    for (const node of s.cluster.nodes) node.start();
    await s.rest('the move is over');
    t.true(s.map.shards[0]?.replicas.some(({ nodeId }) => nodeId === to.id));
    await s.expectFilled(t, 10);
  }),
);
