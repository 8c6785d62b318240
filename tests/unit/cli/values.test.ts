/** Goal: durations, counts and sizes as people write them. */
import test from 'ava';
import fc from 'fast-check';
import { nodeId } from '../../../src/base/index.js';
import {
  formatBytes,
  formatDuration,
  formatSize,
  parseCount,
  parseDuration,
  parseNodeId,
  parseSize,
  parseSwitch,
  parseWeight,
} from '../../../src/cli/values.js';

test('durations', (t) => {
  const cases = { '500ms': 500, '5s': 5000, '2m': 120_000, '1h': 3_600_000, '1d': 86_400_000, '3': 3000, '1.5s': 1500 };
  for (const [text, ms] of Object.entries(cases)) t.is(parseDuration(text), ms, text);
  for (const text of ['', 's', '-1s', '5 s', '1h30m', '5y', 'Infinity', '1e3']) {
    t.throws(() => parseDuration(text), { message: /not a duration/ }, text);
  }
  for (const text of ['0', '0ms', '0.0001s']) t.throws(() => parseDuration(text), { message: /at least 1ms/ }, text);
});

test('counts are whole numbers within bounds', (t) => {
  t.is(parseCount('0', 'n'), 0);
  t.is(parseCount('12', 'n', 12), 12);
  for (const text of ['', '-1', '1.5', '1e3', '0x10', ' 1', '9007199254740993']) {
    t.throws(() => parseCount(text, 'n'), { message: /whole number/ }, text);
  }
  t.throws(() => parseCount('11', 'n', 12), { message: /at least 12/ });
});

test('sizes', (t) => {
  t.is(formatBytes(0), '0 B');
  t.is(formatBytes(999), '999 B');
  t.is(formatBytes(1000), '1.0 kB');
  t.is(formatBytes(12_345_678), '12.3 MB');
});

test('sizes are read in every unit, and told so that they can be read again', (t) => {
  const cases = {
    '64MiB': 2 ** 26,
    '1.5GiB': 1.5 * 2 ** 30,
    '100MB': 1e8,
    '512 kib': 2 ** 19,
    '7kB': 7000,
    '9': 9,
    '9B': 9,
  };
  for (const [text, bytes] of Object.entries(cases)) t.is(parseSize(text), bytes, text);
  for (const text of ['', 'MB', '-1MB', '1e6', '64M', '1 2MB', 'Infinity', '64MiBs']) {
    t.throws(() => parseSize(text), { message: /not a size/ }, text);
  }
});

test('what is formatted to be typed again means the same', (t) => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 2 ** 40 }), (value) => {
      t.is(parseSize(formatSize(value)), value);
      t.is(parseDuration(formatDuration(value)), value);
    }),
  );
  t.deepEqual(
    [formatSize(2 ** 26), formatSize(1e8), formatSize(65_537), formatSize(0)],
    ['64MiB', '100MB', '65537B', '0B'],
  );
  t.deepEqual([60_000, 90_000, 1500, 86_400_000].map(formatDuration), ['1m', '90s', '1500ms', '1d']);
});

test('switches, weights and names are what they should be or an error that says it', (t) => {
  for (const text of ['on', 'true', 'YES']) t.true(parseSwitch(text, 'x'));
  for (const text of ['off', 'false', 'no']) t.false(parseSwitch(text, 'x'));
  t.throws(() => parseSwitch('1', 'x'), { message: 'x is on or off, not 1' });
  t.is(parseWeight('0.5', '--weight'), 0.5);
  for (const text of ['0', '-1', '1001', '', '1e2', 'NaN']) {
    t.throws(() => parseWeight(text, '--weight'), { message: /above 0 and at most 1000/ }, text);
  }
  t.is(parseNodeId('n4', 'x'), nodeId('n4'));
  t.throws(() => parseNodeId('N 4', 'the node'), { message: /the node: "N 4" is no node id: lower-case/ });
});
