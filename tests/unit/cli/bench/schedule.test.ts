/** Goal: an open loop's schedule: nothing due early, nothing forgotten, whatever the rate. */
import test from 'ava';
import fc from 'fast-check';
import { Schedule } from '../../../../src/cli/bench/schedule.js';

test('operation k is due at start + k / rate', (t) => {
  const schedule = new Schedule(1000, 2000, 4);
  t.deepEqual(
    [0, 1, 2, 3].map((operation) => schedule.dueMs(operation)),
    [1000, 1250, 1500, 1750],
  );
  t.deepEqual(
    [999, 1000, 1249.9, 1250, 1999, 2000, 9000].map((nowMs) => schedule.dueBy(nowMs)),
    [0, 1, 1, 2, 4, 4, 4],
  );
  t.is(schedule.total, 4, 'what would be due at the end is not');
});

test('what is due is exactly what has a due time that is past, at any rate and time', (t) => {
  const startMs = fc.double({ min: 0, max: 1e7, noNaN: true });
  const perSecond = fc.integer({ min: 1, max: 1_000_000 });
  const elapsedMs = fc.double({ min: 0, max: 3_600_000, noNaN: true });
  fc.assert(
    fc.property(startMs, perSecond, elapsedMs, (start, rate, elapsed) => {
      const nowMs = start + elapsed;
      const schedule = new Schedule(start, start + 2 * 3_600_000, rate);
      const due = schedule.dueBy(nowMs);
      t.true(due === 0 || schedule.dueMs(due - 1) <= nowMs);
      t.true(schedule.dueMs(due) > nowMs);
      const ended = new Schedule(start, nowMs, rate);
      t.is(ended.dueBy(nowMs + 1e6), ended.total);
      t.true(ended.total === 0 || ended.dueMs(ended.total - 1) < nowMs);
      t.true(ended.dueMs(ended.total) >= nowMs);
    }),
    { verbose: true },
  );
});
