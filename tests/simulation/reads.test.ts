/**
 * Goal: reads that need no leader say what they are worth, and it is true. Method: stories in the simulated world; what is
 * said to be no older than its question is checked with the rest of the history.
 */
import test from 'ava';
import type { LookUpResult, ReadOptions } from '../../src/client/index.js';
import { type Scenario, scenario } from './scenario.js';

const lookUp = (s: Scenario, key: string, options: ReadOptions): Promise<LookUpResult> =>
  s.wait(s.client.lookUp(key, options));

const text = ({ item }: LookUpResult): string | undefined => item?.value.toString();

for (const [nodes, gone] of [
  [3, 1],
  [5, 2],
] as const) {
  test(
    `the leader of ${nodes} and ${gone - 1} other(s) are killed: a quorum read is proven before anybody leads again`,
    scenario({ nodes, seeds: [1, 2, 3, 4] }, async (t, s) => {
      await s.put('a', '1');
      // Followers learn of the commit with the next heartbeat.
      await s.run(200);
      const old = s.leader();
      for (const node of s.followers().slice(0, gone - 1)) node.crash(true);
      old.crash(true);
      const startMs = s.world.nowMs;
      const found = await lookUp(s, 'a', { consistency: 'quorum' });
      t.is(text(found), '1');
      t.is(found.consistency, 'quorum');
      t.false(found.maybeStale);
      t.is(s.leaderOf(s.shard), undefined);
      t.true(s.world.nowMs - startMs < 100, 'nobody was waited for');
    }),
  );
}

test(
  'a write that only the log knows: a quorum read waits for it, and calls itself stale when it may not',
  scenario({ seeds: [1, 2, 3, 4] }, async (t, s) => {
    await s.put('a', 'old');
    await s.run(200);
    const leader = s.leader();
    const [one, other] = s.followers();
    // The followers have the entry, the leader has told its client, and nobody else knows that it is committed.
    const written = s.client.put('a', 'new');
    await s.wait(written);
    s.cut([leader.id], [one?.id ?? '', other?.id ?? '', s.client.name]);
    const early = await lookUp(s, 'a', { consistency: 'quorum', timeoutMs: 30 }).catch(() => undefined);
    if (early !== undefined && !early.maybeStale) t.is(text(early), 'new');
    const found = await lookUp(s, 'a', { consistency: 'quorum', timeoutMs: 10_000 });
    t.is(text(found), 'new');
    t.false(found.maybeStale);
    s.mend();
  }),
);

test(
  'a quorum of 1 of 3 is answered at once, proves nothing, and says so; one of 3 of 3 waits for all',
  scenario({}, async (t, s) => {
    await s.put('a', '1');
    await s.run(200);
    const loose = await lookUp(s, 'a', { consistency: 'quorum', readQuorum: 1 });
    t.is(loose.consistency, 'quorum');
    const strict = await lookUp(s, 'a', { consistency: 'quorum', readQuorum: 3 });
    t.false(strict.maybeStale);
    const node = s.follower();
    node.crash(false);
    await t.throwsAsync(lookUp(s, 'a', { consistency: 'quorum', readQuorum: 3, timeoutMs: 500 }), {
      message: /2 of the 3/,
    });
    t.false((await lookUp(s, 'a', { consistency: 'quorum', readQuorum: 2 })).maybeStale);
    node.start();
  }),
);

test(
  'available, with one replica of three left: it answers with what it has, says so, and soon without trying better ways',
  scenario({ seeds: [1, 2, 3] }, async (t, s) => {
    await s.put('a', '1');
    await s.run(200);
    const [one, other] = s.followers();
    one?.crash(true);
    other?.crash(true);
    const options = { available: true, timeoutMs: 5000 };
    const found = await lookUp(s, 'a', options);
    t.is(text(found), '1');
    t.is(found.consistency, 'one');
    t.true(found.maybeStale);
    const startMs = s.world.nowMs;
    t.is(text(await lookUp(s, 'a', options)), '1');
    t.true(s.world.nowMs - startMs < 100, `${s.world.nowMs - startMs} ms`);
    t.is((await lookUp(s, 'nobody wrote it', options)).item, undefined);
    one?.start();
    other?.start();
    await s.until(() => s.leaderOf(s.shard) !== undefined, 5000, 'a leader');
    await s.run(2500);
    t.is((await lookUp(s, 'a', options)).consistency, 'linearizable');
  }),
);

test(
  'available, with two replicas of three left and no leader among them yet: the answer is proven by both',
  scenario({ seeds: [1, 2, 3] }, async (t, s) => {
    await s.put('a', '1');
    await s.run(200);
    const leader = s.leader();
    leader.crash(true);
    const found = await lookUp(s, 'a', { available: true, timeoutMs: 200 });
    t.is(text(found), '1');
    t.false(found.maybeStale);
    t.true(found.consistency === 'quorum' || found.consistency === 'linearizable');
    leader.start();
  }),
);

test(
  'a read of one replica with a bound of staleness: followers vouch for it while a leader is followed, nobody after',
  scenario({ seeds: [1, 2, 3] }, async (t, s) => {
    await s.put('a', '1');
    const levels = new Set<string>();
    for (let n = 0; n < 12; n++) {
      // Something is going on: the group is not quiet.
      await s.put('b', `${n}`);
      const found = await lookUp(s, 'a', { consistency: 'one', maxStalenessMs: 400 });
      t.is(text(found), '1');
      t.true(!found.maybeStale || (found.stalenessMs ?? 1000) <= 400);
      levels.add(found.consistency);
    }
    t.true(levels.has('one'));
    const [one, other] = s.followers();
    one?.crash(true);
    other?.crash(true);
    await s.run(1500);
    await t.throwsAsync(lookUp(s, 'a', { consistency: 'one', maxStalenessMs: 400, timeoutMs: 1000 }), {
      code: 'TOO_STALE',
    });
    t.is(text(await lookUp(s, 'a', { consistency: 'one' })), '1');
    one?.start();
    other?.start();
  }),
);

test(
  'two of three replicas are cut off without a word: the first reads of one replica wait for them, the next ask the third',
  scenario({}, async (t, s) => {
    await s.put('a', '1');
    await s.run(200);
    const [near] = s.nodes;
    s.cut(
      [near?.id ?? '', s.client.name],
      s.nodes.slice(1).map(({ id }) => id),
    );
    for (let read = 0; read < 3; read++) await lookUp(s, 'a', { consistency: 'one', timeoutMs: 5000 });
    const startMs = s.world.nowMs;
    for (let read = 0; read < 20; read++) t.is(text(await lookUp(s, 'a', { consistency: 'one' })), '1');
    t.true(s.world.nowMs - startMs < 200, `${s.world.nowMs - startMs} ms for 20 reads`);
  }),
);

test(
  'reads of one replica never go back, though one of the replicas lags behind',
  scenario({ seeds: [1, 2, 3, 4] }, async (t, s) => {
    const slow = s.follower();
    await s.put('a', '0');
    for (let n = 1; n <= 10; n++) {
      s.cut(
        [slow.id],
        s.nodes.filter((node) => node !== slow).map(({ id }) => id),
      );
      await s.put('a', `${n}`);
      const found = await lookUp(s, 'a', { consistency: 'one' });
      t.is(text(found), `${n}`, 'this session has seen its own write');
      s.mend();
      await s.run(s.world.between(0, 50));
    }
  }),
);

test(
  'expired keys are invisible at once at every level, and their room is given back on every replica',
  scenario({ seeds: [1, 2] }, async (t, s) => {
    for (let n = 0; n < 40; n++) await s.wait(s.client.raw.put('default', `brief-${n}`, 'x', { ttlMs: 1500 }));
    await s.wait(s.client.raw.put('default', 'long', 'x', { ttlMs: 3_600_000 }));
    const found = await s.wait(s.client.raw.get('default', 'brief-0', { consistency: 'one' }));
    t.truthy(found?.expiresAtMs);
    await s.run(1500);
    for (const consistency of ['linearizable', 'quorum', 'one'] as const) {
      const gone = await s.wait(s.client.raw.get('default', 'brief-0', { consistency }));
      t.is(gone, undefined);
    }
    const counts = (): number[] => s.nodes.map((node) => node.host?.status.counters.expiredReclaimed ?? 0);
    await s.until(() => counts().reduce((sum, count) => sum + count, 0) === 40, 10_000, 'reclaimed');
    t.truthy(await s.wait(s.client.raw.get('default', 'long')));
  }),
);

test(
  'available, with one replica of three left: a scan goes on with what it has, says so, and gives every key once',
  scenario({ shards: 4, seeds: [1, 2] }, async (t, s) => {
    const keys = Array.from({ length: 30 }, (_, n) => `k-${String(n).padStart(2, '0')}`);
    for (const key of keys) await s.put(key, 'x');
    await s.run(300);
    const [survivor, ...others] = s.nodes;
    for (const node of others) node.crash(true);
    const levels: string[] = [];
    const found: string[] = [];
    const scan = async (): Promise<void> => {
      const options = { prefix: Buffer.from('k-'), available: true, onLevel: (level: string) => levels.push(level) };
      for await (const { key } of s.client.raw.scan('default', options)) found.push(key.toString());
    };
    await s.wait(scan());
    t.deepEqual(found, keys);
    t.deepEqual(levels, ['linearizable', 'one']);
    await t.throwsAsync(s.wait(s.client.raw.count('default', { timeoutMs: 800 })));
    t.is(await s.wait(s.client.raw.count('default', { consistency: 'one', timeoutMs: 2000 })), keys.length);
    t.truthy(survivor);
    for (const node of others) node.start();
  }),
);

test(
  'partition 2-3 (leader with a follower and a client): its heartbeats alone vouch for no age of data',
  scenario({ nodes: 5, seeds: [1, 2, 3] }, async (t, s) => {
    const beside = s.newClient('c2');
    await s.wait(beside.connect());
    await s.put('a', 'old');
    await s.run(200);
    const leader = s.leader();
    const [follower, ...others] = s.followers();
    const bound = { consistency: 'one', maxStalenessMs: 200, timeoutMs: 40 } as const;
    t.is(text(await s.wait(beside.lookUp('a', bound))), 'old');
    s.cut([leader.id, follower?.id ?? '', beside.name], [...others.map(({ id }) => id), s.client.name]);
    await s.run(300);
    for (let n = 0; n < 15; n++) {
      await t.throwsAsync(s.wait(beside.lookUp('a', bound)));
      await s.run(10);
    }
    t.is(text(await s.wait(beside.lookUp('a', { consistency: 'one' }))), 'old');
    s.mend();
  }),
);
