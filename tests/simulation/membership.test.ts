/**
 * Goal: the members of a group change one step after the other, with somebody to lead it at every moment, whoever dies in
 * the middle. Method: stories in the simulated world (`scenario.ts`); changes are asked of the leader's core.
 */
import test from 'ava';
import type { ReplicaId } from '../../src/base/index.js';
import type { Configuration, MembershipTarget } from '../../src/raft/index.js';
import { type Scenario, scenario } from './scenario.js';
import type { SimNode } from './sim-node.js';

const configurationOf = (s: Scenario): Configuration => s.group(s.leader(), s.shard).raft.configuration;

const replicaOn = (s: Scenario, node: SimNode): ReplicaId => s.group(node, s.shard).replicaId;

function change(s: Scenario, target: MembershipTarget): void {
  const leader = s.leader();
  const group = s.group(leader, s.shard);
  leader.life?.run(() => {
    const proposed = group.raft.proposeConfiguration(target);
    if (typeof proposed === 'string') throw new Error(proposed);
    leader.host?.wake(group);
  });
}

/** Makes the replica on this node a learner. */
async function demote(s: Scenario, node: SimNode): Promise<void> {
  const id = replicaOn(s, node);
  change(s, { voters: configurationOf(s).voters.filter((other) => other !== id), learners: [id] });
  await s.until(() => s.leaderOf(s.shard) !== undefined && isSettledAs(s, [id]), 3000, 'it is a learner');
}

const isSettledAs = (s: Scenario, learners: readonly ReplicaId[]): boolean => {
  const leader = s.leaderOf(s.shard);
  if (leader === undefined) return false;
  const { raft } = s.group(leader, s.shard);
  const { outgoing, learners: found } = raft.configuration;
  return raft.isConfigurationCommitted && outgoing.length === 0 && found.join() === learners.join();
};

test(
  'a learner is promoted under load: it votes from then on, and nobody notices',
  scenario({}, async (t, s) => {
    const work = s.startWorkload({ thinkMs: 5 });
    // Once a second a leader looks after its members, and would put right what is done here: just after that.
    await s.run(1050 - (s.world.nowMs % 1000));
    const node = s.follower();
    await demote(s, node);
    t.is(configurationOf(s).voters.length, 2);
    t.is(node.host?.status.shards[0]?.role, 'learner');
    const elections = s.checks.elections;
    await s.run(500);
    change(s, { voters: [...configurationOf(s).voters, replicaOn(s, node)], learners: [] });
    await s.until(() => isSettledAs(s, []), 1000, 'it votes');
    t.is(configurationOf(s).voters.length, 3);
    t.is(s.checks.elections, elections);
    // Its vote is needed now: the other follower dies, and writes go on.
    s.followers()
      .find((other) => other !== node)
      ?.crash(true);
    t.true((await s.put('a', '1')) < 200);
    t.is(work.counts.failed + work.counts.unknown, 0);
  }),
);

test(
  'a learner does not vote and is not waited for: 2 voters and a learner, the learner dead, writes go on',
  scenario({}, async (t, s) => {
    const node = s.follower();
    await demote(s, node);
    node.crash(true);
    t.true((await s.put('a', '1')) < 50);
    // Two voters are a majority of two; one of them is none, and the learner's promise would not help.
    node.start();
    s.leader().crash(true);
    await s.run(5000);
    t.is(s.leaderOf(s.shard), undefined);
  }),
);

test(
  'the leader is removed from the voters: it hands over first, and a write waits for less than 100 ms',
  scenario({ seeds: [1, 2, 3, 4, 5, 6] }, async (t, s) => {
    await s.put('a', '1');
    const old = s.leader();
    const id = replicaOn(s, old);
    change(s, { voters: configurationOf(s).voters.filter((other) => other !== id), learners: [id] });
    let longestMs = 0;
    for (let n = 0; n < 20; n++) longestMs = Math.max(longestMs, await s.put('a', `${n}`));
    t.true(longestMs < 100, `${longestMs} ms`);
    t.not(s.leader(), old);
    t.true(isSettledAs(s, [id]));
  }),
);

for (const ms of [0.1, 0.5, 1, 1.5, 2, 3, 5]) {
  test(
    `the leader dies ${ms} ms into a change of the voters of 5: the joint state is entered whole or not at all, and left`,
    scenario({ nodes: 5 }, async (t, s) => {
      await s.put('a', '1');
      const old = s.leader();
      const [one, other] = s.followers() as readonly [SimNode, SimNode];
      const ids = [replicaOn(s, one), replicaOn(s, other)];
      const before = configurationOf(s).voters;
      change(s, { voters: before.filter((id) => !ids.includes(id)), learners: ids });
      await s.run(ms);
      old.crash(s.world.chance(0.5));
      await s.until(() => ![undefined, old].includes(s.leaderOf(s.shard)), 5000, 'another leader');
      await s.until(() => isSettledAs(s, ids) || isSettledAs(s, []), 3000, 'the joint state is left');
      await s.put('a', '2');
      t.true([3, 5].includes(configurationOf(s).voters.length));
    }),
  );
}

test(
  'the leader dies in the joint state, which nobody else left: the next leader leaves it by itself',
  scenario({ nodes: 5 }, async (t, s) => {
    await s.put('a', '1');
    const old = s.leader();
    const ids = s
      .followers()
      .slice(0, 2)
      .map((node) => replicaOn(s, node));
    const inJoint = (): readonly SimNode[] =>
      s.nodes.filter((node) => (s.groupOf(node, s.shard)?.raft.configuration.outgoing.length ?? 0) > 0);
    change(s, { voters: configurationOf(s).voters.filter((id) => !ids.includes(id)), learners: ids });
    // What would tell the others to leave it never arrives.
    await s.until(() => inJoint().length >= 3, 100, 'a majority is in the joint state');
    s.isolate([old.id]);
    await s.run(1.5);
    const joint = inJoint();
    t.true(joint.length >= 3, `${joint.length} replicas are in the joint state`);
    old.crash(true);
    s.mend();
    await s.until(() => ![undefined, old].includes(s.leaderOf(s.shard)), 5000, 'another leader');
    await s.until(() => isSettledAs(s, ids), 3000, 'the joint state is left, forwards');
    t.is(configurationOf(s).voters.length, 3);
  }),
);

test(
  'a partition 2-3 in the joint state, the old leader alone with one follower: it commits nothing more',
  scenario({ nodes: 5 }, async (t, s) => {
    await s.put('a', '1');
    const old = s.leader();
    const [one, two] = s.followers() as readonly [SimNode, SimNode];
    const ids = [replicaOn(s, one), replicaOn(s, two)];
    s.isolate([old.id, one.id]);
    change(s, { voters: configurationOf(s).voters.filter((id) => !ids.includes(id)), learners: ids });
    const committed = s.group(old, s.shard).raft.commitIndex;
    await s.put('a', '2');
    t.is(s.group(old, s.shard).raft.commitIndex, committed);
    t.not(s.leader(), old);
    s.mend();
    await s.until(() => isSettledAs(s, []), 5000, 'the change is undone');
  }),
);
