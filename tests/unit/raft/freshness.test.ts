import test from 'ava';
import fc from 'fast-check';
import { Freshness } from '../../../src/raft/freshness.js';

const facts = (round: number, answeredRound: number, confirmedRound: number, leaderCommitIndex = 10) => ({
  round,
  answeredRound,
  confirmedRound,
  leaderCommitIndex,
});

test('data are as old as the answer that the confirmed round rests on', (t) => {
  const freshness = new Freshness();
  freshness.onHeartbeat(1, facts(1, 0, 0), 100, 0);
  freshness.onHeartbeat(1, facts(2, 1, 0), 150, 0);
  t.is(freshness.ageMs(10, 160), undefined, 'no round is confirmed yet');
  freshness.onHeartbeat(1, facts(3, 2, 2), 200, 0);
  t.is(freshness.ageMs(10, 210), 110, 'round 2 began after the answer to round 1, at 100');
  t.is(freshness.ageMs(9, 210), undefined, 'what is applied does not reach the commit index of that round');
  freshness.onHeartbeat(1, facts(4, 3, 3), 250, 0);
  t.is(freshness.ageMs(10, 260), 110);
});

test('a heartbeat that comes again, or late, does not make data younger than they are', (t) => {
  for (const copy of [5, 3]) {
    const freshness = new Freshness();
    freshness.onHeartbeat(1, facts(3, 0, 0), 90, 0);
    freshness.onHeartbeat(1, facts(5, 3, 0), 100, 0);
    // The leader has the first answer; this one leaves long after round 6 began.
    freshness.onHeartbeat(1, facts(copy, 0, 0), 900, 0);
    freshness.onHeartbeat(1, facts(6, 5, 0), 950, 0);
    freshness.onHeartbeat(1, facts(7, 6, 6), 1000, 0);
    t.is(freshness.ageMs(10, 1000), 900, `round ${copy} came twice`);
  }
});

test('nothing of another term counts, and what is kept is bounded', (t) => {
  const freshness = new Freshness();
  freshness.onHeartbeat(1, facts(1, 0, 0), 0, 0);
  freshness.onHeartbeat(1, facts(2, 1, 0), 50, 0);
  freshness.onHeartbeat(2, facts(3, 2, 2), 100, 0);
  t.is(freshness.ageMs(10, 100), undefined);
  for (let round = 4; round < 2000; round++) freshness.onHeartbeat(2, facts(round, 0, 0), round, 0);
  freshness.onHeartbeat(2, facts(2000, 1999, 0), 2000, 0);
  freshness.onHeartbeat(2, facts(2001, 2000, 2000), 2001, 0);
  t.is(freshness.ageMs(10, 2010), 11);
  t.true(JSON.stringify(freshness).length < 10_000);
});

test('what is forgotten because more is applied makes no difference', (t) => {
  const step = fc.record({
    applied: fc.nat(3),
    commits: fc.nat(3),
    answered: fc.nat(2),
    confirmed: fc.nat(2),
    ms: fc.nat(50),
  });
  const run = fc.array(step, { minLength: 1, maxLength: 40 });
  const property = fc.property(run, (steps) => {
    const freshness = new Freshness();
    // Everything that was ever known: when each round came, since when its leader led for certain, and what was confirmed.
    const cameMs = [0];
    const rounds: { round: number; sinceMs: number; commitIndex: number }[] = [];
    const points: typeof rounds = [];
    let [nowMs, applied, committed, answered, confirmed] = [0, 0, 0, 0, 0];
    steps.forEach((one, at) => {
      const round = at + 1;
      nowMs += one.ms;
      committed += one.commits;
      applied = Math.min(committed, applied + one.applied);
      answered = Math.max(answered, round - 1 - one.answered);
      confirmed = Math.max(confirmed, round - 1 - one.confirmed);
      cameMs.push(nowMs);
      if (answered > 0) rounds.push({ round, sinceMs: cameMs[answered] as number, commitIndex: committed });
      const point = rounds.findLast((known) => known.round <= confirmed);
      if (point !== undefined && !points.some((known) => known.round >= point.round)) points.push(point);
      freshness.onHeartbeat(1, facts(round, answered, confirmed, committed), nowMs, applied);
      const newest = points.findLast(({ commitIndex }) => commitIndex <= applied);
      t.is(freshness.ageMs(applied, nowMs), newest === undefined ? undefined : nowMs - newest.sinceMs);
    });
  });
  fc.assert(property, { numRuns: 300 });
});
