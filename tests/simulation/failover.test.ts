/**
 * Goal: a shard whose leader is gone takes writes again soon, and no leader is replaced while its lease may hold.
 * Method: stories in the simulated world (`scenario.ts`); NATS says at once, later or never that nobody listens.
 */
import test from 'ava';
import { scenario } from './scenario.js';
import { scenarioBucket } from './scenario-client.js';
import type { SimNode } from './sim-node.js';

/** A vote is withheld this long after the leader was heard; a lease ends sooner. */
const voteHoldMs = 200;
const leaseMs = 150;

for (const [fault, power] of [
  ['process is killed', false],
  ['machine loses power', true],
] as const) {
  test(
    `the leader's ${fault}: a write is accepted again within 600 ms`,
    scenario({ seeds: [1, 2, 3, 4, 5, 6, 7, 8] }, async (t, s) => {
      await s.put('a', '1');
      await s.run(s.world.between(0, 100));
      s.leader().crash(power);
      const tookMs = await s.put('a', '2');
      t.true(tookMs < 600, `${tookMs} ms`);
    }),
  );
}

test(
  'the leader of 16 shards is killed: every one of them takes a write again within 600 ms',
  scenario({ shards: 16, seeds: [1, 2] }, async (t, s) => {
    const node = s.leader();
    node.crash(true);
    const startMs = s.world.nowMs;
    await s.wait(Promise.all(s.shardIds.map((shardId) => s.client.put(s.keyOf(shardId), '1'))));
    const tookMs = s.world.nowMs - startMs;
    t.true(tookMs < 600, `${tookMs} ms`);
  }),
);

test(
  'the leader of 5 replicas and one follower are killed at once: a write is accepted again within 1 s',
  scenario({ nodes: 5, seeds: [1, 2, 3, 4] }, async (t, s) => {
    s.follower().crash(true);
    s.leader().crash(true);
    const tookMs = await s.put('a', '1');
    t.true(tookMs < 1000, `${tookMs} ms`);
  }),
);

test(
  'each of 3 leaders after the other is killed as soon as it leads: the shard comes back each time',
  scenario({}, async (t, s) => {
    for (let n = 0; n < 6; n++) {
      const leader = s.leader();
      leader.crash(s.world.chance(0.5));
      const tookMs = await s.put('a', `${n}`);
      t.true(tookMs < 1500, `${tookMs} ms`);
      leader.start();
      await s.until(() => leader.isServing, 1000, 'it is there again');
      await s.run(300);
      await s.until(() => s.leaderOf(s.shard) !== undefined, 3000, 'a leader');
    }
  }),
);

/** When the servers notice the cut; `never` is a network that swallows. */
const notices = { 'at once': 0, 'after 50 ms': 50, 'after 400 ms': 400, never: Number.POSITIVE_INFINITY };

for (const [when, noticedAfterMs] of Object.entries(notices)) {
  test(
    `partition 1-2 (leader with a client alone), noticed ${when}: no second leader before its lease ends, no stale read`,
    scenario({ seeds: [1, 2, 3, 4] }, async (t, s) => {
      await s.put('a', 'old');
      const old = s.leader();
      const others = s.followers();
      const beside = s.newClient('c2');
      await s.wait(beside.connect());
      await s.wait(beside.get('a', 'lease'));
      const heardMs = s.world.nowMs;
      s.cut([old.id, 'c2'], [...others.map(({ id }) => id), 'c1'], noticedAfterMs);

      // The client beside the old leader reads on by its lease; every answer becomes part of the history.
      let served = 0;
      let isOver = false;
      let lastServedMs = 0;
      const read = async (): Promise<void> => {
        while (!isOver) {
          await beside.get('a', 'lease', 20).then(
            () => {
              served++;
              lastServedMs = s.world.nowMs;
            },
            () => {},
          );
          await new Promise<void>((resolve) => s.world.at(1, resolve));
        }
      };
      const reading = read();
      let electedMs = Number.POSITIVE_INFINITY;
      const write = s.client.put('a', 'new', { timeoutMs: 8000 });
      await s.until(() => others.some((node) => s.groupOf(node, s.shard)?.raft.isLeader === true), 5000, 'a successor');
      electedMs = s.world.nowMs;
      await s.wait(write);
      await s.run(1000);
      isOver = true;
      await s.wait(reading);
      t.true(served > 0, 'the lease was used');
      t.true(lastServedMs < electedMs, `served until ${lastServedMs}, a successor at ${electedMs}`);
      t.true(lastServedMs - heardMs < voteHoldMs);
      // 50 ms of heartbeats may lie between what the followers heard last and the cut.
      t.true(electedMs - heardMs > leaseMs - 50, `${electedMs - heardMs} ms`);
      if (noticedAfterMs === 0) t.true(electedMs - heardMs < 600, 'and it does not take long');
    }),
  );
}

test(
  'the leader is hidden from one follower for 30 ms, and NATS says so: no election, no lost lease',
  scenario({ seeds: [1, 2, 3, 4] }, async (t, s) => {
    await s.put('a', '1');
    const leader = s.leader();
    const elections = s.checks.elections;
    s.cut([leader.id], [s.follower().id], 0);
    await s.run(30);
    s.mend();
    await s.run(2000);
    t.is(s.leader(), leader);
    t.is(s.checks.elections, elections);
  }),
);

test(
  'a follower cut off from the leader alone keeps asking and never deposes it, for 20 s',
  scenario({}, async (t, s) => {
    await s.put('a', '1');
    const leader = s.leader();
    const elections = s.checks.elections;
    s.cut([leader.id], [s.follower().id], 20);
    for (let n = 0; n < 20; n++) {
      t.true((await s.put('a', `${n}`)) < 50);
      await s.run(1000);
    }
    t.is(s.leader(), leader);
    t.is(s.checks.elections, elections);
  }),
);

test(
  'a leader paused for longer than its lease, as by SIGSTOP, serves no stale lease read when it goes on',
  scenario({ seeds: [1, 2, 3, 4] }, async (t, s) => {
    await s.put('a', 'old');
    const old = s.leader();
    const beside = s.newClient('c2');
    await s.wait(beside.connect());
    await s.wait(beside.get('a', 'lease'));
    old.life?.pause();
    await s.put('a', 'new');
    const read = beside.get('a', 'lease', 5000);
    await s.run(5);
    old.life?.resume();
    t.is(await s.wait(read), 'new');
  }),
);

test(
  'leadership is handed over under load: nobody waits for 100 ms, and every lease read is current',
  scenario({}, async (t, s) => {
    const work = s.startWorkload({ leaseShare: 1, concurrency: 4, thinkMs: 5 });
    await s.run(500);
    for (let n = 0; n < 4; n++) {
      const from = s.leader();
      const to = s.followers()[n % 2] as SimNode;
      const { raft } = s.group(from, s.shard);
      from.life?.run(() => {
        raft.transferLeadership(s.group(from, s.shard).voterOn(to.id), from.life?.clock.nowMs() ?? 0);
        from.host?.wake(s.group(from, s.shard));
      });
      await s.until(() => s.leaderOf(s.shard) === to, 100, 'the other leads');
      t.true((await s.put('a', `${n}`)) < 100);
    }
    t.is(work.counts.failed + work.counts.unknown, 0);
  }),
);

test(
  'pitfall 26: a new leader whose first entry is not committed answers no read, however long that takes',
  scenario({ seeds: [1, 2, 3, 4] }, async (t, s) => {
    await s.put('a', 'old');
    await s.run(200);
    const old = s.leader();
    const others = s.followers();
    // Acknowledged, and before the others hear that it is committed its leader is gone.
    await s.put('a', 'new');
    old.crash(true);
    s.when('became leader', () => {
      for (const node of others) s.hang(node, 1000);
    });
    const read = s.client.get('a');
    await s.until(() => s.logged('hangs') > 0, 1000, 'a successor whose followers cannot write');
    const hangsUntilMs = s.world.nowMs + 1000;
    t.is(await s.wait(read), 'new');
    t.true(s.world.nowMs >= hangsUntilMs, 'it waited for the commit');
  }),
);

test(
  'a leader that hears of no majority answers for what it has proposed in the moment in which it steps down',
  scenario({}, async (t, s) => {
    const beside = s.newClient('c2');
    await s.wait(beside.connect());
    const old = s.leader();
    const { raft } = s.group(old, s.shard);
    s.isolate([old.id, beside.name]);
    const put = beside.raw.put(scenarioBucket, 'a', 'x').catch(() => {});
    const inflight = (): number => old.host?.status.counters.inflightOperations ?? 0;
    await s.until(() => inflight() === 1, 1000, 'it is proposed');
    await s.until(() => !raft.isLeader, 5000, 'the leader steps down');
    await s.run(1);
    t.is(inflight(), 0);
    s.mend();
    await s.wait(put);
  }),
);
