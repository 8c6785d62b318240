import test from 'ava';
import fc from 'fast-check';
import { OutcomeRecord } from '../../../src/kv/outcome-record.js';
import { expiredOutcome, replayOutcomes, SessionTable } from '../../../src/kv/sessions.js';
import type { Outcome } from '../../../src/kv/types.js';

const limits = { maxSessions: 3, maxOutcomes: 4, idleMs: 100 };
/** Every other one carries a number. */
const outcome = (revision: number): Outcome => ({
  code: 0,
  revision,
  found: true,
  ...(revision % 2 === 0 ? { number: -revision } : {}),
});

const recall = (table: SessionTable, client: string, sequence: number): Outcome | undefined =>
  table.find(client)?.recall(sequence);

function remember(table: SessionTable, client: string, sequence: number, what: Outcome): void {
  const session = table.find(client);
  if (session !== undefined) table.remember(session, sequence, what);
}

test('answers are recalled until acknowledged, and refused from then on', (t) => {
  const table = new SessionTable(limits);
  table.touch('client-1', 0, 1);
  t.is(recall(table, 'client-1', 1), undefined);
  remember(table, 'client-1', 1, outcome(5));
  remember(table, 'client-1', 2, outcome(6));
  t.deepEqual(recall(table, 'client-1', 1), outcome(5));
  table.touch('client-1', 2, 2);
  t.deepEqual(recall(table, 'client-1', 1), expiredOutcome);
  t.deepEqual(recall(table, 'client-1', 2), outcome(6));
  table.touch('client-1', 1, 3);
  t.deepEqual(recall(table, 'client-1', 1), expiredOutcome, 'ackedBelow never falls');
});

test('too many answers: the lowest goes and its repetition is refused', (t) => {
  const table = new SessionTable(limits);
  table.touch('client-1', 0, 1);
  for (const sequence of [5, 3, 4, 6, 7]) remember(table, 'client-1', sequence, outcome(sequence));
  t.deepEqual(recall(table, 'client-1', 3), expiredOutcome);
  for (const sequence of [4, 5, 6, 7]) t.deepEqual(recall(table, 'client-1', sequence), outcome(sequence));
});

test('the least recently used session goes first, and idle ones go by log time', (t) => {
  const table = new SessionTable(limits);
  for (const [at, client] of ['client-1', 'client-2', 'client-3'].entries()) {
    table.touch(client, 0, at);
    remember(table, client, 1, outcome(at + 1));
  }
  table.touch('client-1', 0, 50);
  table.touch('client-4', 0, 50);
  t.is(table.size, 3);
  t.is(recall(table, 'client-2', 1), undefined);
  t.deepEqual(recall(table, 'client-1', 1), outcome(1));
  table.touch('client-5', 0, 151);
  t.is(table.size, 1);
});

const step = fc.record({
  client: fc.constantFrom('client-1', 'client-2', 'client-3', 'client-4', '\xff\x00bytes!'),
  ackedBelow: fc.nat(6),
  ahead: fc.nat(60),
  sequences: fc.uniqueArray(fc.integer({ min: 1, max: 9 }), { maxLength: 5 }),
});

test('a table decoded, or replayed from records of any number of entries, goes on exactly as the first', (t) => {
  const property = fc.property(
    fc.array(step, { maxLength: 30 }),
    fc.nat(30),
    fc.uniqueArray(fc.nat(30)),
    (steps, splitAt, takenAt) => {
      const first = new SessionTable(limits);
      let copy = new SessionTable(limits);
      const record = new OutcomeRecord();
      let timeMs = 0;
      const replay = (): void => {
        const taken = record.take();
        if (taken !== undefined) replayOutcomes(copy, taken.bytes);
        t.is(record.take(), undefined);
        t.deepEqual(copy.encode(), first.encode());
      };
      for (const [at, { client, ackedBelow, ahead, sequences }] of steps.entries()) {
        if (at === splitAt) {
          replay();
          const encoded = copy.encode();
          copy = new SessionTable(limits);
          copy.decode(encoded);
          t.deepEqual(copy.encode(), encoded);
        }
        timeMs += ahead;
        first.touch(client, ackedBelow, timeMs);
        record.begin(timeMs, [{ clientId: client, ackedBelow }], sequences.length);
        for (const sequence of sequences) {
          if (recall(first, client, sequence) !== undefined) continue;
          const answer = outcome(at * 10 + sequence);
          remember(first, client, sequence, answer);
          record.add(0, sequence, answer);
        }
        record.finish(at + 1);
        if (takenAt.includes(at)) replay();
      }
      replay();
    },
  );
  fc.assert(property, { numRuns: 150 });
});

/** What the state machine did before: a map from sequences, in the order they came. */
class PlainSession {
  ackedBelow = 0;
  readonly outcomes = new Map<number, Outcome>();

  acknowledge(below: number): void {
    this.ackedBelow = Math.max(this.ackedBelow, below);
    for (const sequence of [...this.outcomes.keys()]) if (sequence < this.ackedBelow) this.outcomes.delete(sequence);
  }

  recall(sequence: number): Outcome | undefined {
    return sequence < this.ackedBelow ? expiredOutcome : this.outcomes.get(sequence);
  }

  remember(sequence: number, what: Outcome): void {
    this.outcomes.set(sequence, what);
    while (this.outcomes.size > limits.maxOutcomes) {
      const least = Math.min(...this.outcomes.keys());
      this.outcomes.delete(least);
      this.ackedBelow = Math.max(this.ackedBelow, least + 1);
    }
  }
}

test('whatever the order of sequences, a session answers as a map of all of them would', (t) => {
  const write = fc.record({ sequence: fc.integer({ min: 1, max: 14 }), ackedBelow: fc.nat(12) });
  const property = fc.property(fc.array(write, { maxLength: 40 }), (writes) => {
    const table = new SessionTable(limits);
    const plain = new PlainSession();
    for (const [at, { sequence, ackedBelow }] of writes.entries()) {
      table.touch('client-1', ackedBelow, 1);
      plain.acknowledge(ackedBelow);
      for (let asked = 0; asked <= 15; asked++) {
        t.deepEqual(recall(table, 'client-1', asked), plain.recall(asked));
      }
      if (plain.recall(sequence) !== undefined) continue;
      remember(table, 'client-1', sequence, outcome(at));
      plain.remember(sequence, outcome(at));
    }
  });
  fc.assert(property, { numRuns: 150 });
});
