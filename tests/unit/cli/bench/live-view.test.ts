/** Goal: what is drawn of a run while it goes on, and that it is gone afterwards. */
import { PassThrough } from 'node:stream';
import test from 'ava';
import { LiveView, liveLines, type Viewed } from '../../../../src/cli/bench/live-view.js';
import { Measurements } from '../../../../src/cli/bench/measurements.js';
import { sparkline } from '../../../../src/cli/bench/sparkline.js';
import { VirtualClock } from '../../../support/virtual-clock.js';

test('a sparkline shows the highest as a full bar, a little as a low one, and nothing as a gap', (t) => {
  t.is(sparkline([0, 1, 50, 99, 100]), ' ▁▄██');
  t.is(sparkline([7, 7]), '██');
  t.is(sparkline([0, 0]), '  ');
  t.is(sparkline([]), '');
  t.is(sparkline([1, 2, 3, 4, 5, 6, 7, 8]), '▁▂▃▄▅▆▇█');
});

/** Two seconds of warm-up, then in each second so many answers, `latencyMs` late. */
function viewed(perSecond: readonly number[], nowMs: number, waiting = 0): Viewed {
  const measurements = new Measurements(2000, 62_000);
  perSecond.forEach((answers, second) => {
    const finishedMs = 2000 + second * 1000 + 500;
    for (let at = 0; at < answers; at++) {
      measurements.succeeded({ dueMs: finishedMs - 2 - second, sentMs: finishedMs - 1, finishedMs });
    }
  });
  measurements.advance(nowMs);
  const load = { inFlight: 1234, waiting };
  return { title: 'put, 5,000/s', nowMs, startMs: 0, endMs: 62_000, measurements, load };
}

test('before the first second is over there are only its progress and what is under way', (t) => {
  const lines = liveLines(viewed([], 1000));
  t.is(lines.length, 2);
  t.regex(lines[0] ?? '', /^put, 5,000\/s {2}█{12}░{12} {2}1 of 2 s of warm-up$/);
  t.is(lines[1], '1,234 in flight; 0 failed, 0 unknown');
});

test('then come latencies of the last second and of all, throughput and the row of bars', (t) => {
  const lines = liveLines(viewed([10, 0, 20], 5000, 77));
  t.regex(lines[0] ?? '', /█░{23} {2}3 of 60 s$/);
  t.is(lines[1], '1,234 in flight, 77 due and waiting; 0 failed, 0 unknown');
  t.is(lines[2], 'latency, ms          p50         p99       p99.9  per second');
  t.is(lines[3], 'last second         4.00        4.00        4.00          20');
  t.is(lines[4], 'all                 4.00        4.00        4.00          10');
  t.is(lines[5], '▄ █  0 to 20/s');
});

test('of a long run the last 40 seconds are drawn', (t) => {
  const seconds = Array.from({ length: 50 }, (_, at) => at + 1);
  const last = liveLines(viewed(seconds, 52_000)).at(-1) ?? '';
  t.is([...(last.split(' ')[0] ?? '')].length, 40);
  t.regex(last, / 11 to 50\/s$/);
});

test('while the last answers are waited for it says so', (t) => {
  t.regex(liveLines(viewed([1], 62_500))[0] ?? '', /█{24} {2}60 of 60 s, waiting for the last answers$/);
});

test('it is redrawn twice a second in its place, cut to the terminal, and wiped away at the end', async (t) => {
  const clock = new VirtualClock();
  const written: string[] = [];
  const err = Object.assign(new PassThrough(), { isTTY: true, columns: 30 });
  err.on('data', (bytes: Buffer) => written.push(bytes.toString()));
  const view = new LiveView({ err }, clock, () => viewed([10], 3000 + clock.nowMs()));
  view.start();
  await clock.advance(1000);
  t.is(written.length, 2);
  const lines = (written[0] ?? '').replaceAll('\x1b[K', '').replaceAll('\x1b[J', '').replace('\r', '').split('\n');
  t.is(lines.length, 7);
  t.true(lines.every((line) => [...line].length <= 29));
  t.true(written[1]?.startsWith('\x1b[6A\r'), 'over what stands there');
  view.stop();
  await new Promise((resolve) => setImmediate(resolve));
  t.is(written[2], '\x1b[6A\r\x1b[J');
  t.is(clock.armed, 0);
});
