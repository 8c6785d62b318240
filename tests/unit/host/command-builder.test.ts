/** Goal: an entry names each client once, however its commands are mixed. Method: any commands, against the plain way. */
import test from 'ava';
import fc from 'fast-check';
import { emptyBytes } from '../../../src/base/index.js';
import { CommandBuilder } from '../../../src/host/command-builder.js';
import { decodeCommandBatch } from '../../../src/wire/index.js';
import { putOperation } from '../../support/put-operation.js';

const write = fc.record({
  client: fc.nat(4).map((at) => `client-${at}`),
  ackedBelow: fc.nat(50),
  sequence: fc.oneof(fc.constant(0), fc.integer({ min: 1, max: 100 })),
  isItsOwn: fc.boolean(),
});

test('each client has one session in an entry, with the highest of what it has its answers to; a command names its own', (t) => {
  const property = fc.property(fc.array(write, { minLength: 1, maxLength: 40 }), (writes) => {
    const builder = new CommandBuilder(1_000_000);
    const acked = new Map<string, number>();
    for (const { client, ackedBelow, sequence, isItsOwn } of writes) {
      const clientId = isItsOwn ? Buffer.from(client) : emptyBytes;
      const pending = { operation: putOperation({ sequence, clientId }), replyTo: 'inbox' };
      builder.add(pending, { clientId: client, ackedBelow }, 1000, 0);
      // One that an operation names itself comes without what it has acknowledged.
      if (sequence > 0) acked.set(client, Math.max(acked.get(client) ?? 0, isItsOwn ? 0 : ackedBelow));
    }
    const [entry, ...more] = builder.take();
    t.is(more.length, 0);
    const { sessions, commands } = decodeCommandBatch(entry?.data ?? Buffer.alloc(0));
    t.deepEqual(new Map(sessions.map(({ clientId, ackedBelow }) => [clientId, ackedBelow])), acked);
    t.is(sessions.length, acked.size);
    const named = commands.map(({ session }) => sessions[session - 1]?.clientId);
    t.deepEqual(
      named,
      writes.map(({ client, sequence }) => (sequence > 0 ? client : undefined)),
    );
  });
  fc.assert(property, { numRuns: 200 });
});
