/** Goal: keys are chosen as YCSB says. Method: many draws from a fixed seed against the probabilities that are wanted. */
import test from 'ava';
import { seededRandom } from '../../../src/base/index.js';
import { KeyChooser, scattered, Zipfian } from '../../../src/compare/index.js';

const draws = 200_000;

const countsOf = (next: () => number): Map<number, number> => {
  const counts = new Map<number, number>();
  for (let at = 0; at < draws; at++) {
    const key = next();
    counts.set(key, (counts.get(key) ?? 0) + 1);
  }
  return counts;
};

test('the popularity of a rank is in proportion to 1 / rank^0.99', (t) => {
  const keys = 10_000;
  const zipfian = new Zipfian(keys, seededRandom(7));
  const counts = countsOf(() => zipfian.next());
  let zeta = 0;
  for (let rank = 1; rank <= keys; rank++) zeta += rank ** -0.99;
  const wanted = (from: number, to: number): number => {
    let sum = 0;
    for (let rank = from; rank < to; rank++) sum += (rank + 1) ** -0.99 / zeta;
    return sum;
  };
  const found = (from: number, to: number): number => {
    let sum = 0;
    for (let rank = from; rank < to; rank++) sum += (counts.get(rank) ?? 0) / draws;
    return sum;
  };
  // The method is exact for the first two and an approximation for the others.
  for (const [from, to, off] of [
    [0, 1, 0.03],
    [1, 2, 0.03],
    [2, 10, 0.1],
    [10, 100, 0.05],
    [100, 1000, 0.05],
    [1000, 10_000, 0.05],
  ] as const) {
    const [is, should] = [found(from, to), wanted(from, to)];
    t.true(Math.abs(is / should - 1) < off, `ranks ${from} to ${to}: ${is} instead of ${should}`);
  }
  t.true(Math.max(...counts.keys()) < keys);
});

test('a handful of keys is enough', (t) => {
  for (const keys of [1, 2, 3, 5]) {
    const zipfian = new Zipfian(keys, seededRandom(1));
    const counts = countsOf(() => zipfian.next());
    t.deepEqual([...counts.keys()].sort(), [...Array(keys).keys()], `${keys} keys`);
  }
});

test('scattering gives every rank a number of its own', (t) => {
  for (const count of [1, 2, 9, 1000, 65_536, 100_000]) {
    const scatter = scattered(count);
    const numbers = new Set(Array.from({ length: count }, (_, rank) => scatter(rank)));
    t.is(numbers.size, count);
    t.true(Math.max(...numbers) < count && Math.min(...numbers) >= 0);
  }
});

test('popular keys are scattered, uniform ones are alike', (t) => {
  const keys = 1000;
  const popular = countsOf(
    (
      (chooser) => () =>
        chooser.next()
    )(new KeyChooser(keys, 'zipfian', seededRandom(3))),
  );
  const [[first] = [-1], [second] = [-1]] = [...popular].sort(([, a], [, b]) => b - a);
  t.not(Math.abs(first - second), 1);
  const uniform = new KeyChooser(keys, 'uniform', seededRandom(3));
  const counts = [...countsOf(() => uniform.next()).values()];
  t.is(counts.length, keys);
  t.true(Math.max(...counts) < (2 * draws) / keys);
});

test('the latest are those that were inserted last, then the last of those that were loaded', (t) => {
  const records = 1000;
  const chooser = new KeyChooser(records, 'latest', seededRandom(5));
  const before = countsOf(() => chooser.next());
  const mostRead = (counts: Map<number, number>): number => [...counts].sort(([, a], [, b]) => b - a)[0]?.[0] ?? -1;
  t.is(mostRead(before), records - 1);
  for (const number of [1000, 1002, 1004]) chooser.wasInserted(number);
  const after = countsOf(() => chooser.next());
  t.is(mostRead(after), 1004);
  const inserted = [1004, 1002, 1000, 999].map((number) => after.get(number) ?? 0);
  t.deepEqual(
    [...inserted].sort((a, b) => b - a),
    inserted,
  );
  t.true(Math.min(...after.keys()) >= 0);
  t.false(after.has(1001));
});

test('keys of a batch are distinct', (t) => {
  const chooser = new KeyChooser(5000, 'uniform', seededRandom(9));
  for (let times = 0; times < 100; times++) {
    const keys = chooser.many(100);
    t.is(new Set(keys).size, 100);
    t.true(keys.every((key) => key >= 0 && key < 5000));
  }
  t.is(new KeyChooser(7, 'uniform', seededRandom(9)).many(100).length, 7);
});
