/** Goal: durations, counts and sizes as people write them. */
import test from 'ava';
import { formatBytes, parseCount, parseDuration } from '../../../src/cli/values.js';

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
