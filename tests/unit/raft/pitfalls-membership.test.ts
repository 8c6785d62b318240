/** Goal: the bugs in membership changes that other systems shipped do not happen here (docs/pitfalls.md, 15 to 25). */
import test from 'ava';
import { noReplica, type ReplicaId, replicaId } from '../../../src/base/index.js';
import type { Configuration } from '../../../src/raft/index.js';
import { Cluster, testOptions } from './harness.js';
import {
  accept,
  append,
  ask,
  changeEntry,
  configuration,
  core,
  entry,
  flush,
  granted,
  lead,
  one,
  three,
  two,
  voters,
} from './one-core.js';

const four = replicaId(4);
const hardState = (currentTerm: number, commitIndex: number) => ({ currentTerm, votedFor: noReplica, commitIndex });
const of = (ids: readonly ReplicaId[], more: Partial<Configuration> = {}): Configuration => ({
  ...configuration,
  voters: ids,
  ...more,
});

test('pitfall 15 and pitfall 17: one change of membership at a time, and none before the term has a commit', (t) => {
  const raft = core(one);
  lead(raft, 0);
  flush(raft);
  const target = { voters: [one, two], learners: [] };
  t.is(raft.proposeConfiguration(target), 'noCommitInTerm');
  accept(raft, two, 1);
  t.not(typeof raft.proposeConfiguration(target), 'string');
  t.is(raft.proposeConfiguration({ voters: [one, three], learners: [] }), 'changeInFlight');
});

test('pitfall 19: a configuration whose entry is replaced is rolled back', (t) => {
  const raft = core(two);
  const joint = of([one, two], { outgoing: voters });
  raft.step(append(one, two, 1, [0, 0], [changeEntry(1, 1, joint)]), 0);
  t.deepEqual(raft.status.configuration, joint);
  raft.step(append(three, two, 2, [0, 0], [entry(1, 2)]), 0);
  t.deepEqual(raft.status.configuration, configuration);
});

test('pitfall 21: late answers of a removed replica do not count', (t) => {
  const cluster = new Cluster(3, 21);
  const leader = cluster.elect();
  const [removed, kept] = voters.filter((id) => id !== leader.id) as [ReplicaId, ReplicaId];
  leader.raft.proposeConfiguration({ voters: [leader.id, kept], learners: [] });
  cluster.run(1000);
  t.deepEqual(leader.raft.status.configuration, of([leader.id, kept]));
  cluster.isolate(leader.id);
  leader.raft.propose(Buffer.from('x'));
  const { lastIndex, commitIndex } = leader.raft;
  accept(leader.raft, removed, lastIndex, cluster.nowMs);
  cluster.settle();
  t.is(leader.raft.commitIndex, commitIndex);
});

test('pitfall 24: a promoted learner that has not heard of it still votes', (t) => {
  const learner = core(three, {
    snapshot: { index: 0, term: 0, configuration: of([one, two], { learners: [three] }) },
  });
  learner.step(ask(two, three, 1), 5000);
  t.true(granted(flush(learner)));
  learner.tick(60_000);
  t.is(learner.role, 'follower', 'and does not campaign by itself');
});

test('pitfall 16: a leader cut off with the newcomers commits nothing with their help', (t) => {
  const learners = [replicaId(4), replicaId(5)];
  const cluster = new Cluster(5, 16, testOptions, learners);
  const leader = cluster.elect();
  cluster.isolate(leader.id, ...learners);
  const { commitIndex } = leader.raft;
  t.not(typeof leader.raft.proposeConfiguration({ voters: [...voters, ...learners], learners: [] }), 'string');
  cluster.run(3000);
  t.is(leader.raft.commitIndex, commitIndex, 'three of five hold it, but one of the old three');
  const other = cluster.leader();
  t.true(other !== undefined && other.id !== leader.id && other.raft.currentTerm > 1, 'the old majority goes on');
});

test('pitfall 17: a new leader begins no change before the one it inherited is decided', (t) => {
  const joint = of([one, two], { outgoing: voters });
  const raft = core(one, { term: 1, entries: [entry(1, 1), changeEntry(2, 1, joint)] });
  lead(raft, 0);
  flush(raft);
  const target = { voters: [one, three], learners: [] };
  t.is(raft.proposeConfiguration(target), 'noCommitInTerm');
  accept(raft, two, 3);
  flush(raft);
  t.deepEqual(raft.status.configuration, of([one, two]), 'it finishes the change');
  t.is(raft.proposeConfiguration(target), 'changeInFlight');
  accept(raft, two, 4);
  flush(raft);
  t.not(typeof raft.proposeConfiguration(target), 'string');
});

test('pitfall 18: a configuration is in force as soon as it is in the log, applied or not', (t) => {
  const raft = core(one);
  const joint = of([one, two, four], { outgoing: voters });
  raft.step(append(two, one, 1, [0, 0], [changeEntry(1, 1, joint)], 1), 0);
  const ready = raft.ready();
  raft.persisted(1, 1);
  t.is(ready.committedEntries.length, 0);
  t.is(raft.appliedIndex, 0, 'committed, not applied');
  raft.tick(10_000);
  const asked = flush(raft).flatMap((message) => (message.type === 'VoteRequest' ? [message.to] : []));
  t.deepEqual([...asked].sort(), [two, three, four]);
});

test('pitfall 20: a snapshot holds the membership of its index, not one that is not committed', (t) => {
  const restored = of([one, two, four], { learners: [three] });
  const snapshot = { index: 5, term: 1, configuration: restored };
  const raft = core(one, { snapshot, appliedIndex: 5, hardState: hardState(1, 5) });
  t.deepEqual(raft.takeSnapshotMetadata(5), snapshot, 'a snapshot of a restored one');
  raft.step(append(two, one, 1, [5, 1], [entry(6, 1), changeEntry(7, 1, of([one, two]))], 6), 0);
  flush(raft);
  t.deepEqual(raft.status.configuration, of([one, two]));
  t.deepEqual(raft.takeSnapshotMetadata(6), { index: 6, term: 1, configuration: restored });
  raft.compact(6);
  t.deepEqual(raft.status.configuration, of([one, two]), 'and compacting loses no change');
});

test('pitfall 22: a replica that restarts alone does not shrink to the group it once was', (t) => {
  const joint = of(voters, { outgoing: [one] });
  const entries = [entry(1, 1), changeEntry(2, 1, joint), changeEntry(3, 1, of(voters))];
  // The commit index on disk may be old: here it says that nothing is committed.
  const raft = core(one, { term: 1, entries }, [one]);
  for (let nowMs = 0; nowMs < 20_000; nowMs += 100) {
    raft.tick(nowMs);
    flush(raft);
  }
  t.is(raft.role, 'preCandidate');
  t.is(raft.currentTerm, 1);
});

test('pitfall 23: a message for another replica id is for the past', (t) => {
  const raft = core(one);
  raft.step(append(two, four, 7, [0, 0], [entry(1, 7)], 1), 0);
  raft.step(ask(two, four, 7), 0);
  t.false(raft.hasReady());
  t.is(raft.currentTerm, 0);
});

test('pitfall 25: a joint configuration survives a restart and a snapshot', (t) => {
  const joint = of([one, two, four], { outgoing: voters, learnersNext: [three] });
  const entries = [entry(1, 1), changeEntry(2, 1, joint)];
  const restarted = core(one, { term: 1, entries });
  t.deepEqual(restarted.status.configuration, joint);
  const snapshot = { index: 2, term: 1, configuration: joint };
  const receiver = core(four, {}, []);
  receiver.step({ type: 'SnapshotRequest', from: two, to: four, term: 1, snapshot }, 0);
  flush(receiver);
  t.deepEqual(receiver.status.configuration, joint);
  const raft = core(one, { term: 1, snapshot, appliedIndex: 2, hardState: hardState(1, 2) });
  lead(raft, 0);
  flush(raft);
  accept(raft, four, 3);
  flush(raft);
  t.is(raft.commitIndex, 2, 'a majority of the new voters alone');
  accept(raft, two, 3);
  t.is(raft.commitIndex, 3);
});
