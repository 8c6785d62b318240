/**
 * Goal: a replica whose log is damaged, or that is given up, is rebuilt from its leader under a new id, whatever happens
 * in the middle of it; nothing that was acknowledged is lost. Method: stories in the simulated world (`scenario.ts`).
 */
import test from 'ava';
import type { ReplicaId, ShardId } from '../../src/base/index.js';
import { isWhole } from './agreement.js';
import { type Scenario, scenario } from './scenario.js';
import type { SimNode } from './sim-node.js';

/** A log short enough to be trimmed would have nothing in its middle. */
const options = { segmentBytes: 64 * 1024 };

const replicaOn = (s: Scenario, node: SimNode, shardId: ShardId = s.shard): ReplicaId | undefined =>
  s.groupOf(node, shardId)?.replicaId;

const isVoter = (s: Scenario, node: SimNode, shardId: ShardId = s.shard): boolean => {
  const leader = s.leaderOf(shardId);
  const replica = replicaOn(s, node, shardId);
  if (leader === undefined || replica === undefined) return false;
  const { voters, outgoing, learners } = s.group(leader, shardId).raft.configuration;
  return voters.includes(replica) && voters.length === s.nodes.length && outgoing.length + learners.length === 0;
};

const untilRebuilt = (s: Scenario, node: SimNode, before: ReplicaId, shardId: ShardId = s.shard): Promise<number> =>
  s.until(
    () => replicaOn(s, node, shardId) !== before && isVoter(s, node, shardId),
    15_000,
    `a new replica on ${node.id} votes`,
  );

/** Stops a node, flips bits in its log at these shares of it, and starts it again. */
function damage(node: SimNode, shares: readonly number[]): void {
  node.crash(true);
  for (const share of shares) if (!node.machine.flipBit(share)) throw new Error('the log is empty');
  node.start();
}

for (const whose of ['follower', 'leader'] as const) {
  test(
    `a bit flips in the middle of a ${whose}'s log: rebuilt under another replica id, with equal data`,
    scenario(options, async (t, s) => {
      await s.fill(40, 200);
      const node = whose === 'leader' ? s.leader() : s.follower();
      const before = s.group(node, s.shard).replicaId;
      damage(node, [0.5]);
      const tookMs = await s.put('a', 'while it is rebuilt');
      t.true(tookMs < 1500, `${tookMs} ms`);
      await untilRebuilt(s, node, before);
      t.is(node.host?.status.counters.replicasRebuilt, 1);
      t.is(s.logged('a replica cannot go on'), 1);
    }),
  );
}

test(
  'pitfall 35: a bit flips anywhere in a log of 3 shards: every replica goes on or is rebuilt, and nothing is lost',
  scenario({ ...options, shards: 3, seeds: [1] }, async (t, s) => {
    for (const shardId of s.shardIds) await s.fill(8, 200, 'filler', shardId);
    for (let step = 0; step < 12; step++) {
      const node = s.nodes[step % 3] as SimNode;
      damage(node, [(step + 0.5) / 12]);
      for (const shardId of s.shardIds) {
        await s.put(s.keyOf(shardId), `${step}`);
      }
      // Everywhere, the leader of the joint state included: two losses at once would be more than a majority bears.
      const isWholeAgain = (): boolean => s.nodes.every((one) => isWhole(one));
      await s.until(isWholeAgain, 15_000, 'the cluster is whole again');
    }
    t.true(s.logged('began a new replica') > 0);
  }),
);

test(
  'two shards of one node are damaged at once: both are rebuilt, the third is led meanwhile',
  scenario({ ...options, shards: 3 }, async (t, s) => {
    for (const shardId of s.shardIds) await s.fill(15, 200, 'filler', shardId);
    const [node] = s.nodes;
    if (node === undefined) throw new Error('three nodes');
    const before = new Map(s.shardIds.map((shardId) => [shardId, s.group(node, shardId).replicaId]));
    damage(node, [0.3, 0.5, 0.6]);
    await s.until(() => s.logged('a replica cannot go on') >= 2, 1000, 'damage is found');
    for (const shardId of s.shardIds) await s.put(s.keyOf(shardId), 'meanwhile');
    for (const shardId of s.shardIds) await s.until(() => isVoter(s, node, shardId), 15_000, 'whole again');
    const rebuilt = s.shardIds.filter((shardId) => replicaOn(s, node, shardId) !== before.get(shardId));
    t.true(rebuilt.length >= 2, `rebuilt: ${rebuilt.join(', ')}`);
  }),
);

test(
  'two shards are given up on two of 3 nodes at once: both are rebuilt while writes go on',
  scenario({ ...options, shards: 2 }, async (t, s) => {
    const [first, second] = s.shardIds as [ShardId, ShardId];
    for (const shardId of s.shardIds) await s.fill(10, 200, 'filler', shardId);
    const work = s.startWorkload({ keys: 8 });
    await s.run(500);
    const [a, b] = [s.leader(first), s.leader(second) === s.leader(first) ? s.follower(second) : s.leader(second)];
    const before = [s.group(a, first).replicaId, s.group(b, second).replicaId] as const;
    a.life?.run(() => a.host?.rebuildReplica(first, 'asked for'));
    b.life?.run(() => b.host?.rebuildReplica(second, 'asked for'));
    await untilRebuilt(s, a, before[0], first);
    await untilRebuilt(s, b, before[1], second);
    t.true(work.counts.ok > 20);
  }),
);

/** Points of a rebuild at which the node that is rebuilt dies; each calls `dies` once it is reached. */
const points: Readonly<Record<string, (s: Scenario, node: SimNode, dies: () => void) => void>> = {
  'after it asked its leader': (s, node, dies) => {
    const stop = s.traffic.lose(({ from, message }) => {
      if (from === node.id && message.subject.includes('.admin.')) {
        stop();
        s.world.at(0, dies);
      }
      return false;
    });
  },
  'after the leader took it in': (s, node, dies) => {
    const stop = s.traffic.lose(({ to, message }) => {
      if (to === node.id && message.payload.toString().startsWith('{"member"')) {
        stop();
        s.world.at(5, dies);
      }
      return false;
    });
  },
  'after clearing what was there': (s, node, dies) => {
    const wrap = (): void => {
      const { store } = node;
      if (store === undefined) {
        s.world.at(0.05, wrap);
        return;
      }
      const clear = store.clearShard.bind(store);
      store.clearShard = async (shardId, arc) => {
        await clear(shardId, arc);
        dies();
        await new Promise(() => {});
      };
    };
    wrap();
  },
  'after beginning the new replica': (s, _node, dies) => s.when('began a new replica', dies),
  'before it was swapped in': (s, _node, dies) => s.when('takes its place', dies),
};

for (const [point, arm] of Object.entries(points)) {
  test(
    `a node is rebuilt from damage and dies ${point}: it completes after the restart`,
    scenario(options, async (t, s) => {
      await s.fill(30, 200);
      const node = s.follower();
      const before = s.group(node, s.shard).replicaId;
      let died = 0;
      damage(node, [0.5]);
      arm(s, node, () => {
        died++;
        node.crash(s.world.chance(0.5));
        s.world.at(300, () => node.start());
      });
      await s.until(() => died === 1, 10_000, `it dies ${point}`);
      await s.put('a', 'meanwhile');
      await s.until(() => node.isServing, 2000, 'it is there again');
      await untilRebuilt(s, node, before);
      t.is(died, 1);
      await s.put('a', 'after');
    }),
  );
}

test(
  'a node is rebuilt and dies again and again, each time a little later: it completes once it may live',
  scenario(options, async (t, s) => {
    await s.fill(30, 200);
    const node = s.follower();
    const before = s.group(node, s.shard).replicaId;
    damage(node, [0.5]);
    for (let livesMs = 2; livesMs < 2000; livesMs *= 1.6) {
      await s.run(livesMs);
      node.crash(s.world.chance(0.5));
      await s.put('a', `${livesMs}`);
      node.start();
    }
    await untilRebuilt(s, node, before);
    t.pass();
  }),
);

test(
  'the leader of 5 replicas dies in the middle of a rebuild: the next leader completes it',
  scenario({ ...options, nodes: 5 }, async (t, s) => {
    await s.fill(30, 200);
    const leader = s.leader();
    const node = s.follower();
    const before = s.group(node, s.shard).replicaId;
    s.when('began a new replica', () => leader.crash(true));
    damage(node, [0.5]);
    await s.until(() => !leader.isUp, 5000, 'the leader dies');
    await untilRebuilt(s, node, before);
    t.false(leader.isUp);
  }),
);

test(
  'the leader of 3 replicas dies in the middle of a rebuild: nobody leads without it, and it completes when it is back',
  scenario(options, async (t, s) => {
    await s.fill(30, 200);
    const leader = s.leader();
    const node = s.follower();
    const before = s.group(node, s.shard).replicaId;
    s.when('began a new replica', () => leader.crash(true));
    damage(node, [0.5]);
    await s.until(() => !leader.isUp, 5000, 'the leader dies');
    // What the damaged replica held is gone: the one sound replica left is no majority.
    await s.run(5000);
    t.is(s.leaderOf(s.shard), undefined);
    leader.start();
    await untilRebuilt(s, node, before);
  }),
);
