/** Goal: calls under one request id are one write, and what had ended before a moment is found. Method: by hand, and random against the definition. */
import test from 'ava';
import fc from 'fast-check';
import { Ended } from '../../../src/chaos/ended.js';
import { inOrder, merged } from '../../../src/chaos/index.js';
import { done, failed, operationsOf, refused, unknown } from '../../support/chaos-operations.js';

const { make } = operationsOf('counter');
const attempt = (startMs: number, endMs: number, outcome: Parameters<typeof make>[4], requestId = 'r') =>
  make('a', startMs, endMs, { op: 'incr', by: 1, requestId }, outcome);

test('calls under one id last from the first call to the first answer', (t) => {
  const [one] = merged([
    attempt(0, 5, unknown),
    attempt(6, 7, done({ number: 4 })),
    attempt(8, 9, done({ number: 4 })),
  ]);
  t.deepEqual([one?.startMs, one?.endMs, one?.outcome], [0, 7, done({ number: 4 })]);
  const [decided] = merged([attempt(0, 9, done()), attempt(1, 4, refused)]);
  t.deepEqual([decided?.endMs, decided?.outcome.kind], [4, 'refused']);
});

test('without an answer they are unknown when one of them is, and failed only when all are', (t) => {
  t.is(merged([attempt(0, 1, unknown), attempt(2, 3, failed)])[0]?.outcome.kind, 'unknown');
  t.is(merged([attempt(0, 1, failed), attempt(2, 3, unknown)])[0]?.outcome.kind, 'unknown');
  t.is(merged([attempt(0, 1, failed), attempt(2, 3, failed)])[0]?.outcome.kind, 'failed');
});

test('other ids, and calls without any, stay apart, in the order of calls', (t) => {
  const plain = make('b', 1, 2, { op: 'incr', by: 1 }, done());
  const all = [attempt(3, 4, done(), 's'), plain, attempt(0, 9, done(), 'r')];
  t.deepEqual(merged(all), inOrder(all));
});

test('the greatest that had ended before a moment is what a look at all of them finds', (t) => {
  const ranked = fc
    .tuple(fc.integer({ min: 0, max: 30 }), fc.integer({ min: 0, max: 9 }))
    .map(([endMs, rank]) => ({ rank, operation: attempt(0, endMs, done()) }));
  const isGreatest = (sources: { rank: number; operation: ReturnType<typeof attempt> }[], stampMs: number) => {
    const before = sources.filter(({ operation }) => operation.endMs < stampMs);
    const greatest = before.length === 0 ? undefined : Math.max(...before.map(({ rank }) => rank));
    t.is(new Ended(sources).before(stampMs)?.rank, greatest);
  };
  t.notThrows(() => fc.assert(fc.property(fc.array(ranked), fc.integer({ min: 0, max: 31 }), isGreatest)));
});
