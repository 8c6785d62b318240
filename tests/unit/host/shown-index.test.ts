/**
 * Goal: an answer names what its value may show, so that who read it never goes back behind it, at whatever level. Method: a
 * store that fetches while the replica applies more. Found by a chaos run: a linearizable read named what was applied when it was
 * confirmed, and showed what was applied when it was served; a read of one replica then went back.
 */
import test from 'ava';
import { emptyBytes, nodeId, replicaId, shardId } from '../../../src/base/index.js';
import type { Group } from '../../../src/host/group.js';
import { OperationServer, type OperationServerParts } from '../../../src/host/operation-server.js';
import type { PendingOperation } from '../../../src/host/pending.js';
import { ReplicaReads } from '../../../src/host/replica-reads.js';
import type { ReadValue } from '../../../src/kv/index.js';
import { ConsistencyLevel, type Operation, OperationKind, type OperationResult } from '../../../src/wire/index.js';
import { LocalBus } from '../../support/local-bus.js';
import { VirtualClock } from '../../support/virtual-clock.js';

const value = { value: Buffer.from('v'), revision: 5, expiresAtMs: 0 } as unknown as ReadValue;

function aRead(level: ConsistencyLevel): PendingOperation {
  const operation = {
    requestId: 1,
    kind: OperationKind.Get,
    bucketId: 1,
    key: Buffer.from('k'),
    level,
    atLeastIndex: 0,
  };
  return { operation: { ...operation, value: emptyBytes, maxStalenessMs: 0 } as unknown as Operation, replyTo: 'me' };
}

/** A group that has applied 10, and a store that answers after it has applied 12. */
function surroundings() {
  const clock = new VirtualClock();
  const raft = {
    appliedIndex: 10,
    isRestoring: false,
    unapplied: [],
    configuration: { voters: [replicaId(1)], outgoing: [] },
    dataAgeMs: () => undefined,
  };
  const group = { raft, isReadable: true, replicaId: replicaId(1), shardId: shardId(1), waitingReads: [] };
  const store = {
    getNow: () => undefined,
    getMany: (_keys: unknown, _nowMs: number, done: (error: undefined, values: readonly ReadValue[]) => void) => {
      raft.appliedIndex = 12;
      done(undefined, [value]);
    },
  };
  return { clock, raft, group: group as unknown as Group, store: store as unknown as OperationServerParts['store'] };
}

for (const level of [ConsistencyLevel.One, ConsistencyLevel.Quorum]) {
  test(`level ${level}: what was applied when the read began is all in the value, what was since may be`, (t) => {
    const { clock, group, store } = surroundings();
    const answers: OperationResult[] = [];
    const reads = new ReplicaReads({ clock, store, schedule: () => {}, answer: (_, result) => answers.push(result) });
    t.true(reads.serve(group, aRead(level)));
    t.like(answers[0], { appliedIndex: 10, shownIndex: 12, revision: 5 });
  });
}

test('a linearizable read names what was applied when it was served, not when it was confirmed', (t) => {
  const { clock, group, store } = surroundings();
  const answers: OperationResult[] = [];
  const parts = {
    clock,
    store,
    bus: new LocalBus(clock),
    outbox: { add: (_: string, result: OperationResult) => answers.push(result) },
    options: { cluster: 'test', nodeId: nodeId('n1'), limits: {} },
    schedule: () => {},
  };
  const server = new OperationServer(parts as unknown as OperationServerParts);
  const reads = [aRead(ConsistencyLevel.Linearizable)];
  group.waitingReads.push({ index: 9, level: ConsistencyLevel.Linearizable, reads, confirmations: [] });
  server.serveWaitingReads(group);
  server.serveReads();
  t.like(answers[0], { appliedIndex: 12, revision: 5 });
});
