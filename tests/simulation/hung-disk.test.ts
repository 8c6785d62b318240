/**
 * Goal: a disk that does not answer takes its node out of the lead and out of nothing else (RAFT-PITFALLS 36).
 * Method: stories in the simulated world (`scenario.ts`); writes of the log hang, everything else goes on.
 */
import test from 'ava';
import { scenario } from './scenario.js';

const options = { shards: 3, limits: { diskStallMs: 500 } };

test(
  'pitfall 36: a leader whose disk hangs hands over, its shards take writes while it hangs, and it catches up after',
  scenario(options, async (t, s) => {
    const node = s.leader();
    const key = s.keyOf(s.shard);
    await s.put(key, '1');
    s.hang(node, 20_000);
    const tookMs = await s.put(key, '2');
    t.true(tookMs < 3000, `${tookMs} ms until a write was taken`);
    for (const shardId of s.shardIds) {
      await s.put(s.keyOf(shardId), 'while it hangs');
      t.not(s.leader(shardId), node);
    }
    t.is(node.host?.status.counters.diskStalls, 1);
    t.true(node.machine.weather.hangsUntilMs > s.world.nowMs, 'all that while it hung');
    await s.run(20_000);
    const applied = (): number | undefined => s.groupOf(node, s.shard)?.raft.appliedIndex;
    await s.until(() => applied() === s.group(s.leader(), s.shard).raft.appliedIndex, 3000, 'it catches up');
    await s.until(() => s.leaderOf(s.shard) === node, 5000, 'it leads again what it is to lead');
  }),
);

test(
  'pitfall 36: a leader with a hung disk and no write under way leads on, for nothing is owed',
  scenario(options, async (t, s) => {
    const node = s.leader();
    await s.run(500);
    s.hang(node, 5000);
    await s.run(4000);
    t.is(s.leader(), node);
    t.is(node.host?.status.counters.diskStalls, 0);
  }),
);

test(
  'pitfall 36: a follower whose disk hangs does no harm: no election, every write in time, and it catches up',
  scenario({ ...options, shards: 1 }, async (t, s) => {
    const node = s.follower();
    const elections = s.checks.elections;
    s.hang(node, 10_000);
    for (let n = 0; n < 20; n++) {
      t.true((await s.put('a', `${n}`)) < 50);
      await s.run(300);
    }
    t.is(s.checks.elections, elections);
    t.is(node.host?.status.counters.diskStalls, 1);
    await s.run(5000);
    t.is(s.group(node, s.shard).raft.appliedIndex, s.group(s.leader(), s.shard).raft.appliedIndex);
    t.is(s.checks.elections, elections);
  }),
);

test(
  'pitfall 36: 2 of 3 disks hang: writes wait, none is lost or answered wrongly, and they go on when one answers',
  scenario(options, async (t, s) => {
    const [a, b] = s.nodes;
    if (a === undefined || b === undefined) throw new Error('three nodes');
    const key = s.keyOf(s.shard);
    await s.put(key, '1');
    s.hang(a, 6000);
    s.hang(b, 20_000);
    const tookMs = await s.wait(s.client.put(key, '2', { timeoutMs: 20_000 }).then(() => s.world.nowMs));
    t.true(tookMs > 0);
    t.true(b.machine.weather.hangsUntilMs > s.world.nowMs, 'one answering disk is enough');
  }),
);

test(
  'pitfall 36: a leader whose disk hangs with nobody to hand over to steps down within two checks of the quorum',
  scenario({ ...options, shards: 1 }, async (t, s) => {
    const node = s.leader();
    s.isolate([node.id, 'c1']);
    s.hang(node, 10_000);
    s.client.put('a', '1', { timeoutMs: 500 }).catch(() => {});
    await s.until(() => !s.group(node, s.shard).raft.isLeader, 2500, 'it steps down');
    t.pass();
  }),
);
