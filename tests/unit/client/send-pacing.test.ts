/**
 * Goal: with few operations in flight each turn's leave at its end; with many those called lately wait for others, but not for long.
 * Method: pacing alone on a virtual clock, with loads that the test says.
 */
import test from 'ava';
import { SendPacing } from '../../../src/client/send-pacing.js';
import { VirtualClock } from '../../support/virtual-clock.js';

/** `call` has `count` operations begin; whatever is sent stays in flight. */
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
  return { clock, sent, call, pacing };
}

test('with few in flight the operations of a turn leave at its end, and those of the next one, too', async (t) => {
  const { clock, sent, call } = pacingOf(0);
  call(20);
  t.deepEqual(sent, []);
  await clock.advance(0);
  call(3);
  await clock.advance(0);
  t.deepEqual(sent, [
    { atMs: 0, count: 20 },
    { atMs: 0, count: 3 },
  ]);
  t.is(clock.armed, 0);
});

test('with many in flight those called shortly after a sending leave together when it is a millisecond ago', async (t) => {
  const { clock, sent, call } = pacingOf(250);
  call(1);
  await clock.advance(0);
  for (let at = 0; at < 3; at++) {
    call(5);
    await clock.advance(0.25);
  }
  t.deepEqual(sent, [{ atMs: 0, count: 1 }]);
  await clock.advance(0.25);
  t.deepEqual(sent.slice(1), [{ atMs: 1, count: 15 }]);
  await clock.advance(5);
  call(2);
  await clock.advance(0);
  t.deepEqual(sent.slice(2), [{ atMs: 6, count: 2 }]);
});

test('what waits leaves as soon as it is a quarter of all', async (t) => {
  const { clock, sent, call } = pacingOf(90);
  call(1);
  await clock.advance(0);
  call(20);
  await clock.advance(0.25);
  t.is(sent.length, 1);
  call(20);
  await clock.advance(0);
  t.deepEqual(sent.slice(1), [{ atMs: 0.25, count: 40 }]);
  t.is(clock.armed, 0);
  await clock.advance(5);
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
