/**
 * Goal: a group nothing is asked of costs nothing and is there again when it is needed, whatever happened meanwhile.
 * Method: stories in the simulated world (`scenario.ts`), three replicas unless said otherwise.
 */
import test from 'ava';
import type { ShardId } from '../../src/base/index.js';
import { type Scenario, scenario } from './scenario.js';

const options = { raft: { quiesceAfterMs: 300 } };

const isQuiet = (s: Scenario, shardId: ShardId): boolean =>
  s.nodes.every((node) => s.groupOf(node, shardId)?.raft.isQuiescent === true);

const untilQuiet = (s: Scenario): Promise<number> =>
  s.until(() => s.shardIds.every((shardId) => isQuiet(s, shardId)), 5000, 'every group goes quiet');

test(
  'idle groups of 4 shards exchange only keepalives: no Raft message in 5 s',
  scenario({ ...options, shards: 4 }, async (t, s) => {
    await s.put('a', '1');
    await untilQuiet(s);
    await s.run(100);
    const before = { messages: s.traffic.raftMessages, keepalives: s.traffic.keepalives, terms: s.checks.elections };
    await s.run(5000);
    t.is(s.traffic.raftMessages - before.messages, 0);
    t.is(s.checks.elections - before.terms, 0);
    const keepalives = s.traffic.keepalives - before.keepalives;
    // Six links, one envelope at most every two heartbeat intervals, and not so few that a dead peer goes unnoticed.
    t.true(keepalives <= 6 * 55 && keepalives >= 6 * 25, `${keepalives} keepalives`);
  }),
);

test(
  'a follower of a quiet group is out of reach for a moment: afterwards it may be asked to lead, and the group is quiet',
  scenario(options, async (t, s) => {
    await s.put('a', '1');
    await untilQuiet(s);
    const leader = s.leader();
    const follower = s.follower();
    s.network.cut(leader.id, follower.id, 0);
    await s.run(300);
    s.mend();
    await s.run(3000);
    t.true(isQuiet(s, s.shard));
    const progress = s.group(leader, s.shard).raft.progressOf(s.group(follower, s.shard).replicaId);
    t.is(progress?.state, 'replicate');
  }),
);

test(
  'a quiet group takes a write at once, without an election',
  scenario(options, async (t, s) => {
    await untilQuiet(s);
    const elections = s.checks.elections;
    const tookMs = await s.put('a', '1');
    t.true(tookMs < 20, `${tookMs} ms`);
    t.is(s.checks.elections, elections);
    t.true((await untilQuiet(s)) > 0, 'and goes quiet again');
  }),
);

test(
  'a quiet group answers a linearizable read at once, without an election',
  scenario(options, async (t, s) => {
    await s.put('a', '1');
    await untilQuiet(s);
    const elections = s.checks.elections;
    t.is(await s.get('a'), '1');
    t.is(s.checks.elections, elections);
  }),
);

test(
  'a lease read after the quiet asks a quorum first, the next one does not',
  scenario(options, async (t, s) => {
    await s.put('a', '1');
    await untilQuiet(s);
    const { raft } = s.group(s.leader(), s.shard);
    t.false(raft.leaseValid(s.leader().life?.clock.nowMs() ?? 0), 'a quiet group has no lease');
    const answers = s.traffic.byType.get('HeartbeatResponse') ?? 0;
    t.is(await s.get('a', 'lease'), '1');
    t.true((s.traffic.byType.get('HeartbeatResponse') ?? 0) > answers);
    await s.run(5);
    t.true(raft.leaseValid(s.leader().life?.clock.nowMs() ?? 0));
  }),
);

test(
  "a quiet group's leader cut off from both followers serves no lease read of its past",
  scenario(options, async (t, s) => {
    await s.put('a', 'old');
    await untilQuiet(s);
    const old = s.leader();
    const beside = s.newClient('c2');
    await s.wait(beside.connect());
    s.cut([old.id, 'c2'], [...s.followers().map(({ id }) => id), 'c1']);
    const read = beside.get('a', 'lease', 1500);
    await s.put('a', 'new');
    await t.throwsAsync(s.wait(read));
    t.not(s.leader(), old);
  }),
);

for (const [fault, power] of [
  ['process dies', false],
  ['machine loses power', true],
] as const) {
  test(
    `the ${fault} of a quiet group's leader: a new leader within 600 ms, nothing asked of it`,
    scenario(options, async (t, s) => {
      await s.put('a', '1');
      await untilQuiet(s);
      const old = s.leader();
      old.crash(power);
      const tookMs = await s.until(() => ![undefined, old].includes(s.leaderOf(s.shard)), 600, 'a new leader');
      t.true(tookMs > 0);
      t.is(await s.get('a'), '1');
    }),
  );
}

test(
  "a quiet group's leader replica is given up while its node lives: another leads and brings it back",
  scenario({ ...options, shards: 2 }, async (t, s) => {
    await s.put(s.keyOf(s.shard), '1');
    await untilQuiet(s);
    const node = s.leader();
    const before = s.group(node, s.shard).replicaId;
    node.life?.run(() => node.host?.rebuildReplica(s.shard, 'asked for'));
    await s.until(() => ![undefined, node].includes(s.leaderOf(s.shard)), 2000, 'another leader');
    await s.put(s.keyOf(s.shard), '2');
    await s.until(() => s.groupOf(node, s.shard)?.raft.appliedIndex !== undefined, 5000, 'a new replica');
    t.not(s.group(node, s.shard).replicaId, before);
  }),
);

test(
  'a follower of a quiet group restarts: the group takes it in, keeps its leader and goes quiet again',
  scenario(options, async (t, s) => {
    await s.put('a', '1');
    await untilQuiet(s);
    const leader = s.leader();
    const elections = s.checks.elections;
    const follower = s.follower();
    follower.crash(true);
    await s.run(3000);
    follower.start();
    await s.until(() => follower.isServing, 1000, 'it serves');
    await untilQuiet(s);
    t.is(s.leader(), leader);
    t.is(s.checks.elections, elections);
    t.is(s.group(follower, s.shard).raft.appliedIndex, s.group(leader, s.shard).raft.appliedIndex);
  }),
);

test(
  'all nodes of a quiet group restart at once: it leads and answers again',
  scenario(options, async (t, s) => {
    await s.put('a', '1');
    await untilQuiet(s);
    for (const node of s.nodes) node.crash(true);
    for (const node of s.nodes) node.start();
    t.is(await s.get('a'), '1');
    await untilQuiet(s);
  }),
);

test(
  "a quiet group's leader cut off from one of two followers keeps leading, before and after the cut is noticed",
  scenario(options, async (t, s) => {
    await s.put('a', '1');
    await untilQuiet(s);
    const leader = s.leader();
    const elections = s.checks.elections;
    s.cut([leader.id], [s.follower().id], 2000);
    await s.run(10_000);
    t.is(s.leader(), leader);
    t.is(s.checks.elections, elections);
    await s.put('a', '2');
    s.mend();
    await s.until(() => isQuiet(s, s.shard), 5000, 'all three go quiet again');
    t.is(s.leader(), leader);
  }),
);

test(
  'a quiet node is paused for 5 s, as by SIGSTOP: a paused follower does no harm, a paused leader is replaced',
  scenario(options, async (t, s) => {
    await s.put('a', '1');
    await untilQuiet(s);
    const leader = s.leader();
    const follower = s.follower();
    follower.life?.pause();
    await s.run(5000);
    await s.put('a', '2');
    t.is(s.leader(), leader);
    follower.life?.resume();
    await untilQuiet(s);
    leader.life?.pause();
    await s.put('a', '3');
    leader.life?.resume();
    t.is(await s.get('a', 'lease'), '3');
  }),
);
