/**
 * Goal: the place of a bound in a sorted array is that of the first element not below it, with equal elements and at both ends.
 * Method: compared with a search from the front; fast-check chooses arrays and bounds.
 */
import test from 'ava';
import fc from 'fast-check';
import { lowerBound } from '../../src/base/index.js';

test('lowerBound finds the first element that is not below', (t) => {
  const number = fc.integer({ min: 0, max: 20 });
  const parameters = fc.property(fc.array(number), fc.integer({ min: -1, max: 21 }), (numbers, bound) => {
    const sorted = numbers.sort((a, b) => a - b);
    const fromFront = sorted.findIndex((element) => element >= bound);
    const expected = fromFront === -1 ? sorted.length : fromFront;
    return lowerBound(sorted, (element) => element < bound) === expected;
  });
  t.notThrows(() => fc.assert(parameters));
});
