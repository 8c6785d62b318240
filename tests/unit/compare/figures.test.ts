/** Goal: medians, ratios and percentiles are what their names say. Method: by hand, and against sorted values. */
import test from 'ava';
import fc from 'fast-check';
import { bucketOf, LatencyHistogram, middleOf, ratioOf, spreadOf } from '../../../src/compare/index.js';

test('the median is in the middle', (t) => {
  t.deepEqual(spreadOf([3, 1, 2]), { median: 2, min: 1, max: 3 });
  t.deepEqual(spreadOf([4, 1, 2, 3]), { median: 2.5, min: 1, max: 4 });
  t.deepEqual(spreadOf([10, 9]), { median: 9.5, min: 9, max: 10 });
  t.deepEqual(spreadOf([5]), { median: 5, min: 5, max: 5 });
  t.true(Number.isNaN(spreadOf([]).median));
});

test('there is no ratio to nothing', (t) => {
  t.is(ratioOf(10, 4), 2.5);
  t.is(ratioOf(0, 4), 0);
  t.is(ratioOf(10, 0), undefined);
  t.is(ratioOf(Number.NaN, 4), undefined);
});

test('a bucket holds values that differ by at most 1.6 %, and its middle is among them', (t) => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 2 ** 36 }), (micros) => {
      const middle = middleOf(bucketOf(micros));
      return bucketOf(middle) === bucketOf(micros) && Math.abs(middle - micros) <= Math.max(0.5, micros * 0.008);
    }),
  );
  for (let power = 0; power <= 36; power++) t.true(bucketOf(2 ** power) > bucketOf(2 ** power - 1), `2^${power}`);
});

test('percentiles are those of the values, also when they were recorded in two processes', (t) => {
  fc.assert(
    fc.property(
      fc.array(fc.integer({ min: 1, max: 10_000_000 }), { minLength: 1, maxLength: 300 }),
      fc.nat(300),
      fc.constantFrom(1, 50, 99, 99.9, 100),
      (values, cut, percent) => {
        const parts = [new LatencyHistogram(), new LatencyHistogram()];
        for (const [at, value] of values.entries()) parts[at < cut ? 0 : 1]?.record(value);
        const whole = new LatencyHistogram();
        for (const part of parts) whole.add(part.toCounts());
        const sorted = [...values].sort((a, b) => a - b);
        const wanted = sorted[Math.max(0, Math.ceil((percent / 100) * values.length) - 1)] ?? 0;
        return bucketOf(whole.percentile(percent)) === bucketOf(wanted);
      },
    ),
  );
  t.is(new LatencyHistogram().percentile(99), 0);
});
