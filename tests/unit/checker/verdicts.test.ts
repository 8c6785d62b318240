/**
 * Goal: the checker knows right from wrong. Method: small histories whose verdict anyone can see, one fact each; the
 * good ones are near misses of the bad ones.
 */
import test from 'ava';
import { checkHistory, type History, registerModel } from '../../../src/checker/index.js';
import { cas, inTurn, put, read, refused, remove, span, unknown } from '../../support/histories.js';

const isGood = (history: History): boolean => checkHistory(history).ok === true;

const good: Readonly<Record<string, History>> = {
  'nothing at all': [],
  'a key that was never written is absent': inTurn(read(null)),
  'a read of the last write': inTurn(put('a'), read('a'), put('b'), read('b')),
  'a read during a write sees the old value': [span(0, 1, put('a')), span(2, 9, put('b')), span(3, 4, read('a'))],
  'a read during a write sees the new value': [span(0, 1, put('a')), span(2, 9, put('b')), span(3, 4, read('b'))],
  'reads during two overlapping writes see them in either order': [
    span(0, 9, put('a')),
    span(0, 9, put('b')),
    span(1, 2, read('b')),
    span(3, 4, read('a')),
  ],
  'an operation that returns at the stamp another begins overlaps it': [span(0, 5, put('a')), span(5, 6, read(null))],
  'a swap of the value that is there': inTurn(put('a'), cas('a', 'b'), read('b')),
  'a swap on absence': inTurn(cas(null, 'a'), read('a'), remove(true), cas(null, 'b'), read('b')),
  'two swaps on one value, that came back in between': inTurn(put('a'), cas('a', 'b'), put('a'), cas('a', 'c')),
  'a refused swap that saw another value': inTurn(put('a'), refused('x', 'b', 'a'), read('a')),
  'a refused swap that overlaps the write it saw': [span(0, 9, put('a')), span(1, 2, refused(null, 'b'))],
  'a deleted key is absent': inTurn(put('a'), remove(true), read(null), remove(false)),
  'an unknown write that never took effect': inTurn(put('a'), unknown(put('b')), read('a'), read('a')),
  'an unknown write that took effect late': inTurn(put('a'), unknown(put('b')), read('a'), put('c'), read('b')),
  'an unknown delete that took effect late': inTurn(put('a'), unknown(remove()), read('a'), read(null)),
  'an unknown swap that took effect': inTurn(put('a'), unknown(cas('a', 'b')), read('a'), read('b')),
  'an unknown swap that was refused': inTurn(put('a'), unknown(cas('x', 'b')), read('a')),
  'an unknown swap that waits for an unknown write': inTurn(unknown(cas('a', 'b')), unknown(put('a')), read('b')),
  'an unknown write met by a delete alone': inTurn(unknown(put('a')), remove(true), read(null)),
  'an unknown write met by a refused swap alone': inTurn(unknown(put('a')), refused(null, 'b'), put('c')),
  'two unknown writes of one value, seen twice': inTurn(
    unknown(put('a')),
    unknown(put('a')),
    read('a'),
    put('b'),
    read('a'),
  ),
};

const bad: Readonly<Record<string, History>> = {
  'a stale read after a completed write': inTurn(put('a'), put('b'), read('a')),
  'an absent key after a completed write': inTurn(put('a'), read(null)),
  'a lost update': inTurn(put('a'), cas('a', 'b'), put('c'), read('b')),
  'two swaps that both succeed on one value': [
    span(0, 1, put('a')),
    span(2, 9, cas('a', 'b')),
    span(3, 8, cas('a', 'c')),
  ],
  'two creations of one key': [span(0, 9, cas(null, 'a')), span(0, 9, cas(null, 'b'))],
  'a read of a value nobody wrote': inTurn(put('a'), read('x')),
  'a read before the write it saw': inTurn(read('a'), put('a')),
  'a value that goes back': [span(0, 1, put('a')), span(2, 9, put('b')), span(3, 4, read('b')), span(5, 6, read('a'))],
  'two readers that disagree about the order of two writes': [
    span(0, 1, put('a')),
    span(0, 1, put('b')),
    span(2, 3, read('a')),
    span(4, 5, read('b')),
  ],
  'an unknown write that was seen and then unseen': inTurn(put('a'), unknown(put('b')), read('b'), read('a')),
  'an unknown write that took effect twice': inTurn(unknown(put('b')), read('b'), put('a'), read('b')),
  'an unknown write that was seen before it was called': inTurn(read('b'), unknown(put('b'))),
  'an unknown delete that took effect twice': inTurn(
    put('a'),
    unknown(remove()),
    read(null),
    put('b'),
    read('b'),
    read(null),
  ),
  'an unknown swap that took effect on another value': inTurn(put('a'), unknown(cas('x', 'b')), read('b')),
  'a refused swap that saw the value it expected': inTurn(put('a'), refused('a', 'b', 'a')),
  'a refused swap where the expected value was there': inTurn(put('a'), refused('a', 'b')),
  'a refused swap that saw a value that was not there': inTurn(put('a'), put('b'), refused('x', 'c', 'a')),
  'a refused swap that changed the value': inTurn(put('a'), refused('x', 'b', 'a'), read('b')),
  'a read of the old value after a delete': inTurn(put('a'), remove(), read('a')),
  'a delete that found nothing where a value was': inTurn(put('a'), remove(false)),
  'a delete that found something where nothing was': inTurn(put('a'), remove(), remove(true)),
};

for (const [name, history] of Object.entries(good)) test(`fine: ${name}`, (t) => t.true(isGood(history)));
for (const [name, history] of Object.entries(bad)) test(`wrong: ${name}`, (t) => t.false(isGood(history)));

test('the order of the records in a history does not matter', (t) => {
  for (const history of Object.values(good)) t.true(isGood([...history].reverse()));
  for (const history of Object.values(bad)) t.false(isGood([...history].reverse()));
});

test('the same verdicts without knowledge of what operations touch', (t) => {
  const { footprint: _, ...model } = registerModel;
  for (const [name, history] of Object.entries(good)) t.true(checkHistory(history, { model }).ok, name);
  for (const [name, history] of Object.entries(bad)) t.false(checkHistory(history, { model }).ok, name);
});

test('keys are independent, and the one that fails is named', (t) => {
  const fine = [span(0, 1, put('a'), 'x'), span(2, 3, read('a'), 'x')];
  t.deepEqual(checkHistory([...fine, span(1, 2, read(null), 'y')]), { ok: true, operations: 3, keys: 2 });
  const stale = [span(0, 1, put('a'), 'y'), span(2, 3, read(null), 'y')];
  t.like(checkHistory([...fine, ...stale]), { ok: false, key: 'y', operations: stale });
});

test('a read without an answer says nothing', (t) => {
  t.deepEqual(checkHistory(inTurn(put('a'), unknown(read('x')))), { ok: true, operations: 2, keys: 1 });
});

test('too few steps make no verdict, unless another key fails', (t) => {
  const history = inTurn(put('a'), read('a'), put('b'), read('b'));
  t.deepEqual(checkHistory(history, { maxSteps: 3 }), { ok: 'unknown', key: 'k' });
  const nobodyWrote = span(0, 1, read('x'), 'other');
  t.like(checkHistory([...history, nobodyWrote], { maxSteps: 3 }), { ok: false, key: 'other' });
});

test('another model may allow what a register does not', (t) => {
  const forgetful = { init: () => null, step: () => null, key: () => '' };
  t.true(checkHistory(inTurn(put('a'), read('x')), { model: forgetful }).ok);
});

test('a history that cannot have been recorded so is refused', (t) => {
  t.throws(() => checkHistory([span(5, 4, put('a'))]), { message: /completed is not after invoked/ });
  t.throws(() => checkHistory([{ ...span(0, 1, unknown(put('a'))), completed: 1 }]), { message: /endless/ });
  t.throws(() => checkHistory([{ ...span(0, 1, put('a')), completed: Number.POSITIVE_INFINITY }]), {
    message: /endless/,
  });
});
