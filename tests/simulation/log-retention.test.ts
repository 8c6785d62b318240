/**
 * Goal: the log lets go of what every member holds, and keeps what one that lags still needs, within its limit. Method: stories
 * in the simulated world (`scenario.ts`).
 */
import test from 'ava';
import type { RaftLog } from '../../src/raft/log.js';
import { untilCaughtUp } from './catching-up.js';
import { scenario } from './scenario.js';
import type { SimNode } from './sim-node.js';

const options = {
  limits: { retainedLogBytes: 1_000_000, trailingLogBytes: 0, trimEveryBytes: 2000 },
  segmentBytes: 64 * 1024,
};

test(
  'where no member lags, the log lets go of everything; where one is away it keeps what that one needs',
  scenario(options, async (t, s) => {
    const { raft } = s.group(s.leader(), s.shard);
    await s.fill(20, 1000);
    await s.until(() => raft.firstIndex > raft.lastIndex, 5000, 'the log is trimmed to its end');
    const node = s.follower();
    node.crash(true);
    const lastHeld = raft.lastIndex;
    await s.fill(20, 1000);
    await s.run(2000);
    t.true(raft.lastIndex >= lastHeld + 20);
    t.true(raft.firstIndex <= lastHeld + 1, 'what it lacks is there');
    node.start();
    await untilCaughtUp(s, node);
    t.is(s.logged('installed a snapshot'), 0);
    await s.fill(20, 1000);
    await s.until(() => raft.firstIndex > lastHeld + 20, 5000, 'it goes once nobody needs it');
  }),
);

test(
  'what a member that lags needs is let go of beyond the limit',
  scenario({ ...options, limits: { ...options.limits, retainedLogBytes: 5000 } }, async (t, s) => {
    const node = s.follower();
    node.crash(true);
    const { raft } = s.group(s.leader(), s.shard);
    const lastHeld = raft.lastIndex;
    await s.fill(20, 1000);
    await s.until(() => raft.firstIndex > lastHeld + 1, 5000, 'the log is trimmed');
    t.true(raft.lastIndex - raft.firstIndex >= 3, 'not all of it goes');
    node.start();
    await untilCaughtUp(s, node);
    t.is(s.logged('installed a snapshot'), 1);
  }),
);

test(
  'all nodes lose power right after their logs were trimmed: what memory let go of before the engine had it is in the log',
  scenario({ ...options, shards: 6, limits: { ...options.limits, retainedLogBytes: 0 } }, async (t, s) => {
    const trims = (): number => s.nodes.reduce((sum, { host }) => sum + (host?.status.counters.logTrims ?? 0), 0);
    for (let round = 0; round < 12; round++) {
      const before = trims();
      const filled = Promise.all(s.shardIds.map((id) => s.fill(3, 600, `round-${round}`, id)));
      await s.until(() => trims() > before, 5000, 'a log is trimmed');
      await s.run(3);
      for (const node of s.nodes) node.crash(true);
      for (const node of s.nodes) node.start();
      await s.wait(filled);
    }
    t.is(s.logged('a replica cannot go on and will be rebuilt from its leader'), 0);
  }),
);

test(
  'who leads next serves a member that lags from what it has packed, without a snapshot',
  scenario(
    { ...options, limits: { ...options.limits, trailingLogBytes: 1_000_000, packEveryBytes: 200 } },
    async (t, s) => {
      const old = s.leader();
      const [lagging, other] = s.followers() as [SimNode, SimNode];
      await s.fill(5, 300);
      s.cut([old.id], [lagging.id]);
      const { core } = s.group(other, s.shard).raft as unknown as { core: { log: RaftLog } };
      for (let round = 0; round < 4; round++) {
        await s.fill(5, 1000, `missed-${round}`);
        await s.run(15);
        t.true(core.log.packed.count >= 5 * (round + 1), 'soon, where much is written');
      }
      old.crash(true);
      await untilCaughtUp(s, lagging);
      t.is(s.leader(), other);
      t.is(s.logged('installed a snapshot'), 0);
      t.is(await s.get(s.keyOf(s.shard, 14)), 'missed-3-4-'.padEnd(1000, 'x'));
    },
  ),
);
