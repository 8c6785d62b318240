/**
 * Goal: with few operations in flight each turn's leave at its end; with many those called lately wait until they are most of all, or as
 * long as one and a half answers take.
 * Method: pacing alone on a virtual clock, with loads and answers that the test says.
 */
import test from 'ava';
import { SendPacing } from '../../../src/client/send-pacing.js';
import { VirtualClock } from '../../support/virtual-clock.js';

/** `call` has `count` operations begin; whatever is sent stays in flight until `answer` ends as many, each after `tookMs`. */
function pacingOf(inFlightBefore: number) {
  const clock = new VirtualClock();
  const sent: { readonly atMs: number; readonly count: number }[] = [];
  let toSend = 0;
  let inFlight = inFlightBefore;
  const pacing = new SendPacing(
    clock,
    () => ({ toSend, inFlight }),
    () => {
      sent.push({ atMs: clock.nowMs(), count: toSend });
      toSend = 0;
    },
  );
  const call = (count: number): void => {
    for (let at = 0; at < count; at++) pacing.request();
    toSend += count;
    inFlight += count;
  };
  const answer = (count: number, tookMs: number): void => {
    for (let at = 0; at < count; at++) pacing.noteAnswer(tookMs);
    inFlight -= count;
  };
  return { clock, sent, call, answer, pacing };
}

test('with few in flight the operations of a turn leave at its end, and those of the next one, too', async (t) => {
  const { clock, sent, call, answer } = pacingOf(0);
  call(5);
  t.deepEqual(sent, []);
  await clock.advance(0);
  call(2);
  await clock.advance(0);
  answer(6, 20);
  call(6);
  await clock.advance(0);
  t.deepEqual(sent, [
    { atMs: 0, count: 5 },
    { atMs: 0, count: 2 },
    { atMs: 0, count: 6 },
  ]);
  t.is(clock.armed, 0);
});

test('from eight in flight on a turn of few waits', async (t) => {
  const { clock, sent, call } = pacingOf(7);
  call(1);
  await clock.advance(0);
  call(1);
  await clock.advance(0.5);
  t.deepEqual(sent, [{ atMs: 0, count: 1 }]);
  await clock.advance(0.5);
  t.deepEqual(sent.slice(1), [{ atMs: 1, count: 1 }]);
});

test('what waits leaves as soon as it is two thirds of all', async (t) => {
  const { clock, sent, call, answer } = pacingOf(90);
  answer(90, 5);
  call(90);
  await clock.advance(0);
  for (let lot = 0; lot < 2; lot++) {
    answer(29, 5);
    call(29);
    await clock.advance(0.25);
    t.deepEqual(sent, [{ atMs: 0, count: 90 }]);
  }
  answer(2, 5);
  call(2);
  await clock.advance(0);
  t.deepEqual(sent.slice(1), [{ atMs: 0.5, count: 60 }]);
  t.is(clock.armed, 0);
  await clock.advance(50);
  t.is(sent.length, 2);
});

test('no sending is later after the one before than one and a half answers take', async (t) => {
  const { clock, sent, call, answer } = pacingOf(1000);
  answer(500, 4);
  call(1);
  await clock.advance(0);
  for (let at = 0; at < 3; at++) {
    call(5);
    await clock.advance(2 - 0.001);
  }
  t.deepEqual(sent, [{ atMs: 0, count: 1 }]);
  await clock.advance(0.003);
  t.deepEqual(
    sent.slice(1).map(({ atMs, count }) => [Math.round(atMs * 100) / 100, count]),
    [[6, 15]],
  );
  await clock.advance(8);
  call(2);
  await clock.advance(0);
  t.is(sent.length, 3);
  t.is(sent.at(-1)?.count, 2);
});

for (const [tookMs, waitsMs] of [
  [0, 1],
  [0.1, 1],
  [500, 10],
] as const) {
  test(`when answers take ${tookMs} ms a sending waits ${waitsMs} ms`, async (t) => {
    const { clock, sent, call, answer } = pacingOf(2000);
    answer(1000, tookMs);
    call(1);
    await clock.advance(0);
    call(1);
    await clock.advance(waitsMs - 0.25);
    t.is(sent.length, 1);
    await clock.advance(0.25);
    t.deepEqual(sent.slice(1), [{ atMs: waitsMs, count: 1 }]);
  });
}

test('what answers take is smoothed: one late answer among many changes little', async (t) => {
  const { clock, sent, call, answer } = pacingOf(2000);
  answer(1000, 2);
  answer(1, 66);
  call(1);
  await clock.advance(0);
  call(1);
  await clock.advance(4.49);
  t.is(sent.length, 1);
  await clock.advance(0.02);
  t.is(sent.length, 2);
});

test('nothing is sent after it was stopped', async (t) => {
  const { clock, sent, call, pacing } = pacingOf(250);
  call(1);
  await clock.advance(0);
  call(1);
  await clock.advance(0.25);
  pacing.stop();
  await clock.advance(5);
  t.is(sent.length, 1);
});
