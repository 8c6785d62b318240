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

test('a heartbeat is left out where every member took entries since the last one, and never more than seven in a row', (t) => {
  const raft = leader();
  const heard = Array.from({ length: 17 }, (_, at) => beatsAfterWrite(raft, 5100 + (at + 1) * beatMs));
  const sevenLeftOut = Array(7).fill(false);
  t.deepEqual(heard, [...sevenLeftOut, true, ...sevenLeftOut, true, false]);
});

test('a heartbeat is heard where nothing was written since the last one', (t) => {
  const raft = leader();
  t.false(beatsAfterWrite(raft, 5150));
  t.true(tickTo(raft, 5200).some(isBeat));
});

/** A leader of a group that was written to in every interval, as the last that every member took, up to the one that ends at `atMs`. */
function leaderWrittenToUntil(atMs: number): Raft {
  const raft = leader();
  for (let ms = 5150; ms <= atMs; ms += beatMs) beatsAfterWrite(raft, ms);
  return raft;
}

/** Of the beats after this time, which are heard when nothing more happens. */
const silentBeats = (raft: Raft, afterMs: number, count: number): boolean[] =>
  Array.from({ length: count }, (_, at) => tickTo(raft, afterMs + (at + 1) * beatMs).some(isBeat));

test('where writes are frequent, every second heartbeat is left out without one', (t) => {
  const raft = leaderWrittenToUntil(5300);
  t.deepEqual(silentBeats(raft, 5300, 4), [false, true, false, true]);
  const nearly = leaderWrittenToUntil(5450);
  t.deepEqual(silentBeats(nearly, 5450, 1), [true], 'the eighth is heard in any case');
});

test('where writes are frequent and come in every second interval, no heartbeat is heard between them', (t) => {
  const raft = leaderWrittenToUntil(5250);
  const heard = [5300, 5350, 5400, 5450].map((ms, at) =>
    at % 2 === 1 ? beatsAfterWrite(raft, ms) : tickTo(raft, ms).some(isBeat),
  );
  t.deepEqual(heard, [false, false, false, false]);
});

test('where writes are frequent, a write that nobody answers does not put the second heartbeat off', (t) => {
  const raft = leaderWrittenToUntil(5300);
  const heard = [5350, 5400].map((ms) => beatsAfterWrite(raft, ms, []));
  t.deepEqual(heard, [false, true]);
});

test('where writes are frequent no longer, every heartbeat is heard again', (t) => {
  const raft = leaderWrittenToUntil(5300);
  // The share of intervals with writes: 1/8 of each new one, and the threshold is a quarter.
  const heard = silentBeats(raft, 5300, 20);
  t.deepEqual(heard.slice(0, 2), [false, true]);
  t.deepEqual(heard.slice(-10), Array(10).fill(true));
});

test('where writes are rare, a heartbeat is heard in every interval without one', (t) => {
  const raft = leader();
  write(raft, 5140);
  t.deepEqual(silentBeats(raft, 5100, 3), [false, true, true]);
});

test('where writes are frequent and reads rely on the lease, no heartbeat is left out without a write', (t) => {
  const raft = leaderWrittenToUntil(5300);
  t.true(raft.askLease(5310));
  t.deepEqual(silentBeats(raft, 5300, 4), [true, true, true, true]);
});

test('where writes are frequent and the leader says how old its data are, which rests on the lease, none is left out either', (t) => {
  const raft = leaderWrittenToUntil(5300);
  t.is(raft.dataAgeMs(5310), 0);
  t.deepEqual(silentBeats(raft, 5300, 4), [true, true, true, true]);
});

test('a lease that was asked for is kept alive for a second', (t) => {
  const raft = leaderWrittenToUntil(5300);
  raft.askLease(5310);
  for (let ms = 5350; ms <= 6300; ms += beatMs) t.true(beatsAfterWrite(raft, ms, [two]), `at ${ms}`);
  t.false(beatsAfterWrite(raft, 6350, [two]));
});

test('where writes are frequent, a follower that was unreachable or is asked how old its data are gets every heartbeat', (t) => {
  const raft = leaderWrittenToUntil(5300);
  raft.reportUnreachable(three, 5310);
  t.deepEqual(silentBeats(raft, 5300, 2), [true, true]);
  const asked = leaderWrittenToUntil(5300);
  beatAnswer(asked, two, 3, 5310, true);
  t.deepEqual(silentBeats(asked, 5300, 2), [true, true]);
});

test('a new leader does not count on writes that came under another one', (t) => {
  const raft = leaderWrittenToUntil(5300);
  raft.step({ type: 'HeartbeatRequest', from: two, to: one, term: 7, commitIndex: 0, round: 1 }, 5310);
  flush(raft);
  lead(raft, 3000);
  const round = roundOf(flush(raft));
  for (const from of [two, three]) {
    accept(raft, from, raft.lastIndex, 8310);
    beatAnswer(raft, from, round, 8310);
  }
  flush(raft);
  const firstMs = Math.ceil((raft.nextDeadlineMs + 1) / beatMs) * beatMs;
  t.deepEqual(silentBeats(raft, firstMs - beatMs, 4).slice(1), [true, true, true]);
});

test('a heartbeat is heard where one member took nothing', (t) => {
  for (const taker of [two, three]) t.true(beatsAfterWrite(leader(), 5150, [taker]));
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
