/** Goal: the bugs in terms, pre-votes and log positions that other systems shipped do not happen here (docs/pitfalls.md). */
import test from 'ava';
import { noReplica } from '../../../src/base/index.js';
import type { Configuration, Message } from '../../../src/raft/index.js';
import {
  accept,
  append,
  ask,
  beat,
  beatAnswer,
  changeEntry,
  configuration,
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

const appendsIn = (messages: readonly Message[]): readonly Message[] =>
  messages.filter(({ type }) => type === 'AppendRequest');

test('pitfall 4: nothing that is behind takes the term back, mismatch and snapshot included', (t) => {
  const raft = core(one, { term: 5, entries: [entry(1, 2), entry(2, 5)] });
  const old = { from: two, to: one, term: 3 };
  const snapshot = { index: 9, term: 3, configuration };
  const late: readonly Message[] = [
    append(two, one, 3, [1, 2], [entry(2, 3)], 1),
    beat(two, one, 3),
    { type: 'SnapshotRequest', ...old, snapshot },
    { type: 'TimeoutNow', ...old },
    ask(two, one, 3, { lastIndex: 9, lastTerm: 3 }),
    append(two, one, 5, [2, 4], [], 0),
    { type: 'SnapshotRequest', from: two, to: one, term: 5, snapshot },
  ];
  for (const message of late) {
    raft.step(message, 1000);
    flush(raft);
    t.is(raft.currentTerm, 5, message.type);
  }
  t.is(raft.commitIndex, 9, 'the snapshot of this term was taken, its entries are of an older one');
});

test('pitfall 5: the last voter that is left leads in a term of its own, after its own copy is durable', (t) => {
  const raft = core(one);
  const joint: Configuration = { ...configuration, voters: [one], outgoing: voters };
  const alone: Configuration = { ...configuration, voters: [one] };
  raft.step(append(two, one, 1, [0, 0], [changeEntry(1, 1, joint), changeEntry(2, 1, alone)], 1), 0);
  flush(raft);
  raft.tick(10_000);
  const ready = raft.ready();
  t.true(raft.isLeader);
  t.is(raft.currentTerm, 2);
  t.is(ready.hardState?.currentTerm, 2);
  t.is(raft.commitIndex, 1, 'the entry before is not committed by being alone');
  raft.persisted(3, 2);
  t.is(raft.commitIndex, 3);
});

test('pitfall 6: a pre-vote is neither contact nor vote, and whoever is behind is told', (t) => {
  const raft = core(one, { term: 5 });
  const { nextDeadlineMs } = raft;
  raft.step(ask(two, one, 6, { preVote: true }), 220);
  t.true(granted(flush(raft)));
  raft.step(ask(three, one, 6, { preVote: true }), 230);
  t.true(granted(flush(raft)), 'promised nothing to the first one');
  t.is(raft.currentTerm, 5);
  t.is(raft.nextDeadlineMs, nextDeadlineMs, 'and its own patience is what it was');
  raft.step(ask(two, one, 3, { preVote: true, lastIndex: 9, lastTerm: 3 }), 230);
  const [answer] = flush(raft);
  t.like(answer, { type: 'VoteResponse', term: 5, granted: false, preVote: true });
});

test("pitfall 6: a leader's own wish is heard by voters that still hear it, anybody else's is not", (t) => {
  const hears = (leadershipTransfer: boolean): boolean => {
    const raft = core(two);
    raft.step(beat(one, two, 1), 1000);
    flush(raft);
    raft.step(ask(three, two, 2, { leadershipTransfer }), 1010);
    return granted(flush(raft));
  };
  t.true(hears(true));
  t.false(hears(false));
});

test('pitfall 13: where the log is compacted past a follower in flight, it gets a snapshot and no empty match', (t) => {
  const raft = core(one);
  lead(raft, 0);
  flush(raft);
  for (const id of [two, three]) accept(raft, id, 1);
  flush(raft);
  for (let at = 2; at <= 8; at++) {
    raft.propose(Buffer.from(`${at}`));
    flush(raft);
  }
  t.is(
    raft.status.progress.find(({ replicaId }) => replicaId === three)?.nextIndex,
    6,
    'four in flight, then it waits',
  );
  accept(raft, two, 8);
  flush(raft);
  raft.compact(7);
  t.is(raft.term(5), undefined, 'a forgotten term is unknown, not zero');
  raft.tick(5060);
  beatAnswer(raft, three, roundOf(flush(raft)), 5061);
  const sent = flush(raft).filter(({ to }) => to === three);
  t.deepEqual(
    sent.map(({ type }) => type),
    ['SnapshotRequest'],
  );
});

test('pitfall 14: what an earlier leadership took is neither sent nor confirmed by a later one', (t) => {
  const raft = core(one);
  lead(raft, 0);
  flush(raft);
  accept(raft, two, 1);
  flush(raft);
  const proposed = raft.propose(Buffer.from('old'));
  t.deepEqual(proposed, { index: 2, term: 1 });
  raft.step(beat(two, one, 2), 5001);
  t.deepEqual(appendsIn(flush(raft)), [], 'proposed, but not sent yet when the leadership ended');
  t.is(raft.propose(Buffer.from('late')), 'notLeader');
  raft.step(append(two, one, 2, [1, 1], [entry(2, 2, 'new')], 2), 5002);
  flush(raft);
  lead(raft, 5002);
  flush(raft);
  t.true(raft.isLeader);
  t.is(raft.term(2), 2, 'the host knows by the term that index 2 is not what it proposed');
});

test('pitfall 2: what a replica promised before a restart it still keeps', (t) => {
  const raft = core(one);
  raft.step(ask(two, one, 1), 1000);
  const ready = raft.ready();
  t.true(ready.mustSync);
  const again = core(one, { hardState: ready.hardState ?? { currentTerm: 0, votedFor: noReplica, commitIndex: 0 } });
  again.step(ask(three, one, 1), 5000);
  t.false(granted(flush(again)));
  again.step(ask(two, one, 1), 5000);
  t.true(granted(flush(again)), 'the same answer to the same candidate');
});
