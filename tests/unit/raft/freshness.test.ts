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
    const [kept, forgetful] = [new Freshness(), new Freshness()];
    let [nowMs, applied, committed] = [0, 0, 0];
    steps.forEach((one, at) => {
      const round = at + 1;
      nowMs += one.ms;
      committed += one.commits;
      applied = Math.min(committed, applied + one.applied);
      const told = facts(
        round,
        Math.max(0, round - 1 - one.answered),
        Math.max(0, round - 1 - one.confirmed),
        committed,
      );
      kept.onHeartbeat(1, told, nowMs, 0);
      forgetful.onHeartbeat(1, told, nowMs, applied);
      t.is(forgetful.ageMs(applied, nowMs), kept.ageMs(applied, nowMs));
    });
  });
  fc.assert(property, { numRuns: 300 });
  t.pass();
});
