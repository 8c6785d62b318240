/** Goal: consensus messages arrive as they were sent; bytes that are no envelope are BAD_REQUEST, never anything else. */
import { crc32 } from 'node:zlib';
import test from 'ava';
import fc from 'fast-check';
import { isRingraftError, nodeId, type ReplicaId, shardId } from '../../../src/base/index.js';
import { messages } from '../../../src/proto/index.js';
import type { Entry, EntryType, Message } from '../../../src/raft/index.js';
import { decodeEnvelope, type EnvelopeItem, encodeEnvelope, envelopeItemBytes } from '../../../src/wire/index.js';

const node = nodeId('n1');
const small = fc.nat({ max: 300 });
const big = fc.maxSafeNat();
const number = fc.oneof(small, big);
const replica = fc.oneof(small, fc.integer({ min: 0, max: 0xffff_ffff })).map((id) => id as ReplicaId);
const replicas = fc.array(replica, { maxLength: 4 });
const common = { from: replica, to: replica, term: number };
const configuration = fc.record({ voters: replicas, outgoing: replicas, learners: replicas, learnersNext: replicas });
const newEntry = fc.record({
  term: number,
  type: fc.constantFrom<EntryType>(0, 1, 2),
  data: fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes)),
});
const kind = <Type extends Message['type']>(type: Type) => fc.constant(type);
const append = fc
  .record({
    type: kind('AppendRequest'),
    ...common,
    prevIndex: small,
    prevTerm: number,
    commitIndex: number,
    entries: fc.array(newEntry, { maxLength: 4 }),
  })
  .map((message) => ({
    ...message,
    entries: message.entries.map((entry, at): Entry => ({ ...entry, index: message.prevIndex + 1 + at })),
  }));
const anyMessage: fc.Arbitrary<Message> = fc.oneof(
  append,
  fc.record({
    type: kind('AppendResponse'),
    ...common,
    index: number,
    rejected: fc.boolean(),
    hintIndex: number,
    hintTerm: number,
  }),
  fc.record({
    type: kind('HeartbeatRequest'),
    ...common,
    commitIndex: number,
    round: number,
    answeredRound: number,
    confirmedRound: number,
    leaderCommitIndex: number,
  }),
  fc.record({ type: kind('HeartbeatResponse'), ...common, round: number }),
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
const item: fc.Arbitrary<EnvelopeItem> = fc.record({
  shardId: fc.integer({ min: 1, max: 0xffff }).map(shardId),
  message: anyMessage,
});
const incarnation = fc.integer({ min: 0, max: 0xffff_ffff });

test('every message comes back as it was, with its neighbours', (t) => {
  fc.assert(
    fc.property(fc.array(item, { maxLength: 5 }), incarnation, incarnation, (items, from, to) => {
      const back = decodeEnvelope(encodeEnvelope(node, from, to, items));
      t.deepEqual(back, { fromNode: node, fromIncarnation: from, toIncarnation: to, items });
    }),
  );
});

test('the bound on what an item adds holds', (t) => {
  const empty = encodeEnvelope(node, 0, 0, []).length;
  fc.assert(
    fc.property(item, (one) => {
      if (one.message.type === 'SnapshotRequest') return;
      t.true(encodeEnvelope(node, 0, 0, [one]).length - empty <= envelopeItemBytes(one));
    }),
  );
});

test('golden bytes: an envelope looks the same for ever', (t) => {
  const from = 1 as ReplicaId;
  const to = 2 as ReplicaId;
  const items: EnvelopeItem[] = [
    {
      shardId: shardId(7),
      message: {
        type: 'HeartbeatRequest',
        from,
        to,
        term: 3,
        commitIndex: 9,
        round: 4,
        answeredRound: 0,
        confirmedRound: 0,
        leaderCommitIndex: 0,
      },
    },
    {
      shardId: shardId(300),
      message: {
        type: 'AppendRequest',
        from,
        to,
        term: 3,
        prevIndex: 5,
        prevTerm: 2,
        commitIndex: 4,
        entries: [{ term: 3, index: 6, type: 0, data: Buffer.from('ab') }],
      },
    },
  ];
  const bytes = encodeEnvelope(node, 11, 12, items);
  const golden =
    '0a026e31100b180c220e08031007180120022803400948042219080110ac021801200228033005380240047a0608031a0261627d26fceaa4';
  t.deepEqual(decodeEnvelope(Buffer.from(golden, 'hex')).items, items);
  // Through protobuf's own decoder and encoder, which put fields in order and leave defaults out.
  const canonical = messages.Envelope.encode(messages.Envelope.decode(bytes)).finish() as Buffer;
  t.is(sealed(canonical).toString('hex'), golden);
});

test('a message of a type of a later version is skipped, not its neighbours', (t) => {
  const items = [
    { type: 99, shard: 1, from: 1, to: 2, term: 1 },
    { type: 8, shard: 1, from: 1, to: 2, term: 1 },
  ];
  const bytes = sealed(messages.Envelope.encode({ fromNode: 'n1', messages: items, checksum: 1 } as never).finish());
  t.deepEqual(
    decodeEnvelope(bytes).items.map(({ message }) => message.type),
    ['TimeoutNow'],
  );
});

/** With the checksum it should have. */
function sealed(bytes: Uint8Array): Buffer {
  const envelope = Buffer.from(bytes);
  const end = envelope.length - 4;
  envelope.writeUInt32LE(crc32(envelope.subarray(0, end)), end);
  return envelope;
}

const refusal = (payload: Buffer): string | undefined => {
  try {
    decodeEnvelope(payload);
    return undefined;
  } catch (error) {
    return isRingraftError(error) ? error.code : String(error);
  }
};

test('an envelope cut off, with a byte changed, or made of two halves is refused, whatever it would say', (t) => {
  const some = fc.array(item, { minLength: 1, maxLength: 3 });
  fc.assert(
    fc.property(some, some, fc.nat(), fc.integer({ min: 1, max: 255 }), (items, others, pick, flip) => {
      const bytes = encodeEnvelope(node, 1, 2, items);
      const other = encodeEnvelope(node, 1, 2, others);
      const at = pick % bytes.length;
      const changed = Buffer.from(bytes);
      changed[at] = (changed[at] as number) ^ flip;
      t.is(refusal(bytes.subarray(0, at)), 'BAD_REQUEST');
      t.is(refusal(changed), 'BAD_REQUEST');
      const mixed = Buffer.concat([bytes.subarray(0, at), other.subarray(at)]);
      if (!mixed.equals(bytes) && !mixed.equals(other)) t.is(refusal(mixed), 'BAD_REQUEST');
    }),
    { numRuns: 300 },
  );
  t.is(refusal(Buffer.alloc(0)), 'BAD_REQUEST');
});

test('bytes with the right checksum that are no envelope are read or BAD_REQUEST, nothing else', (t) => {
  fc.assert(
    fc.property(fc.array(item, { minLength: 1, maxLength: 3 }), fc.nat(), fc.nat({ max: 255 }), (items, pick, byte) => {
      const bytes = encodeEnvelope(node, 1, 2, items);
      bytes[pick % (bytes.length - 5)] = byte;
      const code = refusal(sealed(bytes));
      if (code !== undefined) t.is(code, 'BAD_REQUEST');
    }),
    { numRuns: 300 },
  );
  t.is(refusal(sealed(Buffer.from([0x22, 0x7f, 0x08, 0x7d, 0, 0, 0, 0]))), 'BAD_REQUEST');
});
