/** Goal: consensus bugs that other systems shipped do not happen here. Each test is one short story around one or few cores. */
import test from 'ava';
import type { ReplicaId } from '../../../src/base/index.js';
import { Cluster, testOptions } from './harness.js';
import {
  accept,
  append,
  ask,
  beat,
  beatAnswer,
  core,
  entry,
  flush,
  granted,
  lead,
  one,
  roundOf,
  three,
  two,
  voters,
} from './one-core.js';

test('pitfall 1: a vote outlives stepping down in the same term', (t) => {
  const raft = core(one);
  raft.step(ask(two, one, 1), 1000);
  t.true(granted(flush(raft)));
  raft.step(ask(three, one, 1), 1000);
  t.false(granted(flush(raft)));
});

test('pitfall 2: neither a vote nor a candidacy leaves before it is durable', (t) => {
  const voter = core(one);
  voter.step(ask(two, one, 1), 1000);
  t.true(voter.hasReady());
  t.false(granted(flush(voter, false)));
  const candidate = core(two);
  candidate.tick(5000);
  for (const message of flush(candidate)) {
    candidate.step({ type: 'VoteResponse', from: message.to, to: two, term: 1, preVote: true, granted: true }, 5000);
  }
  t.false(flush(candidate, false).some((message) => message.type === 'VoteRequest' && !message.preVote));
});

test('pitfall 7: an entry of an older term is not committed by counting (Figure 8)', (t) => {
  const raft = core(one, { term: 2, entries: [entry(1, 1), entry(2, 2)] });
  lead(raft, 0);
  flush(raft);
  t.is(raft.currentTerm, 3);
  accept(raft, two, 2);
  flush(raft);
  t.is(raft.commitIndex, 0, 'a majority holds entry 2, which is of term 2');
  accept(raft, two, 3);
  flush(raft);
  t.is(raft.commitIndex, 3, 'with the entry of its own term the older ones commit');
});

test('pitfall 8: an acknowledgement of an earlier leadership does not count', (t) => {
  const raft = core(one);
  lead(raft, 0);
  flush(raft);
  const { currentTerm } = raft;
  raft.step(ask(two, one, currentTerm + 1, { leadershipTransfer: true, lastIndex: 9, lastTerm: 9 }), 6000);
  flush(raft);
  accept(raft, two, 1, 6000, currentTerm);
  flush(raft);
  t.is(raft.commitIndex, 0);
});

test('pitfall 9 and pitfall 10: a leader counts itself only once its own copy is durable', (t) => {
  const raft = core(one);
  lead(raft, 0);
  const ready = raft.ready();
  t.is(ready.entries.length, 1, 'its blank entry');
  accept(raft, two, 1);
  t.is(raft.commitIndex, 0, 'one durable copy of three');
  raft.persisted(1, raft.currentTerm);
  t.is(raft.commitIndex, 1);
  const follower = core(two);
  follower.step(append(one, two, 1, [0, 0], [entry(1, 1)], 1), 0);
  const sent = follower.ready();
  t.deepEqual(sent.messages, [], 'no acknowledgement before the write');
  t.deepEqual(sent.committedEntries, [], 'and nothing to apply');
});

test('pitfall 11: a doubled or reordered append never touches what is committed', (t) => {
  const raft = core(two);
  raft.step(append(one, two, 1, [0, 0], [entry(1, 1), entry(2, 1), entry(3, 1)], 3), 0);
  flush(raft);
  raft.step(append(one, two, 1, [0, 0], [entry(1, 1)], 1), 0);
  raft.step(append(one, two, 1, [1, 1], []), 0);
  flush(raft);
  t.is(raft.lastIndex, 3);
  t.is(raft.commitIndex, 3);
});

test('pitfall 11: a late append cuts off nothing that came after it', (t) => {
  const raft = core(two);
  raft.step(append(one, two, 1, [0, 0], [entry(1, 1), entry(2, 1), entry(3, 1)]), 0);
  flush(raft);
  raft.step(append(one, two, 1, [0, 0], [entry(1, 1)]), 0);
  raft.step(append(one, two, 1, [1, 1], []), 0);
  flush(raft);
  t.is(raft.lastIndex, 3, 'acknowledged, perhaps counted already, though not known here to be committed');
});

test('pitfall 12: a completion for a rewritten index says nothing', (t) => {
  const raft = core(two);
  raft.step(append(one, two, 1, [0, 0], [entry(1, 1)]), 0);
  raft.ready();
  raft.step(append(three, two, 2, [0, 0], [entry(1, 2)], 1), 0);
  raft.ready();
  raft.persisted(1, 1);
  t.is(raft.status.persistedIndex, 0);
  raft.persisted(1, 2);
  t.is(raft.status.persistedIndex, 1);
});

test('pitfall 26: no read is vouched for before the term has a commit', (t) => {
  const raft = core(one);
  lead(raft, 0);
  raft.readIndex('early');
  const sent = flush(raft);
  beatAnswer(raft, two, roundOf(sent), 5000);
  t.deepEqual(raft.hasReady() ? raft.ready().readStates : [], []);
  accept(raft, two, 1);
  const round = roundOf(flush(raft));
  beatAnswer(raft, two, round, 5000);
  t.deepEqual(raft.ready().readStates, [{ context: 'early', index: 1 }]);
});

test('pitfall 27: answers to an older round release nothing newer', (t) => {
  const raft = core(one);
  lead(raft, 0);
  flush(raft);
  accept(raft, two, 1);
  raft.readIndex('first');
  const first = roundOf(flush(raft));
  raft.readIndex('second');
  flush(raft);
  beatAnswer(raft, two, first, 5000);
  t.deepEqual(
    raft.ready().readStates.map(({ context }) => context),
    ['first'],
  );
});

test('pitfall 28: an announced transfer ends the lease for the rest of the term', (t) => {
  const raft = core(one);
  lead(raft, 0);
  flush(raft);
  accept(raft, two, 1);
  raft.tick(5060);
  beatAnswer(raft, two, roundOf(flush(raft)), 5061);
  t.true(raft.leaseValid(5062));
  t.is(raft.transferLeadership(two, 5063), 'started');
  t.true(flush(raft).some((message) => message.type === 'TimeoutNow'));
  t.false(raft.leaseValid(5064));
  raft.tick(6100);
  beatAnswer(raft, two, roundOf(flush(raft)), 6101);
  t.false(raft.leaseValid(6102), 'not even when the transfer came to nothing: TimeoutNow may still be on its way');
});

test('pitfall 29: a lease counts from when its round was sent, and a clock that jumps back does not lengthen it', (t) => {
  const raft = core(one);
  lead(raft, 0);
  flush(raft);
  accept(raft, two, 1);
  raft.tick(5060);
  const round = roundOf(flush(raft));
  beatAnswer(raft, two, round, 5200);
  t.true(raft.leaseValid(5205), 'sent at 5060, lasts 150 ms');
  t.false(raft.leaseValid(5211));
  t.false(raft.leaseValid(5100), 'behind what was seen already');
});

test('an early election waits until the old leader can have no lease, whatever NATS says', (t) => {
  const raft = core(two, { term: 1 });
  raft.step(beat(one, two, 1), 1000);
  flush(raft);
  raft.leaderUnreachable(1001);
  t.true(raft.nextDeadlineMs >= 1000 + testOptions.voteHoldMs);
  raft.step(ask(three, two, 2, { preVote: true }), 1100);
  raft.step(ask(three, two, 2), 1150);
  t.deepEqual(flush(raft), [], 'no vote and no pre-vote meanwhile');
  t.is(raft.currentTerm, 1);
  raft.tick(1000 + 2 * testOptions.voteHoldMs);
  t.is(raft.role, 'preCandidate', 'and then at once');
});

test('pitfall 39: a partially connected replica does not depose the leader', (t) => {
  const cluster = new Cluster(3, 39);
  const leader = cluster.elect();
  const [bridge, cut] = voters.filter((id) => id !== leader.id) as [ReplicaId, ReplicaId];
  cluster.cut.add(`${leader.id}>${cut}`).add(`${cut}>${leader.id}`);
  const { currentTerm } = leader.raft;
  cluster.run(20_000);
  t.true(leader.raft.isLeader);
  t.is(leader.raft.currentTerm, currentTerm);
  t.is(cluster.get(bridge).raft.leader, leader.id);
});

test('a leader cut off from its majority steps down', (t) => {
  const cluster = new Cluster(3, 40);
  const leader = cluster.elect();
  cluster.isolate(leader.id);
  cluster.run(2 * testOptions.electionTimeoutMs + 100);
  t.false(leader.raft.isLeader);
  t.not(cluster.leader(), undefined, 'and the others have another one');
});
