/**
 * Goal: where a whole cluster starts at once, whoever should lead is elected first; nobody is held up by that for longer
 * than it was told to wait. Method: replicas spoken to by hand that yield for a second.
 */
import test from 'ava';
import type { Message, Raft } from '../../../src/raft/index.js';
import { ask, beat, core, flush, granted, one, three, two } from './one-core.js';

const yieldMs = 1000;
/** Long after the replica was made: reading what else is on the disk took its time. */
const firstTickMs = 2500;

const requests = (messages: readonly Message[]): readonly Message[] =>
  messages.filter(({ type }) => type === 'VoteRequest');

function tickTo(raft: Raft, nowMs: number): readonly Message[] {
  raft.tick(nowMs);
  return requests(flush(raft));
}

/** When it first asks for votes, looked at every 10 ms from `fromMs` on. */
function standsAtMs(raft: Raft, fromMs: number): number {
  for (let nowMs = fromMs; nowMs < fromMs + 10_000; nowMs += 10) if (tickTo(raft, nowMs).length > 0) return nowMs;
  return Number.POSITIVE_INFINITY;
}

test('a replica that yields stands for election so long after its first tick, not after it was made', (t) => {
  const raft = core(two, { yieldMs });
  const atMs = standsAtMs(raft, firstTickMs);
  t.true(atMs >= firstTickMs + yieldMs && atMs <= firstTickMs + yieldMs + 10, `at ${atMs}`);
  t.true(standsAtMs(core(two), firstTickMs) < firstTickMs + 10, 'without it, at once: the leader was long not heard');
});

test('a replica that yields votes for whoever stands, and does not stand itself when it hears no more of that', (t) => {
  const raft = core(two, { yieldMs });
  tickTo(raft, firstTickMs);
  raft.step(ask(one, two, 1, { preVote: true }), firstTickMs + 20);
  t.true(granted(flush(raft)));
  raft.step(ask(one, two, 1), firstTickMs + 40);
  t.true(granted(flush(raft)));
  t.true(standsAtMs(raft, firstTickMs + 50) >= firstTickMs + yieldMs);
});

test('a replica that yields asks the others again only after that time, and then as often as others do', (t) => {
  const raft = core(two, { yieldMs });
  const firstMs = standsAtMs(raft, firstTickMs);
  const againMs = standsAtMs(raft, firstMs + 10);
  t.true(againMs - firstMs <= 400, `after ${againMs - firstMs} ms`);
});

test('once it has heard a leader, a replica that yielded follows the rules of all', (t) => {
  const raft = core(two, { yieldMs });
  tickTo(raft, firstTickMs);
  raft.step(beat(one, two, 1), firstTickMs + 100);
  flush(raft);
  raft.leaderUnreachable(firstTickMs + yieldMs);
  const atMs = standsAtMs(raft, firstTickMs + yieldMs);
  t.true(atMs - (firstTickMs + yieldMs) <= 100, `${atMs - firstTickMs - yieldMs} ms after its leader was unreachable`);
});

test('a leader that was heard and is gone within that time is replaced as soon as later', (t) => {
  for (const isTicked of [true, false]) {
    const raft = core(two, { yieldMs });
    if (isTicked) tickTo(raft, firstTickMs);
    raft.step(beat(three, two, 1), firstTickMs + 100);
    flush(raft);
    raft.leaderUnreachable(firstTickMs + 120);
    // The hold ends 300 ms after the first tick.
    const atMs = standsAtMs(raft, firstTickMs + 120);
    t.true(atMs >= firstTickMs + 300 && atMs <= firstTickMs + 400, `${atMs - firstTickMs} ms after its first tick`);
    const againMs = standsAtMs(raft, atMs + 10);
    t.true(againMs - atMs <= 200, `nobody answered, and it asked again after ${againMs - atMs} ms`);
  }
});

test('the only voter yields to nobody', (t) => {
  const raft = core(one, { yieldMs }, [one]);
  raft.tick(firstTickMs);
  flush(raft);
  t.true(raft.isLeader);
});
