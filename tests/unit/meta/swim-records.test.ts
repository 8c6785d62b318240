/** Goal: however news comes, nodes that heard the same know the same, and never less than before. Method: fast-check. */
import test from 'ava';
import fc from 'fast-check';
import { type NodeId, seededRandom } from '../../../src/base/index.js';
import { pickSome, shuffled } from '../../../src/meta/swim/choice.js';
import { noCounts } from '../../../src/meta/swim/counters.js';
import { NewsQueue } from '../../../src/meta/swim/news-queue.js';
import { defaultSuspicionMs, suspicionTimeoutMs, timesToSend } from '../../../src/meta/swim/options.js';
import { ProbeOrder } from '../../../src/meta/swim/probe-order.js';
import {
  compareStanding,
  type MemberRecord,
  memberStates,
  mergeRecords,
  mostAccusers,
} from '../../../src/meta/swim/record.js';
import { Roster } from '../../../src/meta/swim/roster.js';
import { factsOf, namesOf } from './gossip-cluster.js';

const member = 'n1' as NodeId;

/** Small numbers, so that lives, refutations and versions often are equal. */
const anyRecord: fc.Arbitrary<MemberRecord> = fc
  .record({
    life: fc.nat(2),
    refutation: fc.nat(2),
    state: fc.constantFrom(...memberStates),
    accusers: fc.subarray([...namesOf(7)], { maxLength: mostAccusers }),
    heartbeat: fc.nat(3),
    factsVersion: fc.nat(2),
    zone: fc.constantFrom('a', 'b'),
  })
  .map(({ accusers, state, factsVersion, zone, ...rest }) => ({
    nodeId: member,
    state,
    accusers: state === 'suspect' ? [...accusers].sort() : [],
    factsVersion,
    facts: factsVersion === 0 ? undefined : factsOf({ zone }),
    ...rest,
  }));

const isBelow = (a: MemberRecord, b: MemberRecord): boolean => mergeRecords(b, a) === b;

test('merging is commutative, associative and idempotent', (t) => {
  fc.assert(
    fc.property(anyRecord, anyRecord, anyRecord, (a, b, c) => {
      t.deepEqual(mergeRecords(a, b), mergeRecords(b, a));
      t.deepEqual(mergeRecords(mergeRecords(a, b), c), mergeRecords(a, mergeRecords(b, c)));
      t.is(mergeRecords(a, a), a);
    }),
    { numRuns: 5000 },
  );
});

test('merging is monotone, and never below either side', (t) => {
  fc.assert(
    fc.property(anyRecord, anyRecord, anyRecord, (a, b, c) => {
      const joined = mergeRecords(a, b);
      t.true(isBelow(a, joined) && isBelow(b, joined));
      t.true(compareStanding(joined, a) >= 0 && compareStanding(joined, b) >= 0);
      t.true(isBelow(mergeRecords(a, c), mergeRecords(joined, c)));
    }),
    { numRuns: 5000 },
  );
});

test('what a roster knows of a member only grows, whatever comes in', (t) => {
  fc.assert(
    fc.property(fc.array(anyRecord, { maxLength: 30 }), (news) => {
      const roster = new Roster(noCounts());
      let known: MemberRecord | undefined;
      for (const [at, record] of news.entries()) {
        roster.learn(record, at);
        const now = roster.get(member)?.record as MemberRecord;
        if (known !== undefined) t.true(isBelow(known, now));
        known = now;
      }
    }),
    { numRuns: 2000 },
  );
});

const alive: MemberRecord = {
  nodeId: member,
  life: 1,
  refutation: 0,
  state: 'alive',
  accusers: [],
  heartbeat: 10,
  factsVersion: 0,
  facts: undefined,
};

test('a death is doubted by who has seen more of the member, and believed by who has not', (t) => {
  const roster = new Roster(noCounts());
  roster.learn(alive, 0);
  roster.learn({ ...alive, state: 'dead', heartbeat: 9 }, 1);
  t.is(roster.get(member)?.record.state, 'alive');
  t.is(roster.get(member)?.doubted?.heartbeat, 9);
  roster.learn({ ...alive, state: 'dead', heartbeat: 10 }, 2);
  t.is(roster.get(member)?.record.state, 'dead');
  roster.learnHeartbeat({ nodeId: member, life: 1, heartbeat: 50 }, 3);
  t.is(roster.get(member)?.record.heartbeat, 10, 'a death says how much was seen');
  roster.learn({ ...alive, heartbeat: 50 }, 3);
  t.is(roster.get(member)?.record.heartbeat, 10);
  roster.learn({ ...alive, heartbeat: 50, refutation: 1 }, 4);
  t.like(roster.get(member), { record: { state: 'alive', heartbeat: 50 }, lastHeardMs: 4, sinceMs: 4 });
});

test('a suspicion is half as long with all accusers, and never shorter', (t) => {
  t.is(suspicionTimeoutMs(2000, 1, 5), 2000);
  t.is(suspicionTimeoutMs(2000, 4, 5), 1000);
  t.is(suspicionTimeoutMs(2000, 4, 100), 1000);
  t.is(suspicionTimeoutMs(2000, 2, 3), 1000, 'both others');
  t.is(suspicionTimeoutMs(2000, 4, 2), 2000, 'there is nobody else');
  const lengths = [0, 1, 2, 3, 4, 5].map((accusers) => suspicionTimeoutMs(2000, accusers, 20));
  t.deepEqual(
    lengths,
    [...lengths].sort((a, b) => b - a),
  );
  t.deepEqual(
    [3, 9, 99].map((nodes) => defaultSuspicionMs(500, nodes)),
    [2000, 2000, 4000],
  );
  t.deepEqual([1, 5, 20, 100].map(timesToSend), [3, 9, 15, 21]);
});

test('news is sent so many times, the least often sent and the newest first', (t) => {
  const [a, b, c] = namesOf(3) as [NodeId, NodeId, NodeId];
  const queue = new NewsQueue();
  queue.add(a);
  queue.add(b);
  t.deepEqual(queue.inTurn(), [b, a]);
  queue.sent(b, 2);
  t.deepEqual(queue.inTurn(), [a, b]);
  queue.add(c);
  t.deepEqual(queue.inTurn(), [c, a, b]);
  queue.sent(b, 2);
  t.deepEqual(queue.inTurn(), [c, a]);
  queue.add(b);
  t.deepEqual(queue.inTurn(), [b, c, a], 'new news of it starts over');
});

test('every member is probed once a round, newcomers within the round', (t) => {
  const names = namesOf(20);
  fc.assert(
    fc.property(fc.nat(), fc.nat(20), (seed, after) => {
      const order = new ProbeOrder(seededRandom(seed));
      const next = (): NodeId | undefined =>
        order.next(
          () => names,
          () => true,
        );
      const seen = new Set(Array.from({ length: 20 }, next));
      t.is(seen.size, 20);
      for (let at = 0; at < after; at++) next();
      order.add('late' as NodeId);
      const rest = Array.from({ length: 21 }, next);
      t.true(rest.includes('late' as NodeId));
    }),
  );
  const order = new ProbeOrder(seededRandom(1));
  t.is(
    order.next(
      () => [],
      () => true,
    ),
    undefined,
  );
  t.is(
    order.next(
      () => names,
      () => false,
    ),
    undefined,
  );
});

test('a choice takes different ones, and all of them when it may', (t) => {
  fc.assert(
    fc.property(fc.nat(), fc.nat(12), (seed, count) => {
      const chosen = pickSome(seededRandom(seed), namesOf(8), count);
      t.is(new Set(chosen).size, Math.min(8, count));
      t.deepEqual([...shuffled(seededRandom(seed), namesOf(8))].sort(), [...namesOf(8)]);
    }),
  );
});
