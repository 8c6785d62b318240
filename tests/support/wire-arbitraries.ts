/** Random messages of the hot path, every field present, with the sizes and numbers at which their encoding changes. */
import fc from 'fast-check';
import { bucketId, mapKey, nodeId, type ReplicaId, shardId } from '../../src/base/index.js';
import type { Entry, EntryType, Message } from '../../src/raft/index.js';
import type * as wire from '../../src/wire/index.js';

const atMost = (most: number) => (value: number) => Math.min(most, Math.max(0, value));
/** Around the powers of two: where a number takes one byte more. */
const edge = fc
  .tuple(fc.nat({ max: 53 }), fc.integer({ min: -1, max: 1 }))
  .map(([power, more]) => atMost(Number.MAX_SAFE_INTEGER)(2 ** power + more));

export const number = fc.oneof(fc.nat({ max: 300 }), fc.maxSafeNat(), edge, fc.constant(0));
export const u32 = fc.oneof(fc.integer({ min: 0, max: 0xffff_ffff }), edge.map(atMost(0xffff_ffff)), fc.constant(0));

const few = fc.uint8Array({ maxLength: 30 }).map((each) => Buffer.from(each));
/** Around what the length before them takes, and what a large value has. */
const many = fc
  .tuple(fc.constantFrom(127, 128, 16_383, 16_384, 65_536), fc.nat({ max: 255 }))
  .map(([length, byte]) => Buffer.alloc(length, byte));
export const bytes = fc.oneof({ weight: 40, arbitrary: few }, { weight: 1, arbitrary: many });

const list = <T>(one: fc.Arbitrary<T>) => fc.array(one, { maxLength: 5 });
const text = fc.oneof(fc.string(), fc.string({ unit: 'grapheme', maxLength: 100 }), fc.constant(''));

const bucket = fc.integer({ min: 0, max: 0xffff }).map(bucketId);
const clientId = fc
  .oneof(fc.uint8Array({ minLength: 8, maxLength: 8 }), fc.uint8Array({ maxLength: 200 }))
  .map((each) => mapKey(Buffer.from(each)));
const level = fc.constantFrom<wire.ConsistencyLevel>(0, 1, 2, 3, 4);
const write = {
  bucketId: bucket,
  key: bytes,
  value: bytes,
  condition: fc.constantFrom<wire.ConditionKind>(0, 1, 2, 3),
  expectedRevision: number,
  expectedValue: bytes,
};

const command = fc.record({
  kind: fc.constantFrom<wire.CommandKind>(1, 2, 3, 4, 5, 6, 100),
  ...write,
  expiresAtMs: number,
  session: u32,
  sequence: number,
  maxValueBytes: number,
});
export const commandBatch: fc.Arbitrary<wire.CommandBatch> = fc.record({
  timeStampMs: number,
  sessions: list(fc.record({ clientId, ackedBelow: number })),
  commands: list(command),
});

const operation = fc.record({
  requestId: u32,
  kind: fc.constantFrom<wire.OperationKind>(1, 2, 3, 4, 5, 6, 7),
  ...write,
  ttlMs: number,
  level,
  sequence: number,
  clientId: bytes,
  atLeastIndex: number,
  maxStalenessMs: number,
});
export const operationBatch: fc.Arbitrary<wire.OperationBatch> = fc.record({
  clientId,
  ackedBelow: number,
  mapEpoch: number,
  operations: list(operation),
});

const result = fc.record({
  requestId: u32,
  code: u32,
  value: bytes,
  revision: number,
  found: fc.boolean(),
  maybeHappened: fc.boolean(),
  servedLevel: level,
  maybeStale: fc.boolean(),
  leaderHint: text,
  message: text,
  number: fc.oneof(fc.double(), fc.integer(), fc.constant(0)),
  expiresAtMs: number,
  appliedIndex: number,
  ageMs: number,
  replica: fc.option(
    fc.record({ replicaId: u32, touchedIndex: number, voters: fc.array(u32), outgoing: fc.array(u32) }),
  ),
  shownIndex: number,
});
export const resultBatch: fc.Arbitrary<wire.ResultBatch> = fc.record({ results: list(result), mapEpoch: number });

const replica = u32.map((id) => id as ReplicaId);
const replicas = fc.array(replica, { maxLength: 4 });
const common = { from: replica, to: replica, term: number };
const configuration = fc.record({ voters: replicas, outgoing: replicas, learners: replicas, learnersNext: replicas });
const newEntry = fc.record({ term: number, type: fc.constantFrom<EntryType>(0, 1, 2), data: bytes });
const kind = <Type extends Message['type']>(type: Type) => fc.constant(type);
const append = fc
  .record({
    type: kind('AppendRequest'),
    ...common,
    // Entries are numbered from here, and stay below 2^53.
    prevIndex: fc.oneof(fc.nat({ max: 300 }), fc.maxSafeNat().map(atMost(2 ** 52))),
    prevTerm: number,
    commitIndex: number,
    entries: fc.array(newEntry, { maxLength: 4 }),
  })
  .map((message) => ({
    ...message,
    entries: message.entries.map((entry, at): Entry => ({ ...entry, index: message.prevIndex + 1 + at })),
  }));
const heartbeat = fc.record({
  type: kind('HeartbeatRequest'),
  ...common,
  commitIndex: number,
  round: number,
  answeredRound: number,
  confirmedRound: number,
  leaderCommitIndex: number,
});

export const raftMessage: fc.Arbitrary<Message> = fc.oneof(
  append,
  fc.record({
    type: kind('AppendResponse'),
    ...common,
    index: number,
    rejected: fc.boolean(),
    hintIndex: number,
    hintTerm: number,
  }),
  heartbeat,
  heartbeat.map((message): Message => ({ ...message, quiesce: true })),
  fc.record({ type: kind('HeartbeatResponse'), ...common, round: number, asksAge: fc.boolean() }),
  fc.record({
    type: kind('VoteRequest'),
    ...common,
    preVote: fc.boolean(),
    lastIndex: number,
    lastTerm: number,
    leadershipTransfer: fc.boolean(),
  }),
  fc.record({ type: kind('VoteResponse'), ...common, preVote: fc.boolean(), granted: fc.boolean() }),
  fc.record({
    type: kind('SnapshotRequest'),
    ...common,
    snapshot: fc.record({ index: number, term: number, configuration }),
  }),
  fc.record({ type: kind('TimeoutNow'), ...common }),
);

export const envelopeItem: fc.Arbitrary<wire.EnvelopeItem> = fc.record({
  shardId: fc.integer({ min: 0, max: 0xffff }).map(shardId),
  message: raftMessage,
});
const nodeName = fc.oneof(
  fc.constantFrom('n1', 'node-17', 'n'.repeat(63)).map(nodeId),
  // What another version might allow.
  text.map((name) => name as wire.Envelope['fromNode']),
);
export const envelope: fc.Arbitrary<wire.Envelope> = fc.record({
  fromNode: nodeName,
  fromIncarnation: u32,
  toIncarnation: u32,
  items: list(envelopeItem),
});
