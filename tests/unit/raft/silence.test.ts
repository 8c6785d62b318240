/**
 * Goal: however heartbeats are left out, no member is left without a word for as long as it promises its leader not to vote: it
 * would help whoever asks next to depose a leader that is well. Method: a leader spoken to by hand, members that answer late.
 */
import test from 'ava';
import fc from 'fast-check';
import type { ReplicaId } from '../../../src/base/index.js';
import { accept, beatAnswer, core, flush, lead, one, roundOf, three, two, voters } from './one-core.js';

const startMs = 5000;
const tickMs = 10;
/** Others that configurations may name, or simulations draw; the first is the usual one. */
const timings = [
  { electionTimeoutMs: 1000, heartbeatIntervalMs: 50, voteHoldMs: 150, leaseMs: 110 },
  { electionTimeoutMs: 300, heartbeatIntervalMs: 75, voteHoldMs: 150, leaseMs: 110 },
  { electionTimeoutMs: 400, heartbeatIntervalMs: 90, voteHoldMs: 200, leaseMs: 150 },
  { electionTimeoutMs: 600, heartbeatIntervalMs: 250, voteHoldMs: 600, leaseMs: 450 },
] as const;
type Timing = (typeof timings)[number];
/** What happens between two ticks: an entry is proposed; what a member took so far reaches the leader. */
type Step = { readonly proposes: boolean; readonly answers: readonly boolean[] };

/** The longest a member went without a message, and how many heartbeats were sent to each. */
function silenceOf(timing: Timing, steps: readonly Step[]): { readonly longestMs: number; readonly beats: number } {
  const raft = core(one, {}, voters, timing);
  lead(raft, 0);
  const heardMs = new Map<ReplicaId, number>([two, three].map((id) => [id, startMs]));
  let longestMs = 0;
  let beats = 0;
  const send = (nowMs: number): void => {
    const sent = flush(raft);
    const round = roundOf(sent);
    for (const { type, to } of sent) {
      if (type !== 'HeartbeatRequest' && type !== 'AppendRequest') continue;
      longestMs = Math.max(longestMs, nowMs - (heardMs.get(to) as number));
      heardMs.set(to, nowMs);
      if (type === 'HeartbeatRequest') beats++;
    }
    if (round > 0) for (const from of [two, three]) beatAnswer(raft, from, round, nowMs);
  };
  send(startMs);
  for (const from of [two, three]) accept(raft, from, 1, startMs);
  send(startMs);
  steps.forEach(({ proposes, answers }, at) => {
    const nowMs = startMs + (at + 1) * tickMs;
    raft.tick(nowMs);
    if (proposes) raft.propose(Buffer.from('x=1'));
    send(nowMs);
    [two, three].forEach((from, which) => {
      if (answers[which]) accept(raft, from, raft.lastIndex, nowMs);
    });
    send(nowMs);
  });
  for (const lastMs of heardMs.values()) longestMs = Math.max(longestMs, startMs + steps.length * tickMs - lastMs);
  return { longestMs, beats: beats / 2 };
}

const step = (percentProposed: number, percentAnswered: number): fc.Arbitrary<Step> => {
  const isSo = (percent: number) => fc.integer({ min: 0, max: 99 }).map((drawn) => drawn < percent);
  return fc.record({
    proposes: isSo(percentProposed),
    answers: fc.tuple(isSo(percentAnswered), isSo(percentAnswered)),
  });
};

const steps = fc
  .tuple(fc.constantFrom(3, 10, 30, 100), fc.constantFrom(3, 10, 30, 100))
  .chain(([proposed, answered]) => fc.array(step(proposed, answered), { minLength: 100, maxLength: 200 }));

for (const timing of timings) {
  const { heartbeatIntervalMs, voteHoldMs } = timing;
  test(`no member hears nothing for as long as its promise lasts: ${heartbeatIntervalMs} of ${voteHoldMs} ms`, (t) => {
    fc.assert(
      fc.property(steps, (drawn) => silenceOf(timing, drawn).longestMs < voteHoldMs),
      { numRuns: 300, seed: 7 },
    );
    t.pass();
  });
}

test('an entry that was taken late does not put off the heartbeat after it', (t) => {
  const idle = { proposes: false, answers: [false, false] };
  const often = Array.from({ length: 25 }, () => [
    { proposes: true, answers: [true, true] },
    { proposes: false, answers: [true, true] },
  ]).flat();
  // Sent with the tick of a heartbeat that it made needless, taken just before the next one, and then nothing more.
  const late = [{ proposes: true, answers: [false, false] }, idle, idle, { proposes: false, answers: [true, true] }];
  const { longestMs } = silenceOf(timings[0], [...often, ...late, ...Array(20).fill(idle)]);
  t.is(longestMs, 100);
});

test('where entries are taken all the time, seven of eight heartbeats are left out', (t) => {
  const steady = Array.from({ length: 200 }, () => ({ proposes: true, answers: [true, true] }));
  const { beats } = silenceOf(timings[0], steady);
  t.is(beats, 2000 / 400);
});
