/** Goal: consensus messages arrive as they were sent; bytes that are no envelope are BAD_REQUEST, never anything else. */
import { isDeepStrictEqual } from 'node:util';
import test from 'ava';
import fc from 'fast-check';
import { isRingraftError, nodeId, type ReplicaId, shardId } from '../../../src/base/index.js';
import { messages } from '../../../src/proto/index.js';
import { decodeEnvelope, type EnvelopeItem, encodeEnvelope, envelopeItemBytes } from '../../../src/wire/index.js';
import { sealed } from '../../support/protobufjs-codecs.js';
import { envelopeItem } from '../../support/wire-arbitraries.js';

const node = nodeId('n1');
const incarnation = fc.integer({ min: 0, max: 0xffff_ffff });

test('every message comes back as it was, with its neighbours', (t) => {
  fc.assert(
    fc.property(fc.array(envelopeItem, { maxLength: 5 }), incarnation, incarnation, (items, from, to) => {
      const back = decodeEnvelope(encodeEnvelope(node, from, to, items));
      const sent = { fromNode: node, fromIncarnation: from, toIncarnation: to, items };
      // Ava's own comparison takes long over large values.
      if (isDeepStrictEqual(back, sent)) t.pass();
      else t.deepEqual(back, sent);
    }),
  );
});

test('the bound on what an item adds holds', (t) => {
  const empty = encodeEnvelope(node, 0, 0, []).length;
  fc.assert(
    fc.property(envelopeItem, (one) => {
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

const refusal = (payload: Buffer): string | undefined => {
  try {
    decodeEnvelope(payload);
    return undefined;
  } catch (error) {
    return isRingraftError(error) ? error.code : String(error);
  }
};

test('an envelope cut off, with a byte changed, or made of two halves is refused, whatever it would say', (t) => {
  const some = fc.array(envelopeItem, { minLength: 1, maxLength: 3 });
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
    fc.property(
      fc.array(envelopeItem, { minLength: 1, maxLength: 3 }),
      fc.nat(),
      fc.nat({ max: 255 }),
      (items, pick, byte) => {
        const bytes = encodeEnvelope(node, 1, 2, items);
        bytes[pick % (bytes.length - 5)] = byte;
        const code = refusal(sealed(bytes));
        if (code !== undefined) t.is(code, 'BAD_REQUEST');
      },
    ),
    { numRuns: 300 },
  );
  t.is(refusal(sealed(Buffer.from([0x22, 0x7f, 0x08, 0x7d, 0, 0, 0, 0]))), 'BAD_REQUEST');
});
