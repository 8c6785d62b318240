/**
 * Goal: what an open and a closed loop make of the same cluster. Method: operations that take as long as a test says, in
 * virtual time.
 */
import test from 'ava';
import { pause, RingraftError } from '../../../../src/base/index.js';
import { Load } from '../../../../src/cli/bench/load.js';
import { Measurements } from '../../../../src/cli/bench/measurements.js';
import { ClosedPace, OpenPace } from '../../../../src/cli/bench/pace.js';
import { Schedule } from '../../../../src/cli/bench/schedule.js';
import { VirtualClock } from '../../../support/virtual-clock.js';

type Options = {
  readonly endMs: number;
  readonly operate: (clock: VirtualClock) => Promise<void>;
  readonly rate?: number;
  readonly inFlight: number;
  readonly answerLimitMs?: number;
};

function setUp({ endMs, operate, rate, inFlight, answerLimitMs = 5000 }: Options, clock = new VirtualClock()) {
  const interrupt = new AbortController();
  const measurements = new Measurements(0, endMs);
  const sentMs: number[] = [];
  const load = new Load({
    clock,
    measurements,
    endMs,
    answerLimitMs,
    signal: interrupt.signal,
    pace: rate === undefined ? new ClosedPace(inFlight, endMs) : new OpenPace(new Schedule(0, endMs, rate), inFlight),
    operate: () => {
      sentMs.push(clock.nowMs());
      return operate(clock);
    },
  });
  return { clock, interrupt, measurements, load, sentMs };
}

/** Answers in a millisecond, except that nothing at all is answered for a while. */
const stalling =
  (fromMs: number, untilMs: number) =>
  (clock: VirtualClock): Promise<void> => {
    const nowMs = clock.nowMs();
    return pause(clock, nowMs >= fromMs && nowMs < untilMs ? untilMs - nowMs + 1 : 1);
  };

test('a stall is charged to every operation that was due during it, which a closed loop does not see', async (t) => {
  const operate = stalling(500, 1500);
  // Whether what is due meanwhile is sent into the stall, or waits for room.
  for (const inFlight of [1000, 10]) {
    const open = setUp({ endMs: 1900, operate, rate: 100, inFlight });
    await open.clock.until(open.load.run());
    t.is(open.measurements.ok, 190);
    const { p50, p90, max } = open.measurements.latencyMs();
    t.true(p50 > 1 && p50 < 100, `half of them were due while it stood still: ${p50}`);
    t.true(p90 > 750 && p90 < 850, `a tenth of all waited 800 ms or more: ${p90}`);
    t.true(max > 999 && max < 1003, `the first one waited for all of it: ${max}`);
  }

  const closed = setUp({ endMs: 1900, operate, inFlight: 1 });
  await closed.clock.until(closed.load.run());
  t.true(closed.measurements.latencyMs().p99 < 2, 'one operation of 900 is slow: the closed loop waited as well');
});

test('operations that find no place wait in their order, and count from when they were due', async (t) => {
  const operate = (clock: VirtualClock): Promise<void> => pause(clock, 20);
  const { clock, load, measurements, sentMs } = setUp({ endMs: 1000, operate, rate: 100, inFlight: 1 });
  await clock.until(load.run(), 20_000);
  t.is(measurements.ok, 100, 'what was due is still sent after the end');
  t.deepEqual(
    sentMs,
    Array.from({ length: 100 }, (_, at) => at * 20),
  );
  t.is(load.mostInFlight, 1);
  t.true(load.mostWaiting >= 49 && load.mostWaiting <= 50, `${load.mostWaiting}`);
  t.is(load.neverSent, 0);
  t.true(Math.abs(measurements.perSecond(clock.nowMs()) - 50) <= 1, 'throughput is of the time that was asked for');
  t.true(Math.abs(measurements.latencyMs().max - 1010) < 3, 'the 100th was due at 990 ms and done at 2,000 ms');
  t.true(measurements.sentLatencyMs().max < 21);
});

test('the answer limit ends a run: what was never sent and never answered is told apart', async (t) => {
  const operate = (): Promise<void> => new Promise(() => {});
  const { clock, load, measurements } = setUp({ endMs: 1000, operate, rate: 100, inFlight: 30, answerLimitMs: 400 });
  await clock.until(load.run());
  t.is(clock.nowMs(), 1400);
  t.deepEqual([measurements.ok, measurements.unknown, load.neverSent], [0, 30, 70]);
  t.deepEqual(measurements.errors, { UNANSWERED: 30 });
  t.is(clock.armed, 0, 'no timer keeps the process alive');
});

test('one timer serves all that falls due, and late ones are sent together', async (t) => {
  let mostArmed = 0;
  const { clock, load, sentMs } = setUp({
    endMs: 100,
    rate: 10_000,
    inFlight: 1000,
    operate: async (clock) => {
      mostArmed = Math.max(mostArmed, clock.armed);
    },
  });
  await clock.until(load.run());
  t.is(sentMs.length, 1000);
  t.true(new Set(sentMs).size <= 101);
  t.true(mostArmed <= 2, `${mostArmed}: the end, and the next look at the schedule`);
});

test('at a low rate nothing is sent early and nobody is woken for nothing', async (t) => {
  const { clock, load, sentMs } = setUp({ endMs: 1000, operate: stalling(0, 0), rate: 4, inFlight: 10 });
  await clock.until(load.run());
  t.deepEqual(sentMs, [0, 250, 500, 750]);
});

/** Timers of whole milliseconds, at least one, as those of Node are. */
class WholeMillisecondsClock extends VirtualClock {
  override after(delayMs: number, action: () => void) {
    return super.after(Math.max(1, Math.trunc(delayMs)), action);
  }
}

test('a timer that fires a little early does not cost the last second', async (t) => {
  const clock = new WholeMillisecondsClock();
  await clock.advance(0.3);
  const { load, measurements } = setUp({ endMs: 2000, operate: stalling(0, 0), rate: 100, inFlight: 10 }, clock);
  await clock.until(load.run());
  t.is(measurements.intervals.length, 2);
  t.is(measurements.seconds(clock.nowMs()), 2);
});

test('an interrupt sends nothing more and waits half a second for answers', async (t) => {
  const operate = (clock: VirtualClock): Promise<void> => pause(clock, clock.nowMs() < 200 ? 1 : 10_000);
  const { clock, interrupt, load, measurements, sentMs } = setUp({ endMs: 60_000, operate, rate: 100, inFlight: 1000 });
  const ran = load.run();
  await clock.advance(305);
  const sent = sentMs.length;
  interrupt.abort();
  await clock.until(ran);
  t.is(clock.nowMs(), 805);
  t.is(sentMs.length, sent);
  t.deepEqual([measurements.ok, measurements.unknown, load.neverSent], [20, 11, 0]);
  t.true(Math.abs(measurements.seconds(clock.nowMs()) - 0.305) < 1e-9);
  await clock.advance(20_000);
  t.is(measurements.ok, 20, 'what comes later is not counted any more');
});

test('an interrupt before the beginning sends nothing', async (t) => {
  const { clock, interrupt, load, sentMs } = setUp({ endMs: 1000, operate: stalling(0, 0), rate: 100, inFlight: 10 });
  interrupt.abort();
  await clock.until(load.run());
  t.deepEqual(sentMs, []);
  t.is(clock.armed, 0);
});

test('a closed loop keeps so many in flight, and rests after errors that come at once', async (t) => {
  const busy = setUp({ endMs: 1000, operate: (clock) => pause(clock, 10), inFlight: 7 });
  await busy.clock.until(busy.load.run());
  t.is(busy.load.mostInFlight, 7);
  t.is(busy.measurements.ok, 700);
  const refusing = setUp({
    endMs: 1000,
    inFlight: 2,
    operate: async () => {
      throw new RingraftError('BUSY', 'later');
    },
  });
  await refusing.clock.until(refusing.load.run());
  t.is(refusing.measurements.failed, 400);
});

test('an open loop does not rest: errors do not lower the rate', async (t) => {
  const operate = async (): Promise<void> => {
    throw new RingraftError('BUSY', 'later');
  };
  const { clock, load, measurements } = setUp({ endMs: 1000, operate, rate: 500, inFlight: 1 });
  await clock.until(load.run());
  t.is(measurements.failed, 500);
});

test('what is no operating error ends the run at once', async (t) => {
  const operate = async (): Promise<void> => {
    throw new TypeError('a bug');
  };
  for (const rate of [undefined, 100]) {
    const { clock, load } = setUp({ endMs: 60_000, operate, inFlight: 3, ...(rate === undefined ? {} : { rate }) });
    await t.throwsAsync(clock.until(load.run()), { instanceOf: TypeError });
    t.is(clock.nowMs(), 0);
    t.is(clock.armed, 0);
  }
});
