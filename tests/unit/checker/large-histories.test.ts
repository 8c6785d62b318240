/**
 * Goal: histories of the size that a real run makes are decided, good or bad, and failures come out small. Method:
 * recorded histories of thousands of operations; steps are limited rather than time, which depends on the machine.
 */
import test from 'ava';
import { seededRandom } from '../../../src/base/index.js';
import { checkHistory, type OperationRecord } from '../../../src/checker/index.js';
import { put, read, recordedHistory, span } from '../../support/histories.js';

const stampAfter = (history: readonly OperationRecord[]): number =>
  Math.max(...history.map(({ invoked, completed }) => (Number.isFinite(completed) ? completed : invoked))) + 1;

/** The history, and after all of it a write that the next read does not see. */
const withLostWrite = (history: readonly OperationRecord[], key: string): OperationRecord[] => {
  const at = stampAfter(history);
  return [
    ...history,
    span(at, at + 1, put('x'), key),
    span(at + 2, at + 3, put('y'), key),
    span(at + 4, at + 5, read('x'), key),
  ];
};

test('20,000 operations over 50 keys are accepted within a few steps each', (t) => {
  for (const unknownEvery of [0, 25]) {
    const history = recordedHistory({
      random: seededRandom(1),
      operations: 20_000,
      clients: 32,
      keys: 50,
      unknownEvery,
    });
    t.like(checkHistory(history, { maxSteps: 20_000 }), { ok: true, keys: 50 });
  }
});

test('a lost write among 20,000 operations is reported in three', (t) => {
  const history = recordedHistory({
    random: seededRandom(2),
    operations: 20_000,
    clients: 32,
    keys: 50,
    unknownEvery: 25,
  });
  const result = checkHistory(withLostWrite(history, 'k7'));
  t.like(result, { ok: false, key: 'k7' });
  if (result.ok !== false) return;
  t.deepEqual(
    result.operations.map(({ input }) => input),
    [{ op: 'put', value: 'x' }, { op: 'put', value: 'y' }, { op: 'get' }],
  );
  t.is(result.longestPrefix.length, 2);
});

for (const values of [undefined, 4]) {
  const kind = values === undefined ? 'values of their own' : `${values} values among them`;
  test(`one key with 15 to 60 unknown operations and ${kind} is decided, good or bad`, (t) => {
    for (let seed = 1; seed <= 20; seed++) {
      const workload = { random: seededRandom(seed), operations: 600, clients: 10, unknownEvery: 16 };
      const history = recordedHistory(values === undefined ? workload : { ...workload, values });
      t.true(checkHistory(history).ok, `seed ${seed}`);
      const unread = withLostWrite(history, 'k0');
      const result = checkHistory(unread);
      t.false(result.ok, `seed ${seed}`);
      if (result.ok === false) t.true(result.operations.length <= 4, `seed ${seed}: ${result.operations.length}`);
    }
  });
}

test('a single key with 20,000 operations is decided', (t) => {
  const history = recordedHistory({ random: seededRandom(3), operations: 20_000, clients: 8, unknownEvery: 200 });
  t.true(checkHistory(history).ok);
});
