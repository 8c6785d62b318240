/**
 * Goal: a leader leads its group to where the map wants it, in steps each of which leaves a majority that has everything.
 * Method: one step at a time, over configurations and progress that a test sets.
 */
import test from 'ava';
import {
  isRingraftError,
  type NodeId,
  type ReplicaId,
  replicaId,
  shardId,
  silentLogger,
} from '../../../src/base/index.js';
import type { Group } from '../../../src/host/group.js';
import { type MembershipStep, reportOf, stepTowards, takeInLearner } from '../../../src/host/membership.js';
import type { Configuration } from '../../../src/raft/index.js';
import type { MapShard } from '../../../src/wire/index.js';
import { aMapShard } from '../../support/maps.js';

const [n1, n2, n3, n4] = ['n1', 'n2', 'n3', 'n4'] as [NodeId, NodeId, NodeId, NodeId];
const [one, two, three, fresh, other] = [1, 2, 3, 70_004, 70_005].map(replicaId) as [
  ReplicaId,
  ReplicaId,
  ReplicaId,
  ReplicaId,
  ReplicaId,
];
const homes = new Map<ReplicaId, NodeId>([
  [one, n1],
  [two, n2],
  [three, n3],
  [fresh, n4],
]);
const lastIndex = 1000;

type Setting = Partial<{
  own: ReplicaId;
  voters: readonly ReplicaId[];
  outgoing: readonly ReplicaId[];
  learners: readonly ReplicaId[];
  nodes: ReadonlyMap<ReplicaId, NodeId>;
  /** Where each is; absent: it has everything. */
  match: ReadonlyMap<ReplicaId, number>;
  state: 'probe' | 'replicate' | 'snapshot';
  silent: readonly ReplicaId[];
  isLeader: boolean;
  isCommitted: boolean;
  refusal: string;
  /** Of the entry of the map that the configuration follows. */
  epoch: number;
}>;

type Doings = { readonly proposed: Pick<Configuration, 'voters' | 'learners'>[]; readonly handedTo: ReplicaId[] };

function groupWith(setting: Setting): { readonly group: Group; readonly doings: Doings } {
  const { own = one, voters = [one, two, three], outgoing = [], learners = [], match, silent = [] } = setting;
  const doings: Doings = { proposed: [], handedTo: [] };
  const raft = {
    isLeader: setting.isLeader ?? true,
    isConfigurationCommitted: setting.isCommitted ?? true,
    configuration: { voters, outgoing, learners, learnersNext: [], epoch: setting.epoch ?? 9 },
    lastIndex,
    currentTerm: 5,
    progressOf: (id: ReplicaId) => ({
      state: setting.state ?? 'replicate',
      matchIndex: match?.get(id) ?? lastIndex,
      isActive: !silent.includes(id),
    }),
    isResponsive: (id: ReplicaId) => !silent.includes(id),
    proposeConfiguration(target: Pick<Configuration, 'voters' | 'learners'>) {
      if (setting.refusal !== undefined) return setting.refusal;
      doings.proposed.push({ voters: target.voters, learners: target.learners });
      return { index: 1001, term: 5 };
    },
    transferLeadership(to: ReplicaId) {
      doings.handedTo.push(to);
      return 'started';
    },
  };
  const nodes = setting.nodes ?? homes;
  return { group: { shardId: shardId(7), replicaId: own, nodes, raft } as never, doings };
}

const shardOn = (replicas: readonly NodeId[], leaving: readonly NodeId[] = []): MapShard =>
  aMapShard({ id: shardId(7), arcStart: 0, arcEnd: 1 }, replicas, { leaving, epoch: 9 });
const wanted = shardOn([n4, n2, n3], [n1]);

function step(setting: Setting, shard = wanted): { readonly step: MembershipStep } & Doings {
  const { group, doings } = groupWith(setting);
  return { step: stepTowards(group, shard, 0, silentLogger), ...doings };
}
const nothing = { step: undefined, proposed: [], handedTo: [] };

test('a node that should have a replica and has none is invited', (t) => {
  t.deepEqual(step({ own: two }), { ...nothing, step: { invite: n4 } });
  t.deepEqual(step({}, shardOn([n1, n2, n3])), nothing, 'all are where they should be');
});

test('pitfall 40: a new replica takes the place of an old one only once it has nearly everything, and both in one step', (t) => {
  const learning = { own: two, learners: [fresh] };
  for (const behind of [17, 500]) {
    t.deepEqual(step({ ...learning, match: new Map([[fresh, lastIndex - behind]]) }), nothing, `${behind} behind`);
  }
  for (const state of ['probe', 'snapshot'] as const) t.deepEqual(step({ ...learning, state }), nothing, state);
  const swapped = { step: 'changed', proposed: [{ voters: [fresh, two, three], learners: [] }], handedTo: [] };
  t.deepEqual(step({ ...learning, match: new Map([[fresh, lastIndex - 16]]) }), swapped as never);
});

test('a leader that has to go itself hands over first, to the one furthest along that stays and answers', (t) => {
  const going = { own: one, learners: [fresh] };
  const match = new Map([
    [two, 900],
    [three, 990],
  ]);
  t.deepEqual(step({ ...going, match }), { step: 'changed', proposed: [], handedTo: [three] });
  t.deepEqual(step({ ...going, match, silent: [three] }).handedTo, [two]);
  t.deepEqual(step({ ...going, silent: [two, three] }), nothing, 'nobody is there to lead');
});

test('while a configuration is joint or not committed, and on a follower, nothing is done', (t) => {
  t.deepEqual(step({ learners: [fresh], isLeader: false }), nothing);
  t.deepEqual(step({ own: two, learners: [fresh], isCommitted: false }), nothing);
  t.deepEqual(step({ own: two, voters: [fresh, two, three], outgoing: [one, two, three] }), nothing);
  t.deepEqual(
    step({ own: two, learners: [fresh], refusal: 'busy' }),
    nothing,
    'the core refuses: the next step tries again',
  );
});

test('a replica that is begun anew on its own node takes the place of the old one there', (t) => {
  const nodes = new Map([...homes, [other, n3]]);
  const repaired = step({ learners: [other], nodes }, shardOn([n1, n2, n3]));
  t.deepEqual(repaired.proposed, [{ voters: [one, two, other], learners: [] }]);
  t.deepEqual(step({ own: three, learners: [other], nodes }, shardOn([n1, n2, n3])), nothing, 'not under the leader');
});

test('pitfall 40: a leader whose map is older than the one its group follows takes nothing back', (t) => {
  for (const setting of [
    { own: two, learners: [fresh] },
    { own: two },
    { own: two, voters: [one, two, three, fresh] },
  ]) {
    t.deepEqual(step({ ...setting, epoch: 10 }), nothing);
    t.not(step({ ...setting, epoch: 9 }).step, undefined);
  }
  t.like(takeIn({ epoch: 10 }), { code: 'BUSY', proposed: [] });
});

test('a move that needed no step is put on record before the manager is told', (t) => {
  const there = { voters: [fresh, two, three], own: two };
  t.deepEqual(step({ ...there, epoch: 8 }).proposed, [{ voters: [fresh, two, three], learners: [] }]);
  t.deepEqual(step({ ...there, epoch: 9 }), nothing);
});

test('a learner nobody wants any more is dropped: its move was given up', (t) => {
  const given = step({ learners: [fresh] }, shardOn([n1, n2, n3], [n4]));
  t.deepEqual(given, {
    step: 'changed',
    proposed: [{ voters: [one, two, three], learners: [] }],
    handedTo: [],
  } as never);
});

test('pitfall 40: a voter too many goes only when all that should vote do', (t) => {
  const four = { own: two, voters: [one, two, three, fresh] };
  t.deepEqual(step(four).proposed, [{ voters: [two, three, fresh], learners: [] }]);
  t.deepEqual(step({ ...four, own: one }).handedTo, [two], 'it is the leader: it hands over');
  const early = step({ own: two, voters: [one, two, three] }, shardOn([n4, n2, n3], [n1]));
  t.deepEqual(early, { ...nothing, step: { invite: n4 } }, 'n1 votes until n4 does');
});

test('a node whose learner never answers is invited again: it may know nothing of it', (t) => {
  const behind = { own: two, learners: [fresh], match: new Map([[fresh, 0]]) };
  t.deepEqual(step({ ...behind, silent: [fresh] }), { ...nothing, step: { invite: n4 } });
  t.deepEqual(step(behind), nothing);
});

test('more replicas than before: the new one is added', (t) => {
  const larger = shardOn([n1, n2, n3, n4]);
  t.deepEqual(step({ learners: [fresh] }, larger).proposed, [{ voters: [one, two, three, fresh], learners: [] }]);
});

const report = (setting: Setting, shard = wanted) => reportOf(groupWith(setting).group, shard);

test('the report says how far the move is, of which entry of the map, and when it is settled', (t) => {
  t.is(report({ isLeader: false }), undefined);
  t.like(report({}), { phase: 'waiting', missing: [n4], epoch: 9, term: 5, matchIndex: 0, lastIndex });
  const match = new Map([[fresh, 300]]);
  t.like(report({ learners: [fresh], match }), { phase: 'copying', missing: [n4], matchIndex: 300 });
  const joint = { voters: [fresh, two, three], outgoing: [one, two, three] };
  t.like(report(joint), { phase: 'swapping', missing: [] });
  const there = { voters: [fresh, two, three], own: two };
  t.like(report({ ...there, epoch: 9 }), { phase: 'settled', missing: [] });
  t.not(report({ ...there, epoch: 8 })?.phase, 'settled', 'not on record yet');
  t.is(report({ voters: [fresh, two, three], own: two }, shardOn([n4, n2, n3])), undefined, 'the map knows already');
});

test('pitfall 40: a move is not settled while its last configuration is not committed, or any other replica is left', (t) => {
  const there = { own: two, voters: [fresh, two, three], epoch: 9 };
  t.is(report(there)?.phase, 'settled');
  t.not(report({ ...there, isCommitted: false })?.phase, 'settled');
  t.not(report({ ...there, voters: [one, fresh, two, three] })?.phase, 'settled');
  t.not(report({ ...there, learners: [other] })?.phase, 'settled');
});

function takeIn(setting: Setting, node = n4, newId = fresh, shard: MapShard | null = wanted) {
  const { group, doings } = groupWith(setting);
  try {
    takeInLearner(group, shard ?? undefined, node, newId);
    return { code: 'taken', ...doings };
  } catch (error) {
    return { code: isRingraftError(error) ? error.code : String(error), ...doings };
  }
}

test('a node is told that its replica is a member once that is committed, and asks again until then', (t) => {
  t.like(takeIn({}), { code: 'BUSY', proposed: [{ voters: [one, two, three], learners: [fresh] }] });
  t.like(takeIn({ learners: [fresh], isCommitted: false }), { code: 'BUSY', proposed: [] });
  t.like(takeIn({ learners: [fresh] }), { code: 'taken', proposed: [] });
  t.like(takeIn({ voters: [fresh, two, three] }), { code: 'taken', proposed: [] });
});

test('a learner drawn anew takes the place of the one the node drew before', (t) => {
  const nodes = new Map([...homes, [other, n4]]);
  t.like(takeIn({ learners: [other], nodes }), { proposed: [{ voters: [one, two, three], learners: [fresh] }] });
});

test('nobody is taken in whom the map does not place there, nor by one that does not lead', (t) => {
  t.like(takeIn({}, n4, fresh, shardOn([n1, n2, n3])), { code: 'BUSY', proposed: [] });
  t.like(takeIn({}, n4, fresh, null), { code: 'BUSY', proposed: [] });
  t.like(takeIn({ isLeader: false }), { code: 'NOT_LEADER', proposed: [] });
  t.like(takeIn({ refusal: 'changeInFlight' }), { code: 'BUSY', proposed: [] });
});
