/** Goal: what is counted where: by second, over all, before the beginning and after the end. */
import test from 'ava';
import { RingraftError } from '../../../../src/base/index.js';
import { Measurements } from '../../../../src/cli/bench/measurements.js';

/** `latencyMs` long, answered at `finishedMs`. */
const answer = (finishedMs: number, latencyMs: number, sentAfterMs = 0) => ({
  dueMs: finishedMs - latencyMs,
  sentMs: finishedMs - latencyMs + sentAfterMs,
  finishedMs,
});

const near = (found: number, expected: number): boolean => Math.abs(found - expected) <= expected * 0.002;

test('each second has what was answered in it, and a second without an answer is there too', (t) => {
  const measurements = new Measurements(1000, 5000);
  measurements.succeeded(answer(1000, 1));
  measurements.succeeded(answer(1999, 3));
  measurements.succeeded(answer(2000, 50));
  measurements.didNotSucceed(new RingraftError('BUSY', 'later'), 4100);
  measurements.close(5000);
  t.deepEqual(
    measurements.intervals.map(({ second, perSecond, failed }) => [second, perSecond, failed]),
    [
      [1, 2, 0],
      [2, 1, 0],
      [3, 0, 0],
      [4, 0, 1],
    ],
  );
  t.true(near(measurements.intervals[1]?.p999Ms ?? 0, 50));
  t.is(measurements.intervals[2]?.p50Ms, 0);
  t.is(measurements.perSecond(5000), 0.75);
});

test('nothing counts that was answered in the warm-up, whenever it was due what was answered after it', (t) => {
  const measurements = new Measurements(1000, 2000);
  measurements.succeeded(answer(999, 1));
  measurements.didNotSucceed(new RingraftError('BUSY', 'later'), 999);
  measurements.succeeded(answer(1001, 400));
  measurements.close(2000);
  t.is(measurements.ok, 1);
  t.is(measurements.failed, 0);
  t.true(near(measurements.latencyMs().max, 400));
});

test('what is answered after the end has its latency, and is no throughput', (t) => {
  const measurements = new Measurements(0, 1000);
  measurements.succeeded(answer(500, 1));
  measurements.succeeded(answer(3000, 2500, 2000));
  t.is(measurements.ok, 2);
  t.is(measurements.perSecond(4000), 1);
  t.is(measurements.intervals.length, 1);
  t.true(near(measurements.latencyMs().max, 2500));
  t.true(near(measurements.sentLatencyMs().max, 500), 'from sending, the wait before it is not in it');
});

test('operations that failed have no latency; those whose outcome is unknown are counted apart', (t) => {
  const measurements = new Measurements(0, 1000);
  measurements.didNotSucceed(new RingraftError('BUSY', 'later'), 10);
  measurements.didNotSucceed(new RingraftError('TIMEOUT', 'no answer', { happened: 'unknown' }), 20);
  measurements.unanswered(3, 900);
  measurements.unanswered(0, 900);
  measurements.close(1000);
  t.deepEqual([measurements.ok, measurements.failed, measurements.unknown], [0, 1, 4]);
  t.deepEqual(measurements.errors, { BUSY: 1, TIMEOUT: 1, UNANSWERED: 3 });
  t.deepEqual(measurements.latencyMs(), { mean: 0, p50: 0, p90: 0, p99: 0, p999: 0, max: 0 });
});

test('a run that is ended early is measured until then, and one that ends in its warm-up not at all', (t) => {
  const early = new Measurements(1000, 60_000);
  early.succeeded(answer(1500, 1));
  early.succeeded(answer(2400, 1));
  early.close(2500);
  t.is(early.seconds(9000), 1.5);
  t.is(early.intervals.length, 1, 'a piece of a second is none');
  t.true(near(early.perSecond(9000), 2 / 1.5));
  const cold = new Measurements(1000, 60_000);
  cold.close(500);
  cold.succeeded(answer(1100, 1));
  cold.unanswered(7, 1200);
  t.deepEqual([cold.ok, cold.unknown, cold.seconds(2000), cold.perSecond(2000)], [0, 0, 0, 0]);
});

test('from two minutes on the first and the last minute stand beside each other', (t) => {
  const run = (seconds: number): Measurements => {
    const measurements = new Measurements(0, seconds * 1000);
    for (let second = 0; second < seconds; second++) {
      const latencyMs = second < 60 ? 1 : second < seconds - 60 ? 500 : 20;
      measurements.succeeded(answer(second * 1000 + 999, latencyMs));
    }
    measurements.close(seconds * 1000);
    return measurements;
  };
  t.is(run(119).minutes(), undefined);
  const { first, last } = run(200).minutes() ?? t.fail();
  t.true(near(first.p999, 1) && near(first.max, 1));
  t.true(near(last.p50, 20) && near(last.max, 20), 'the minute between is in neither');
  t.true(near(run(200).latencyMs().max, 500));
});
