/**
 * Goal: what the state machine could not apply never reaches the log, where it would stop every replica.
 * Method: an operation server over a bus in memory; its shards would fail the test if anything reached them.
 */
import test from 'ava';
import { nodeId } from '../../../src/base/index.js';
import { OperationServer, type OperationServerParts } from '../../../src/host/operation-server.js';
import { ResultOutbox } from '../../../src/host/result-outbox.js';
import { initHash } from '../../../src/ring/index.js';
import {
  codeNumber,
  decodeResultBatch,
  encodeOperationBatch,
  nodeSubject,
  type Operation,
  OperationKind,
} from '../../../src/wire/index.js';
import { LocalBus } from '../../support/local-bus.js';
import { putOperation } from '../../support/put-operation.js';
import { VirtualClock } from '../../support/virtual-clock.js';

/** The code of the answer to the operation, or what reached the shards. */
async function outcomeOf(fields: object): Promise<number | 'accepted'> {
  const clock = new VirtualClock();
  const bus = new LocalBus(clock);
  const outbox = new ResultOutbox(bus, () => 1);
  let accepted = false;
  const limits = { maxKeyBytes: 100, maxValueBytes: 100, maxInflightOperations: 10, maxPendingWriteBytes: 1000 };
  const parts = {
    bus,
    clock,
    outbox,
    options: { cluster: 'test', nodeId: nodeId('n1'), limits },
    store: { pendingWriteBytes: 0, isDropped: () => false },
    maps: { bucket: () => ({ id: 1, name: 'default', maxValueBytes: 0 }), shardAt: () => 1, isFounded: true },
    groupOf: () => {
      accepted = true;
      return undefined;
    },
    mark: () => {},
    schedule: () => outbox.flush(),
  };
  new OperationServer(parts as unknown as OperationServerParts).start();
  const batch = {
    clientId: '12345678',
    ackedBelow: 0,
    mapEpoch: 1,
    operations: [{ ...putOperation(), ...fields } as Operation],
  };
  const codes: number[] = [];
  bus.subscribe('client', 'answers', ({ payload }) => {
    for (const { code } of decodeResultBatch(payload).results) codes.push(code);
  });
  bus.publish('client', nodeSubject('test', nodeId('n1')), encodeOperationBatch(batch), { replyTo: 'answers' });
  await clock.advance(10);
  return accepted ? 'accepted' : (codes[0] ?? -1);
}

test.before(initHash);

test('issue: a condition of an unknown kind reached the log and stopped every replica for good', async (t) => {
  t.is(await outcomeOf({}), 'accepted');
  for (const condition of [4, 5, 1000, -1])
    t.is(await outcomeOf({ condition }), codeNumber('BAD_REQUEST'), `${condition}`);
  for (const condition of [0, 1, 2, 3]) t.is(await outcomeOf({ condition }), 'accepted', `${condition}`);
});

test('numbers that cannot be stored are refused', async (t) => {
  for (const fields of [
    { expectedRevision: 2 ** 60 },
    { sequence: 2 ** 48 },
    { ttlMs: 2 ** 52 },
    { kind: 99 },
    { kind: OperationKind.Increment, value: Buffer.from('1e3') },
    { clientId: Buffer.alloc(9) },
  ]) {
    t.is(await outcomeOf(fields), codeNumber('BAD_REQUEST'), JSON.stringify(fields));
  }
});
