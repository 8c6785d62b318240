/** Goal: a replica is given up only where the others can replace it, and counts as a voter only once nothing needs the old one. */
import test from 'ava';
import { isRingraftError, nodeId, type ReplicaId, replicaId, shardId, silentLogger } from '../../../src/base/index.js';
import type { Group } from '../../../src/host/group.js';
import { checkDispensable, stepTowards } from '../../../src/host/membership.js';
import { nodeStatus } from '../../../src/host/status.js';
import type { Configuration } from '../../../src/raft/index.js';

const [one, two, three, fresh] = [1, 2, 3, 70_000].map(replicaId) as [ReplicaId, ReplicaId, ReplicaId, ReplicaId];
const settled: Configuration = { voters: [one, two, three], outgoing: [], learners: [], learnersNext: [] };

function groupWith(own: ReplicaId, configuration: Configuration, role: 'follower' | 'leader' = 'follower'): Group {
  const status = { role, configuration, progress: [], currentTerm: 1, firstIndex: 1, lastIndex: 1 };
  return { shardId: shardId(7), replicaId: own, leaderNode: undefined, raft: { configuration, status } } as never;
}

const refusal = (configuration: Configuration, own = one): string | undefined => {
  try {
    checkDispensable(groupWith(own, configuration));
    return undefined;
  } catch (error) {
    return isRingraftError(error) ? error.code : String(error);
  }
};

test('a replica is given up only when the other voters are a majority', (t) => {
  t.is(refusal(settled), undefined);
  t.is(refusal({ ...settled, voters: [one, two, three, replicaId(4), replicaId(5)] }), undefined);
  t.is(refusal({ ...settled, voters: [one] }), 'NO_QUORUM', 'the only copy');
  t.is(refusal({ ...settled, voters: [one, two] }), 'NO_QUORUM', 'one of two cannot commit');
});

test('a replica is not given up while another one is being replaced, or while it does not vote', (t) => {
  t.is(refusal({ ...settled, learners: [fresh] }), 'BUSY');
  t.is(refusal({ ...settled, voters: [one, two, fresh], outgoing: [one, two, three] }), 'BUSY');
  t.is(refusal(settled, fresh), 'BUSY');
});

test('a new replica shows as a learner until no majority needs the one it replaces', (t) => {
  const options = { nodeId: nodeId('n1'), version: '', incarnation: 1, map: { cluster: 'test' } };
  const wal = { statistics: {}, isFull: false };
  const roleOf = (group: Group): unknown =>
    nodeStatus({ options, groups: [group], damaged: [], wal, startedAtMs: 0, counters: {} } as never).shards[0]?.role;
  const joint: Configuration = { ...settled, voters: [one, two, fresh], outgoing: [one, two, three] };
  const nothingYet: Configuration = { ...settled, voters: [] };
  t.is(roleOf(groupWith(fresh, nothingYet)), 'learner');
  t.is(roleOf(groupWith(fresh, { ...settled, learners: [fresh] })), 'learner');
  t.is(roleOf(groupWith(fresh, joint)), 'learner');
  t.is(roleOf(groupWith(one, joint)), 'follower');
  t.is(roleOf(groupWith(fresh, joint, 'leader')), 'leader');
  t.is(roleOf(groupWith(fresh, { ...settled, voters: [one, two, fresh] })), 'follower');
});

const [home1, home2, home3, home4] = ['n1', 'n2', 'n3', 'n4'].map(nodeId);
const isActive = { state: 'probe', matchIndex: 0, isActive: true };

/** What the leader, replica 1, does towards a map that wants n1, n2 and n4. */
function stepWith(learners: readonly ReplicaId[], progress: unknown): unknown {
  const raft = {
    isLeader: true,
    isConfigurationCommitted: true,
    lastIndex: 100,
    configuration: { ...settled, learners },
    progressOf: () => progress,
  };
  const nodes = new Map([
    [one, home1],
    [two, home2],
    [three, home3],
    [fresh, home4],
  ]);
  const group = { shardId: shardId(7), replicaId: one, nodes, raft } as never;
  const shard = { replicas: [home1, home2, home4].map((home) => ({ nodeId: home })), leaving: [home3] } as never;
  return stepTowards(group, shard, 0, silentLogger);
}

test('a node is invited until its replica answers: it may stop between being taken in and having one', (t) => {
  t.deepEqual(stepWith([], undefined), { invite: home4 });
  t.deepEqual(stepWith([fresh], { ...isActive, isActive: false }), { invite: home4 }, 'it never answered');
  t.is(stepWith([fresh], isActive), undefined, 'it is being brought up');
});
