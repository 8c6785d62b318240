/**
 * Goal: each judge passes a good history and names exactly what is wrong with a bad one, by no more operations than it takes.
 * Method: histories of a few operations by hand, each wrong in one way.
 */
import test from 'ava';
import {
  judgeAnswer,
  judgeBank,
  judgeCounter,
  judgeFreshness,
  judgeList,
  judgeRegister,
  judgeRetries,
  judgeSealed,
  judgeSet,
  type Operation,
  type Violation,
} from '../../../src/chaos/index.js';
import { done, failed, operationsOf, refused, seen, unknown } from '../../support/chaos-operations.js';

type Judge = (operations: readonly Operation[]) => readonly Violation[];

/** One violation, of these operations in this order, in these words. */
function finds(judge: Judge, operations: readonly Operation[], words: RegExp, part: readonly Operation[]) {
  return (t: import('ava').ExecutionContext): void => {
    const violations = judge(operations);
    t.is(violations.length, 1, violations.map(({ what }) => what).join('\n'));
    t.regex(violations[0]?.what ?? '', words);
    t.deepEqual(violations[0]?.operations, part);
  };
}

const passes = (judge: Judge, operations: readonly Operation[]) => (t: import('ava').ExecutionContext) =>
  t.deepEqual(judge(operations), []);

// Registers

const registers: Judge = (operations) => judgeRegister(operations).violations;
const register = operationsOf('register');
const [v1, v2] = [register.put('a', 0, 1, '1'), register.put('a', 2, 3, '2')];
const cas = (startMs: number, expected: string, value: string, outcome = done()) =>
  register.make('b', startMs, startMs + 1, { op: 'put', value, ifValue: expected }, outcome);

test(
  'register: an unknown write may be seen or not, and a possibly stale read proves nothing',
  passes(registers, [
    v1,
    register.put('a', 2, 3, '2', unknown),
    register.read('b', 4, 5, '1'),
    register.read('b', 10, 11, '2'),
    register.read('b', 12, 13, '1', { maybeStale: true, level: 'quorum' }),
    cas(14, '2', '3'),
    register.put('c', 16, 17, '9', failed),
  ]),
);
const stale = register.read('b', 4, 5, '1');
test(
  'register: a stale read is shown with the write it missed',
  finds(registers, [v1, v2, stale, register.read('c', 6, 7, '2')], /these 3 operations.*returned 1 after put 2/, [
    v1,
    v2,
    stale,
  ]),
);
const lost = cas(4, '1', '3');
test(
  'register: a compare-and-swap done on what had been overwritten',
  finds(registers, [v1, v2, lost], /cas 1 → 3 by b was done after put 2/, [v1, v2, lost]),
);
const ghost = register.put('a', 2, 3, '7', failed);
const seesGhost = register.read('b', 4, 5, '7');
test(
  'register: a write that failed for certain must not be seen',
  finds(registers, [v1, ghost, seesGhost], /returned 7, whose write certainly did not happen/, [ghost, seesGhost]),
);
const [early, late] = [register.read('b', 2, 3, '2'), register.read('c', 4, 5, '1')];
const slow = register.put('a', 1.5, 9, '2');
test(
  'register: two reads that see a write and then not',
  finds(registers, [v1, slow, early, late], /nothing explains/, [v1, slow, early, late]),
);

// Counters

const counter = operationsOf('counter');
const one = counter.incr('a', 0, 1, 1);
const two = counter.incr('b', 2, 3, 2);
test(
  'counter: numbers in the order of time, reads in between',
  passes(judgeCounter, [
    one,
    counter.make('c', 0, 9, { op: 'incr', by: 1, requestId: 'x' }, unknown),
    counter.make('d', 10, 11, { op: 'incr', by: 1, requestId: 'x' }, done({ number: 3 })),
    two,
    counter.read('a', 4, 5, '2'),
    counter.read('a', 12, 13, '3'),
  ]),
);
const behind = counter.read('c', 4, 5, '1');
test('counter: a read behind an acknowledged increment', (t) => {
  const [first] = judgeCounter([one, two, behind]);
  t.regex(first?.what ?? '', /read by c showed 1 after b was told 2/);
  t.deepEqual(first?.operations, [two, behind]);
});
const again = counter.incr('c', 2, 4, 2);
test('counter: the same number twice', (t) => {
  const [first] = judgeCounter([one, two, again]);
  t.regex(first?.what ?? '', /both answered 2/);
  t.deepEqual(first?.operations, [two, again]);
});
const skipped = counter.incr('b', 2, 3, 3);
test(
  'counter: off by one, since an increment was done twice',
  finds(judgeCounter, [one, skipped], /was told 3 though only 2 increments/, [one, skipped]),
);
const total = counter.read('c', 20, 21, '1');
test('counter: off by one in the end, though no number shows it', (t) => {
  const overlapping = [counter.incr('a', 0, 9, 1), counter.make('b', 0, 8, { op: 'incr', by: 1 }, done({ number: 1 }))];
  t.true(judgeCounter([...overlapping, total]).some(({ what }) => /2 increments had been acknowledged/.test(what)));
});
test('counter: an increment that failed for certain does not count', (t) => {
  const none = counter.make('a', 0, 1, { op: 'incr', by: 1 }, failed);
  t.regex(judgeCounter([none, counter.read('b', 2, 3, '1')])[0]?.what ?? '', /only 0 increments/);
});

// Sets

const set = operationsOf('set');
const [added, absent] = [set.put('a', 0, 1, 'e'), set.read('b', 2, 3, null)];
const [there, notAdded] = [set.read('b', 2, 3, 'e'), set.put('a', 0, 1, 'e', failed)];
test('set: acknowledged and there', passes(judgeSet, [added, there, set.read('b', 0, 1, null)]));
test('set: unknown may be there', passes(judgeSet, [set.put('a', 0, 1, 'e', unknown), there]));
test('set: unknown may be away', passes(judgeSet, [set.put('a', 0, 1, 'e', unknown), absent]));
test('set: a lost add', finds(judgeSet, [added, absent], /acknowledged to a, is not there/, [added, absent]));
test('set: a refused add that happened', finds(judgeSet, [notAdded, there], /certainly failed/, [notAdded, there]));
test(
  'set: an element of somebody else',
  finds(judgeSet, [added, set.read('b', 2, 3, 'f')], /holds f, which nobody wrote/, [added, set.read('b', 2, 3, 'f')]),
);

// Lists

const list = operationsOf('list');
const a = list.append('a', 0, 1, 'a,', done({ number: 2 }));
const b = list.append('b', 2, 3, 'b,', done({ number: 4 }));
test(
  'list: each token once, in the order of time, every state the beginning of the next',
  passes(judgeList, [
    a,
    b,
    list.append('c', 2, 9, 'c,', unknown),
    list.append('c', 2, 3, 'd,', failed),
    list.read('a', 4, 5, 'a,b,'),
    list.read('a', 6, 7, 'a,b,c,'),
    list.read('a', 4, 5, 'a,', { maybeStale: true, level: 'quorum' }),
  ]),
);
const doubled = list.read('c', 4, 5, 'a,b,a,');
test('list: a doubled token', finds(judgeList, [a, b, doubled], /a, appended once by a, is there twice/, [a, doubled]));
const missing = list.read('c', 4, 5, 'a,');
test(
  'list: a lost append',
  finds(judgeList, [a, b, missing], /b was acknowledged to b and is not there/, [b, missing]),
);
test(
  'list: overlapping appends stand in either order',
  passes(judgeList, [
    list.append('a', 0, 5, 'a,', done({ number: 4 })),
    list.append('b', 2, 3, 'b,', done({ number: 2 })),
    list.read('c', 6, 7, 'b,a,'),
  ]),
);
const [b1, a1] = [list.append('b', 2, 3, 'b,', done({ number: 2 })), list.append('a', 0, 1, 'a,', done({ number: 4 }))];
const reversed = list.read('c', 4, 5, 'b,a,');
test(
  'list: an order that contradicts time',
  finds(judgeList, [a1, b1, reversed], /a stands behind b, though it was acknowledged before/, [a1, b1, reversed]),
);
const [before, after] = [list.read('a', 4, 5, 'a,b,'), list.read('a', 6, 7, 'b,a,')];
test('list: tokens change places', (t) => {
  const [first] = judgeList([
    list.append('a', 0, 9, 'a,', unknown),
    list.append('b', 0, 9, 'b,', unknown),
    before,
    after,
  ]);
  t.regex(first?.what ?? '', /does not begin with/);
  t.deepEqual(first?.operations, [before, after]);
});
const shrunk = list.read('b', 6, 7, 'a,');
test('list: a read goes back behind an earlier one', (t) => {
  const [first] = judgeList([a, list.append('b', 2, 30, 'b,', unknown), before, shrunk]);
  t.regex(first?.what ?? '', /shows 1 token after a had read 2 tokens/);
  t.deepEqual(first?.operations, [before, shrunk]);
});
test('list: a token of an append that failed', (t) => {
  const never = list.append('a', 0, 1, 'a,', failed);
  const read = list.read('b', 2, 3, 'a,');
  finds(judgeList, [never, read], /a is there though its append certainly failed/, [never, read])(t);
});
test('list: an append that was told another length', (t) => {
  const wrong = list.append('a', 0, 1, 'a,', done({ number: 7 }));
  finds(judgeList, [wrong, missing], /ends at byte 2, but its append was answered that the list had 7/, [
    wrong,
    missing,
  ])(t);
});

// Banks

const bank = operationsOf('bank');
const state = (version: number, by: string, accounts = [200, 200, 200, 200, 200]) =>
  JSON.stringify({ version, by, accounts });
const transfer = (client: string, startMs: number, text: string, outcome = done()) =>
  bank.make(client, startMs, startMs + 1, { op: 'put', value: text, ifRevision: 1 }, outcome);
const [t0, t1] = [transfer('a', 0, state(0, 'x')), transfer('b', 2, state(1, 'y', [100, 300, 200, 200, 200]))];
test(
  'bank: the total stays, versions go up',
  passes(judgeBank, [
    t0,
    t1,
    bank.read('a', 4, 5, state(1, 'y', [100, 300, 200, 200, 200])),
    bank.read('c', 0, 5, null),
  ]),
);
const poorer = bank.read('c', 4, 5, state(1, 'y', [100, 200, 200, 200, 200]));
test('bank: a changed total', (t) => {
  const [first] = judgeBank([t0, t1, poorer]);
  t.regex(first?.what ?? '', /a total of 900, not 1000/);
  t.deepEqual(first?.operations, [poorer]);
});
const clash = transfer('c', 2, state(1, 'z'));
test('bank: a lost update', finds(judgeBank, [t0, t1, clash], /y and z both made version 1/, [t1, clash]));
const old = bank.read('c', 4, 5, state(0, 'x'));
test('bank: a stale read', finds(judgeBank, [t0, t1, old], /c read version 0 after b had version 1/, [t1, old]));
const refusedTransfer = bank.make('c', 2, 3, { op: 'put', value: state(1, 'q'), ifRevision: 1 }, refused);
const seesRefused = bank.read('a', 4, 5, state(1, 'q'));
test(
  'bank: a refused transfer that is seen',
  finds(judgeBank, [t0, refusedTransfer, seesRefused], /transfer q, which was refused/, [refusedTransfer, seesRefused]),
);

// Sessions, and whatever claims an age

const session = operationsOf('session');
const at = (
  client: string,
  startMs: number,
  value: string | null,
  revision: number,
  level: 'one' | 'quorum' | 'linearizable',
  maybeStale: boolean,
  stalenessMs?: number,
) =>
  session.make(
    client,
    startMs,
    startMs + 1,
    { op: 'get', level },
    seen(value, { revision, level, maybeStale, ...(stalenessMs === undefined ? {} : { stalenessMs }) }),
  );
const [w1, w2] = [
  session.put('w', 0, 1, '1', done({ revision: 5 })),
  session.put('w', 2, 3, '2', done({ revision: 9 })),
];
test(
  'session: another client may be behind, the same may not',
  passes(judgeFreshness, [
    w1,
    w2,
    at('r', 4, '1', 5, 'one', true),
    at('r', 6, '2', 9, 'one', true),
    at('s', 8, null, 0, 'one', true, 10),
    at('r', 10, '1', 5, 'quorum', true),
  ]),
);
const [ahead, back] = [at('r', 4, '2', 9, 'linearizable', false), at('r', 6, '1', 5, 'one', true)];
test(
  'session: back behind what it has read',
  finds(judgeFreshness, [w1, w2, ahead, back], /A session went back: .* by r returned 1 \(revision 5\)/, [ahead, back]),
);
const own = at('w', 4, '1', 5, 'one', true);
test('session: back behind its own write', finds(judgeFreshness, [w1, w2, own], /A session went back/, [w2, own]));
const claimed = at('r', 4, '1', 5, 'quorum', false);
test(
  'session: an answer that is called linearizable and is stale',
  finds(judgeFreshness, [w1, w2, claimed], /stale answer called linearizable/, [w2, claimed]),
);
const aged = at('r', 100, '1', 5, 'one', true, 50);
test(
  'session: older than it says',
  finds(judgeFreshness, [w1, w2, aged], /Older than it says.*97 ms before/, [w2, aged]),
);
const foreign = at('r', 4, '7', 9, 'one', true);
test('session: a value nobody wrote', finds(judgeFreshness, [w1, w2, foreign], /which nobody wrote/, [foreign]));
const renumbered = at('r', 4, '2', 11, 'one', true);
test(
  'session: a value at another revision',
  finds(judgeFreshness, [w1, w2, renumbered], /written as revision 9/, [w2, renumbered]),
);

// Writes sent again

const retry = operationsOf('retry');
const put = (startMs: number, requestId: string, value: string, outcome = done()) =>
  retry.make('a', startMs, startMs + 1, { op: 'put', value, requestId }, outcome);
const x = put(0, 'x', '1', done({ revision: 3 }));
const y = put(2, 'y', '2', done({ revision: 4 }));
test(
  'retry: the first answer again, and nothing changes',
  passes(judgeRetries, [x, y, put(4, 'x', '1', done({ revision: 3 })), retry.read('b', 6, 7, '2')]),
);
test(
  'retry: lost answers are no answers',
  passes(judgeRetries, [
    put(0, 'x', '1', unknown as never),
    put(2, 'x', '1'),
    put(4, 'x', '1', failed as never),
    retry.read('b', 6, 7, '1'),
  ]),
);
const other = put(4, 'x', '1', done({ revision: 7 }));
test(
  'retry: another answer than the first',
  finds(judgeRetries, [x, y, other, retry.read('b', 6, 7, '2')], /answered ok \(revision 7\), not ok \(revision 3\)/, [
    x,
    other,
  ]),
);
const overwritten = retry.read('b', 6, 7, '1');
const repeat = put(4, 'x', '1', done({ revision: 3 }));
test(
  'retry: a repeated write that was done again',
  finds(judgeRetries, [x, y, repeat, overwritten], /holds 1, not 2/, [x, y, repeat, overwritten]),
);
test('retry: a condition that was decided wrongly', (t) => {
  const wrong = retry.make('a', 2, 3, { op: 'put', value: '2', ifAbsent: true, requestId: 'z' }, done());
  finds(judgeRetries, [x, wrong], /decided wrongly/, [x, wrong])(t);
});

// Single answers, sealed keys

const get = (call: Partial<Extract<Operation['call'], { op: 'get' }>>, more: object) =>
  session.make('a', 0, 1, { op: 'get', level: 'linearizable', ...call }, seen('1', more));
test('an answer may be stronger than asked for, never weaker unless that was allowed', (t) => {
  t.deepEqual(judgeAnswer(get({ level: 'lease' }, {})), []);
  t.deepEqual(judgeAnswer(get({ available: true }, { level: 'one', maybeStale: true })), []);
  t.is(judgeAnswer(get({}, { level: 'quorum' })).length, 1);
  t.is(judgeAnswer(get({}, { maybeStale: true })).length, 1);
  t.is(
    judgeAnswer(get({ level: 'one', maxStalenessMs: 50 }, { level: 'one', maybeStale: true, stalenessMs: 51 })).length,
    1,
  );
  t.is(judgeAnswer(get({ level: 'one', maxStalenessMs: 50 }, { level: 'one', maybeStale: true })).length, 1);
});
test('a sealed key keeps its value and its revision', (t) => {
  const read = (startMs: number, value: string | null, revision: number) =>
    set.read('a', startMs, startMs + 1, value, { revision });
  t.deepEqual(judgeSealed(read(0, '1', 4), read(9, '1', 4)), []);
  t.is(judgeSealed(read(0, '1', 4), read(9, null, 0)).length, 1);
  t.is(judgeSealed(read(0, '1', 4), read(9, '1', 5)).length, 1);
});
