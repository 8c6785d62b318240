/**
 * Goal: a node that joins takes its share and nothing is lost. Method: stories in the simulated world
 * (`cluster-scenario.ts`).
 */
import test from 'ava';
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
  }),
);
