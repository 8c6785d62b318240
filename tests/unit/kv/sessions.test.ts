import test from 'ava';
import fc from 'fast-check';
import { encodeEntryOutcomes, expiredOutcome, replayEntryOutcomes, SessionTable } from '../../../src/kv/sessions.js';
import type { Outcome } from '../../../src/kv/types.js';

const limits = { maxSessions: 3, maxOutcomes: 4, idleMs: 100 };
/** Every other one carries a number. */
const outcome = (revision: number): Outcome => ({
  code: 0,
  revision,
  found: true,
  ...(revision % 2 === 0 ? { number: -revision } : {}),
});

test('answers are recalled until acknowledged, and refused from then on', (t) => {
  const table = new SessionTable(limits);
  table.touch('client-1', 0, 1);
  t.is(table.recall('client-1', 1), undefined);
  table.remember('client-1', 1, outcome(5));
  table.remember('client-1', 2, outcome(6));
  t.deepEqual(table.recall('client-1', 1), outcome(5));
  table.touch('client-1', 2, 2);
  t.deepEqual(table.recall('client-1', 1), expiredOutcome);
  t.deepEqual(table.recall('client-1', 2), outcome(6));
  table.touch('client-1', 1, 3);
  t.deepEqual(table.recall('client-1', 1), expiredOutcome, 'ackedBelow never falls');
});

test('too many answers: the lowest goes and its repetition is refused', (t) => {
  const table = new SessionTable(limits);
  table.touch('client-1', 0, 1);
  for (const sequence of [5, 3, 4, 6, 7]) table.remember('client-1', sequence, outcome(sequence));
  t.deepEqual(table.recall('client-1', 3), expiredOutcome);
  for (const sequence of [4, 5, 6, 7]) t.deepEqual(table.recall('client-1', sequence), outcome(sequence));
});

test('the least recently used session goes first, and idle ones go by log time', (t) => {
  const table = new SessionTable(limits);
  for (const [at, client] of ['client-1', 'client-2', 'client-3'].entries()) {
    table.touch(client, 0, at);
    table.remember(client, 1, outcome(at + 1));
  }
  table.touch('client-1', 0, 50);
  table.touch('client-4', 0, 50);
  t.is(table.size, 3);
  t.is(table.recall('client-2', 1), undefined);
  t.deepEqual(table.recall('client-1', 1), outcome(1));
  table.touch('client-5', 0, 151);
  t.is(table.size, 1);
});

const step = fc.record({
  client: fc.constantFrom('client-1', 'client-2', 'client-3', 'client-4', '\xff\x00bytes!'),
  ackedBelow: fc.nat(6),
  ahead: fc.nat(60),
  sequences: fc.uniqueArray(fc.integer({ min: 1, max: 9 }), { maxLength: 5 }),
});

test('a table decoded, or replayed from the records of its entries, goes on exactly as the first', (t) => {
  const property = fc.property(fc.array(step, { maxLength: 30 }), fc.nat(30), (steps, splitAt) => {
    const first = new SessionTable(limits);
    let copy = new SessionTable(limits);
    let timeMs = 0;
    for (const [at, { client, ackedBelow, ahead, sequences }] of steps.entries()) {
      if (at === splitAt) {
        const encoded = copy.encode();
        copy = new SessionTable(limits);
        copy.decode(encoded);
        t.deepEqual(copy.encode(), encoded);
      }
      timeMs += ahead;
      first.touch(client, ackedBelow, timeMs);
      const remembered = sequences
        .filter((sequence) => first.recall(client, sequence) === undefined)
        .map((sequence) => ({ clientId: client, sequence, outcome: outcome(at * 10 + sequence) }));
      for (const one of remembered) first.remember(one.clientId, one.sequence, one.outcome);
      replayEntryOutcomes(copy, encodeEntryOutcomes(timeMs, [{ clientId: client, ackedBelow }], remembered));
      t.deepEqual(copy.encode(), first.encode());
    }
  });
  fc.assert(property, { numRuns: 150 });
});
