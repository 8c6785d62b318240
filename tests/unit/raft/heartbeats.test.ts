/**
 * Goal: appends do the work of heartbeats where there are writes all the time, and nothing that rests on heartbeats suffers.
 * Method: a leader spoken to by hand.
 */
import test from 'ava';
import type { Message, Raft } from '../../../src/raft/index.js';
import { accept, beatAnswer, core, flush, lead, one, roundOf, three, two } from './one-core.js';

const beatMs = 50;
const isBeat = ({ type }: Message): boolean => type === 'HeartbeatRequest';

/** Leads since 5000 ms, with its first entry committed; its last round of heartbeats was at 5000 ms, and is answered. */
function leader(): Raft {
  const raft = core(one);
  lead(raft, 0);
  const round = roundOf(flush(raft));
  for (const from of [two, three]) {
    accept(raft, from, 1);
    beatAnswer(raft, from, round, 5000);
  }
  flush(raft);
  // The first beat in which nothing was accepted: from here on all is known.
  tickTo(raft, 5000 + beatMs);
  const beats = tickTo(raft, 5000 + 2 * beatMs);
  for (const from of [two, three]) beatAnswer(raft, from, roundOf(beats), 5000 + 2 * beatMs);
  return raft;
}

function tickTo(raft: Raft, nowMs: number): Message[] {
  raft.tick(nowMs);
  return flush(raft);
}

/** A write between two beats, which these members take. */
function write(raft: Raft, nowMs: number, takers = [two, three]): void {
  raft.propose(Buffer.from('x=1'));
  flush(raft);
  for (const from of takers) accept(raft, from, raft.lastIndex, nowMs);
  flush(raft);
}

/** Whether the beat at this time is heard, after a write shortly before it. */
function beatsAfterWrite(raft: Raft, atMs: number, takers = [two, three]): boolean {
  write(raft, atMs - 10, takers);
  return tickTo(raft, atMs).some(isBeat);
}

test('a heartbeat is left out where every member took entries since the last one, and never more than three in a row', (t) => {
  const raft = leader();
  const heard = Array.from({ length: 9 }, (_, at) => beatsAfterWrite(raft, 5100 + (at + 1) * beatMs));
  t.deepEqual(heard, [false, false, false, true, false, false, false, true, false]);
});

test('a heartbeat is heard where nothing was written since the last one', (t) => {
  const raft = leader();
  t.false(beatsAfterWrite(raft, 5150));
  t.true(tickTo(raft, 5200).some(isBeat));
});

test('a heartbeat is heard where one member took nothing', (t) => {
  const raft = leader();
  t.true(beatsAfterWrite(raft, 5150, [two]));
});

test('a heartbeat is heard while reads wait for one', (t) => {
  const raft = leader();
  raft.readIndex('a read');
  flush(raft);
  t.true(beatsAfterWrite(raft, 5150));
});

test('a heartbeat is heard while leadership is handed over', (t) => {
  const raft = leader();
  write(raft, 5110);
  raft.propose(Buffer.from('y=1'));
  raft.transferLeadership(two, 5120);
  flush(raft);
  t.true(tickTo(raft, 5150).some(isBeat));
});

test('a heartbeat is heard by followers that are asked how old their data are', (t) => {
  const raft = leader();
  beatAnswer(raft, two, 2, 5110, true);
  t.true(beatsAfterWrite(raft, 5150));
  beatAnswer(raft, two, 3, 5160, false);
  t.false(beatsAfterWrite(raft, 5200));
});

test('a follower says that it is asked how old its data are, for a second', (t) => {
  const follower = core(two);
  const answers = (nowMs: number): boolean[] => {
    follower.step({ type: 'HeartbeatRequest', from: one, to: two, term: 1, commitIndex: 0, round: 1 }, nowMs);
    return flush(follower).flatMap((message) => (message.type === 'HeartbeatResponse' ? [message.asksAge] : []));
  };
  t.deepEqual(answers(100), [false]);
  follower.dataAgeMs(110);
  t.deepEqual(answers(120), [true]);
  t.deepEqual(answers(1100), [true]);
  t.deepEqual(answers(1111), [false]);
});

test('a lease counts from when an entry was made that a majority holds', (t) => {
  const raft = leader();
  tickTo(raft, 5140);
  write(raft, 5145, [two]);
  t.true(raft.leaseValid(5140 + 149), 'made at 5140');
  t.false(raft.leaseValid(5140 + 150));
});

test('a lease does not count from a later time at which an entry was sent again', (t) => {
  const raft = leader();
  tickTo(raft, 5110);
  raft.propose(Buffer.from('x=1'));
  flush(raft);
  const { lastIndex } = raft;
  // Two's answer is late: it took the entry at once, and its promise counts from then.
  for (const nowMs of [5150, 5200, 5250]) tickTo(raft, nowMs);
  accept(raft, two, lastIndex, 5255);
  t.false(raft.leaseValid(5110 + 150));
});

test('a lease counts from the first of the entries under way, however many follow it', (t) => {
  const raft = leader();
  const first = raft.lastIndex + 1;
  for (const nowMs of [5110, 5120, 5130]) {
    tickTo(raft, nowMs);
    raft.propose(Buffer.from('x=1'));
    flush(raft);
  }
  accept(raft, two, first, 5135);
  flush(raft);
  t.true(raft.leaseValid(5110 + 149));
  t.false(raft.leaseValid(5110 + 150));
});

test('a lease does not count from an entry that no majority holds yet, though an older one is committed', (t) => {
  const raft = leader();
  const first = raft.lastIndex + 1;
  tickTo(raft, 5101);
  for (const _ of [1, 2]) raft.propose(Buffer.from('x=1'));
  flush(raft);
  accept(raft, two, first, 5105);
  flush(raft);
  tickTo(raft, 5140);
  raft.propose(Buffer.from('x=2'));
  flush(raft);
  accept(raft, two, first + 1, 5145);
  flush(raft);
  t.false(raft.leaseValid(5101 + 150), 'two heard of the second entry at 5105, and not of the third');
});

test('a lease that was voided does not come back with an entry that was made before', (t) => {
  const raft = leader();
  tickTo(raft, 5120);
  raft.propose(Buffer.from('x=1'));
  flush(raft);
  raft.voidLease();
  for (const from of [two, three]) accept(raft, from, raft.lastIndex, 5130);
  flush(raft);
  t.false(raft.leaseValid(5131));
  tickTo(raft, 5135);
  write(raft, 5140);
  t.true(raft.leaseValid(5141), 'with one made after it, it does');
});

test('a lease does not rest on an entry of an earlier leadership', (t) => {
  const raft = leader();
  raft.propose(Buffer.from('x=1'));
  flush(raft);
  raft.step({ type: 'HeartbeatRequest', from: two, to: one, term: 7, commitIndex: 0, round: 1 }, 5120);
  flush(raft);
  lead(raft, 3000);
  flush(raft);
  t.false(raft.leaseValid(8000));
  accept(raft, two, raft.lastIndex, 8010);
  t.true(raft.leaseValid(8011), 'its own first entry was made at 8000');
  t.false(raft.leaseValid(8000 + 150));
});
