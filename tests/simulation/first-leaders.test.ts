/**
 * Goal: where all nodes of a cluster start at once, every shard is led where it should be, at once, and nobody has to hand
 * leadership over afterwards. Method: stories in the simulated world (`scenario.ts`), twelve shards on three nodes.
 */
import test from 'ava';
import { type Scenario, scenario } from './scenario.js';

const shards = 12;
/** Half an election timeout. */
const yieldedMs = 500;

const areAllLed = (s: Scenario): boolean => s.shardIds.every((shardId) => s.leaderOf(shardId) !== undefined);

test(
  'all nodes start at once: the first leader of every shard is the one that it should have',
  scenario({ shards }, async (t, s) => {
    // `begin` waited for that, so an election more would have been one for nothing.
    t.is(s.checks.elections, shards);
    t.is(s.logged('handing leadership over'), 0);
    for (const node of s.nodes) node.crash(true);
    await s.run(500);
    for (const node of s.nodes) node.start();
    await s.until(() => areAllLed(s), 5000, 'all shards are led');
    await s.run(3000);
    t.is(s.checks.elections, 2 * shards);
    t.is(s.logged('handing leadership over'), 0);
  }),
);

test(
  'all nodes start but one: its shards are led by others soon after those had left it the first word',
  scenario({ shards }, async (t, s) => {
    const [missing, ...others] = s.nodes;
    for (const node of s.nodes) node.crash(true);
    await s.run(500);
    for (const node of others) node.start();
    const ledMs = await s.until(() => areAllLed(s), 5000, 'all shards are led');
    t.true(ledMs >= yieldedMs && ledMs <= yieldedMs + 500, `after ${ledMs} ms`);
    t.true(s.shardIds.every((shardId) => s.leaderOf(shardId) !== missing));
  }),
);

test(
  'one node starts again while the others lead: it deposes nobody, and gets its shards back one by one',
  scenario({ shards }, async (t, s) => {
    const [node] = s.nodes;
    if (node === undefined) throw new Error('there are nodes');
    node.crash(true);
    await s.until(() => areAllLed(s), 5000, 'all shards are led');
    const before = s.checks.elections;
    node.start();
    const isHome = (): boolean => s.map.shards.every(({ id, replicas }) => s.leaderOf(id)?.id === replicas[0]?.nodeId);
    await s.until(isHome, 10_000, 'every shard is led where it should be');
    const moved = s.map.shards.filter(({ replicas }) => replicas[0]?.nodeId === node.id).length;
    t.is(s.checks.elections - before, moved);
    t.is(s.logged('handing leadership over'), moved);
  }),
);
