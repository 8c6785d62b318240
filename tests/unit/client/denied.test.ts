/**
 * Goal: who may not ask, or may not hear the answer, is told at once and not at the time-out.
 * Method: messages are lost and refused as NATS does it, on a clock that stands still unless something happens.
 */
import test from 'ava';
import { emptyBytes } from '../../../src/base/index.js';
import { Inbox } from '../../../src/client/inbox.js';
import { connectClient } from '../../../src/client/index.js';
import { initHash } from '../../../src/ring/index.js';
import { rejection } from '../../support/client-fixture.js';
import { LocalBus } from '../../support/local-bus.js';
import { VirtualClock } from '../../support/virtual-clock.js';

test.before(initHash);

const patienceMs = 60_000;

function anInbox() {
  const clock = new VirtualClock();
  const bus = new LocalBus(clock);
  bus.filter = () => false;
  return { clock, bus, inbox: new Inbox(bus, clock) };
}

test('a request to a subject that is refused fails with DENIED, others wait on', async (t) => {
  const { clock, bus, inbox } = anInbox();
  const refused = [inbox.request('secret', emptyBytes, patienceMs), inbox.request('secret', emptyBytes, patienceMs)];
  const other = inbox.request('public', emptyBytes, patienceMs);
  bus.refuseUser('secret');
  for (const request of refused) t.like(await rejection(clock, request), { code: 'DENIED', happened: 'no' });
  t.true(clock.nowMs() < patienceMs);
  t.like(await rejection(clock, other), { code: 'TIMEOUT' });
  t.like(await rejection(clock, inbox.request('secret', emptyBytes, 1)), { code: 'TIMEOUT' }, 'asked anew');
});

test('an inbox that may not listen fails every request, now and later', async (t) => {
  const { clock, bus, inbox } = anInbox();
  const before = inbox.request('public', emptyBytes, patienceMs);
  bus.refuseUser(`${inbox.subjectOf('*')}`);
  t.like(await rejection(clock, before), { code: 'DENIED' });
  t.like(await rejection(clock, inbox.request('public', emptyBytes, patienceMs)), { code: 'DENIED' });
  t.true(clock.nowMs() < patienceMs);
});

test('an application that uses the client, which is for administrators, is told when it connects', async (t) => {
  const clock = new VirtualClock();
  const bus = new LocalBus(clock);
  bus.filter = ({ subject }) => {
    clock.after(1, () => bus.refuseUser(subject));
    return false;
  };
  const options = { cluster: 'test', clock, timeoutMs: patienceMs };
  t.like(await rejection(clock, connectClient(bus, options)), { code: 'DENIED' });
  t.true(clock.nowMs() < 1000);
});
