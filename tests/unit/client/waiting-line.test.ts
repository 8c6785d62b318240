/** Goal: the line keeps the order of calls, makes batches lazily, and lets go of what has expired. */
import test from 'ava';
import type { PendingOperation } from '../../../src/client/pending-operation.js';
import { WaitingLine } from '../../../src/client/waiting-line.js';

const operation = (index: number, deadlineMs: number): PendingOperation => ({ index, deadlineMs }) as PendingOperation;

function drain(line: WaitingLine): number[] {
  const order: number[] = [];
  for (let next = line.peek(); next !== undefined; next = line.peek()) {
    line.shift();
    order.push(next.index);
  }
  return order;
}

test('first come, first served, batches in their place', (t) => {
  const line = new WaitingLine();
  line.push(operation(1, 10));
  line.pushLazily(3, (at) => (at === 1 ? undefined : operation(10 + at, 10)));
  line.push(operation(2, 10));
  t.deepEqual(drain(line), [1, 10, 12, 2]);
  t.is(line.length, 0);
});

test('a batch makes its operations only when they are next', (t) => {
  const line = new WaitingLine();
  let made = 0;
  line.pushLazily(1_000_000, (at) => {
    made++;
    return operation(at, 10);
  });
  line.peek();
  line.shift();
  line.peek();
  t.is(made, 2);
});

test('a long line does not keep what was taken', (t) => {
  const line = new WaitingLine();
  for (let at = 0; at < 10_000; at++) line.push(operation(at, 10));
  t.deepEqual(
    drain(line),
    Array.from({ length: 10_000 }, (_, at) => at),
  );
});

test('what is past its deadline leaves the line, the rest keeps its order', (t) => {
  const line = new WaitingLine();
  line.push(operation(1, 5));
  line.push(operation(2, 20));
  line.pushLazily(2, (at) => operation(10 + at, 100));
  line.push(operation(3, 5));
  const expired: number[] = [];
  line.expire(10, ({ index }) => expired.push(index));
  t.deepEqual(expired, [1, 3]);
  t.deepEqual(drain(line), [2, 10, 11]);
});

test('at the end everything leaves, operations that were never made included', (t) => {
  const line = new WaitingLine();
  line.pushLazily(3, (at) => operation(at, 10));
  line.peek();
  line.push(operation(9, 10));
  const expired: number[] = [];
  line.expire(Number.POSITIVE_INFINITY, ({ index }) => expired.push(index));
  t.deepEqual(
    expired.sort((a, b) => a - b),
    [0, 1, 2, 9],
  );
  t.is(line.peek(), undefined);
});
