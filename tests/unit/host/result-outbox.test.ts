/** Goal: answers leave in messages that NATS takes. Method: an outbox over a bus in memory. */
import test from 'ava';
import { okResult } from '../../../src/host/pending.js';
import { ResultOutbox } from '../../../src/host/result-outbox.js';
import { codeNumber, decodeResultBatch } from '../../../src/wire/index.js';
import { LocalBus } from '../../support/local-bus.js';
import { VirtualClock } from '../../support/virtual-clock.js';

test('issue: a value that grew beyond a message by appending stopped the node that read it', (t) => {
  const bus = new LocalBus(new VirtualClock(), { maxPayloadBytes: 4096 });
  const outbox = new ResultOutbox(bus, () => 1);
  outbox.add('to', okResult(1, 1, true, Buffer.alloc(5000), 1));
  outbox.add('to', okResult(2, 1, true, Buffer.alloc(3900), 1));
  outbox.flush();
  const results = bus.published.flatMap(({ payload }) => decodeResultBatch(payload).results);
  t.deepEqual(
    results.map(({ requestId, code, value }) => [requestId, code, value.length]),
    [
      [1, codeNumber('TOO_LARGE'), 0],
      [2, 0, 3900],
    ],
  );
});
