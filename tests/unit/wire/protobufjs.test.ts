/**
 * Goal: what is written and read by hand is what protobufjs writes and reads from the same .proto files.
 * Method: random messages are encoded by both, to the same bytes; random bytes, some of them messages that were damaged and
 * some made of fields that no message has in this way, are decoded by both, to the same message or to none.
 */
import { isDeepStrictEqual } from 'node:util';
import test, { type ExecutionContext } from 'ava';
import fc from 'fast-check';
import { isRingraftError, nodeId } from '../../../src/base/index.js';
import { messages } from '../../../src/proto/index.js';
import * as wire from '../../../src/wire/index.js';
import {
  commandBatchReference,
  envelopeReference,
  operationBatchReference,
  resultBatchReference,
  sealed,
} from '../../support/protobufjs-codecs.js';
import { commandBatch, envelope, operationBatch, resultBatch } from '../../support/wire-arbitraries.js';

type Codec = { encode(message: never): Buffer; decode(payload: Buffer): unknown };
type Case = {
  readonly messages: fc.Arbitrary<unknown>;
  readonly ours: Codec;
  readonly reference: Codec;
  /** What is decoded of bytes that were made up. */
  readonly framed: (payload: Buffer) => Buffer;
};

const checksumField = Buffer.from([0x7d, 0, 0, 0, 0]);
const asTheyAre = (payload: Buffer): Buffer => payload;

const cases: Readonly<Record<string, Case>> = {
  OperationBatch: {
    messages: operationBatch,
    ours: { encode: wire.encodeOperationBatch, decode: wire.decodeOperationBatch },
    reference: operationBatchReference,
    framed: asTheyAre,
  },
  ResultBatch: {
    messages: resultBatch,
    ours: { encode: wire.encodeResultBatch, decode: wire.decodeResultBatch },
    reference: resultBatchReference,
    framed: asTheyAre,
  },
  CommandBatch: {
    messages: commandBatch,
    ours: { encode: wire.encodeCommandBatch, decode: wire.decodeCommandBatch },
    reference: commandBatchReference,
    framed: asTheyAre,
  },
  Envelope: {
    messages: envelope,
    ours: {
      encode: ({ fromNode, fromIncarnation, toIncarnation, items }: wire.Envelope) =>
        wire.encodeEnvelope(fromNode, fromIncarnation, toIncarnation, items),
      decode: wire.decodeEnvelope,
    },
    reference: envelopeReference,
    // A checksum that is wrong says nothing about what is in the envelope.
    framed: (payload) => sealed(Buffer.concat([payload, checksumField])),
  },
};

/** Ava's own comparison takes long over large values: it is asked where there is a difference to show. */
function isSame(t: ExecutionContext, found: unknown, expected: unknown, what?: string): void {
  if (isDeepStrictEqual(found, expected)) t.pass();
  else t.deepEqual(found, expected, what);
}

/** undefined: refused. */
function byOurs({ ours }: Case, payload: Buffer): unknown {
  try {
    return ours.decode(payload);
  } catch (error) {
    if (isRingraftError(error, 'BAD_REQUEST')) return undefined;
    throw error;
  }
}

function byReference({ reference }: Case, payload: Buffer): unknown {
  try {
    return reference.decode(payload);
  } catch {
    return undefined;
  }
}

/** A number in as many bytes as there are groups of seven bits; more than protobuf allows, too. */
const varint = fc
  .oneof(
    { weight: 5, arbitrary: fc.array(fc.nat({ max: 127 }), { minLength: 1, maxLength: 5 }) },
    { weight: 1, arbitrary: fc.array(fc.nat({ max: 127 }), { minLength: 6, maxLength: 12 }) },
  )
  .map((groups) => Buffer.from(groups.map((group, at) => (at < groups.length - 1 ? group | 128 : group))));

function varintOf(value: number): Buffer {
  const groups: number[] = [];
  for (; value > 127; value = Math.floor(value / 128)) groups.push((value % 128) | 128);
  return Buffer.from([...groups, value]);
}

const tagOf = (number: number, type: number): Buffer => varintOf(number * 8 + type);
const ofSize = (size: number) => fc.uint8Array({ minLength: size, maxLength: size }).map((each) => Buffer.from(each));
const sized = (content: Uint8Array): Buffer => Buffer.concat([varintOf(content.length), content]);
const number = fc.oneof(
  { weight: 30, arbitrary: fc.integer({ min: 1, max: 17 }) },
  { weight: 3, arbitrary: fc.integer({ min: 18, max: 2 ** 29 - 1 }) },
  { weight: 1, arbitrary: fc.constant(0) },
);

/** Fields with any number, of any wire type, in one another. */
const { fields } = fc.letrec<{ fields: Buffer; field: Buffer }>((tie) => {
  const content = fc.oneof(
    { depthSize: 'medium', withCrossShrink: true },
    fc.uint8Array({ maxLength: 12 }).map((each) => Buffer.from(each)),
    fc.string({ unit: 'grapheme', maxLength: 80 }).map((text) => Buffer.from(text)),
    fc.array(varint, { maxLength: 4 }).map((each) => Buffer.concat(each)),
    tie('fields'),
  );
  const of = (type: number, value: fc.Arbitrary<Buffer>) =>
    fc.tuple(number, value).map(([which, bytes]) => Buffer.concat([tagOf(which, type), bytes]));
  const group = fc
    .tuple(number, fc.oneof({ depthSize: 'small' }, fc.constant(Buffer.alloc(0)), tie('fields')), fc.boolean())
    .map(([which, bytes, isOther]) => Buffer.concat([tagOf(which, 3), bytes, tagOf(isOther ? 7 : which, 4)]));
  return {
    fields: fc.array(tie('field'), { maxLength: 6 }).map((each) => Buffer.concat(each)),
    field: fc.oneof(
      { weight: 12, arbitrary: of(0, varint) },
      { weight: 3, arbitrary: of(1, ofSize(8)) },
      { weight: 12, arbitrary: of(2, content.map(sized)) },
      { weight: 3, arbitrary: of(5, ofSize(4)) },
      { weight: 2, arbitrary: group },
      { weight: 1, arbitrary: fc.constantFrom(4, 6, 7).chain((type) => of(type, fc.constant(Buffer.alloc(0)))) },
    ),
  };
});

type Damage = { readonly pick: number; readonly byte: number; readonly how: 'cut' | 'set' | 'insert' | 'remove' };
const damage: fc.Arbitrary<Damage> = fc.record({
  pick: fc.nat(),
  byte: fc.nat({ max: 255 }),
  how: fc.constantFrom('cut', 'set', 'insert', 'remove'),
});

function damaged(payload: Buffer, { pick, byte, how }: Damage): Buffer {
  // What comes first are tags and lengths, where a message is large.
  const at = pick % Math.min(payload.length + 1, 400);
  if (how === 'cut') return payload.subarray(0, at);
  const rest = payload.subarray(how === 'insert' ? at : at + 1);
  return Buffer.concat([payload.subarray(0, at), how === 'remove' ? Buffer.alloc(0) : Buffer.from([byte]), rest]);
}

for (const [name, one] of Object.entries(cases)) {
  const { ours, reference } = one;

  test(`${name}: the same bytes as protobufjs, and back`, (t) => {
    fc.assert(
      fc.property(one.messages, (message) => {
        const bytes = ours.encode(message as never);
        t.true(bytes.equals(reference.encode(message as never)));
        isSame(t, ours.decode(bytes), message);
        isSame(t, reference.decode(bytes), message);
      }),
      { numRuns: 300 },
    );
  });

  test(`${name}: of damaged bytes the same is read as by protobufjs, or nothing by both`, (t) => {
    let [read, refused] = [0, 0];
    fc.assert(
      fc.property(one.messages, fc.array(damage, { minLength: 1, maxLength: 3 }), (message, damages) => {
        const payload = one.framed(damages.reduce(damaged, ours.encode(message as never)));
        const found = byOurs(one, payload);
        isSame(t, found, byReference(one, payload));
        if (found === undefined) refused++;
        else read++;
      }),
      { numRuns: 1000 },
    );
    t.true(read > 50 && refused > 50, `${read} read, ${refused} refused`);
  });

  test(`${name}: of any fields the same is read as by protobufjs, or nothing by both`, (t) => {
    let [read, refused] = [0, 0];
    fc.assert(
      fc.property(fields, (bytes) => {
        const payload = one.framed(bytes);
        const found = byOurs(one, payload);
        isSame(t, found, byReference(one, payload));
        if (found === undefined) refused++;
        else read++;
      }),
      { numRuns: 3000 },
    );
    t.true(read > 50 && refused > 50, `${read} read, ${refused} refused`);
  });

  test(`${name}: fields of a later version are passed over, wherever they stand`, (t) => {
    const unknown = Buffer.concat([tagOf(200, 0), varintOf(7), tagOf(201, 2), sized(Buffer.from('later'))]);
    fc.assert(
      fc.property(one.messages, (message) => {
        const bytes = ours.encode(message as never);
        isSame(t, ours.decode(one.framed(Buffer.concat([unknown, bytes]))), message);
      }),
    );
  });

  test(`${name}: groups of unknown fields may lie 101 deep in one another, and no deeper`, (t) => {
    const nested = (depth: number): Buffer =>
      Buffer.concat([...Array(depth).fill(tagOf(300, 3)), ...Array(depth).fill(tagOf(300, 4))]);
    for (let depth = 97; depth < 104; depth++) {
      const bytes = nested(depth);
      // Outside, and in a message one, two and three deep: of the batches' lists, the replica's facts and the snapshot.
      const inner = (numbers: readonly number[]): Buffer =>
        numbers.reduceRight((content, which) => Buffer.concat([tagOf(which, 2), sized(content)]), bytes);
      for (const path of [[], [1], [3], [4], [1, 15], [4, 15], [4, 16], [4, 16, 3]]) {
        const payload = one.framed(inner(path));
        isSame(t, byOurs(one, payload), byReference(one, payload), `${depth} in ${path}`);
      }
      t.is(byOurs(one, one.framed(bytes)) === undefined, depth > 101);
    }
  });
}

for (const [name, one] of Object.entries(cases)) {
  test(`${name}: tags and lengths may have five bytes, of 32 bits`, (t) => {
    const padded = (value: number, last: number): Buffer => Buffer.from([value | 128, 128, 128, 128, last]);
    const content = Buffer.from([0x08, 0x07]);
    for (const last of [0, 1, 7, 8, 15, 16, 17, 127, 128]) {
      for (const tag of [0x08, 0x0a, 0x10, 0x12, 0x22]) {
        const long = one.framed(Buffer.concat([padded(tag, last), sized(content)]));
        isSame(t, byOurs(one, long), byReference(one, long), `tag ${tag}, ${last}`);
        const large = one.framed(Buffer.concat([Buffer.from([tag]), padded(content.length, last), content]));
        isSame(t, byOurs(one, large), byReference(one, large), `length after ${tag}, ${last}`);
      }
    }
  });
}

test('a snapshot that comes in two parts is merged as well', (t) => {
  const part = (snapshot: object): Buffer => sized(messages.RaftSnapshot.encode(snapshot as never).finish() as Buffer);
  const message = Buffer.concat([
    Buffer.from([0x08, 7]),
    tagOf(16, 2),
    part({ index: 4, term: 2, configuration: { voters: [1], learners: [9] } }),
    tagOf(16, 2),
    part({ index: 5, configuration: { voters: [2, 300] } }),
  ]);
  const payload = sealed(Buffer.concat([tagOf(4, 2), sized(message), checksumField]));
  const { message: read } = wire.decodeEnvelope(payload).items[0] as wire.EnvelopeItem;
  const configuration = { voters: [1, 2, 300], outgoing: [], learners: [9], learnersNext: [] };
  t.deepEqual<unknown, unknown>(read.type === 'SnapshotRequest' && read.snapshot, { index: 5, term: 2, configuration });
  t.deepEqual<unknown, unknown>(wire.decodeEnvelope(payload), envelopeReference.decode(payload));
});

test('what comes in two parts is merged: numbers of the later, lists of both', (t) => {
  const facts = (message: object): Buffer => messages.ReplicaFacts.encode(message as never).finish() as Buffer;
  const parts = [facts({ replicaId: 1, touchedIndex: 5, voters: [1, 2] }), facts({ replicaId: 3, voters: [300] })];
  const result = Buffer.concat(parts.flatMap((part) => [tagOf(15, 2), sized(part)]));
  const payload = Buffer.concat([tagOf(1, 2), sized(result)]);
  const { results } = wire.decodeResultBatch(payload);
  isSame(t, results[0]?.replica, { replicaId: 3, touchedIndex: 5, voters: [1, 2, 300], outgoing: [] });
  isSame(t, { results, mapEpoch: 0 }, resultBatchReference.decode(payload));
});

test('a number above 2^53 is read as the nearest double, for whoever checks it', (t) => {
  const payload = Buffer.concat([tagOf(2, 0), Buffer.alloc(9, 0xff), Buffer.from([1])]);
  t.is(wire.decodeOperationBatch(payload).ackedBelow, 2 ** 64);
  isSame(t, wire.decodeOperationBatch(payload), operationBatchReference.decode(payload));
});

test('entries after an index above 2^53, which only damaged bytes have, are numbered as by protobufjs', (t) => {
  const common = { from: 1 as never, to: 2 as never, term: 1, prevTerm: 1, commitIndex: 0 };
  const entry = { term: 1, index: 0, type: 0 as never, data: Buffer.alloc(0) };
  for (const prevIndex of [2 ** 53 - 2, 2 ** 53, 27_912_252_430_505_088]) {
    const message = { type: 'AppendRequest' as const, ...common, prevIndex, entries: [entry, entry, entry, entry] };
    const items = [{ shard: 1 as never, message }];
    const payload = envelopeReference.encode({
      fromNode: nodeId('n1'),
      fromIncarnation: 1,
      toIncarnation: 1,
      items,
    } as never);
    isSame(t, wire.decodeEnvelope(payload), envelopeReference.decode(payload));
  }
});

test('half a surrogate pair, which is no text, is written as U+FFFD; protobufjs writes what it refuses itself', (t) => {
  const encode = (message: string): Buffer => {
    const one = { ...wire.decodeResultBatch(Buffer.from([0x0a, 0])).results[0], message } as wire.OperationResult;
    return wire.encodeResultBatch({ results: [one], mapEpoch: 0 });
  };
  t.is(wire.decodeResultBatch(encode('a\ud800b')).results[0]?.message, 'a\ufffdb');
  t.is(wire.decodeResultBatch(encode('\ude00'.repeat(90))).results[0]?.message, '\ufffd'.repeat(90));
});

test('a message is a buffer of its own length, and bytes in what is read are views of it', (t) => {
  const value = Buffer.alloc(5000, 1);
  const from = nodeId('n1');
  const bytes = wire.encodeCommandBatch({
    timeStampMs: 1,
    sessions: [],
    commands: [wire.ownCommand(1, 1 as never, Buffer.from('k'), { value })],
  });
  const payload = wire.encodeEnvelope(from, 1, 1, [
    {
      shardId: 1 as never,
      message: {
        type: 'AppendRequest',
        from: 1 as never,
        to: 2 as never,
        term: 1,
        prevIndex: 0,
        prevTerm: 0,
        commitIndex: 0,
        entries: [{ term: 1, index: 1, type: 0, data: bytes }],
      },
    },
  ]);
  t.is(payload.buffer.byteLength, payload.length);
  const { message } = wire.decodeEnvelope(payload).items[0] as wire.EnvelopeItem;
  const data = message.type === 'AppendRequest' ? message.entries[0]?.data : undefined;
  const read = wire.decodeCommandBatch(data as Buffer).commands[0]?.value;
  t.true(value.equals(read as Buffer));
  t.is(read?.buffer, payload.buffer);
});

test('a batch of commands, which stays in the log for long, shares its memory with nothing', (t) => {
  const command = wire.ownCommand(1, 1 as never, Buffer.from('k'), { value: Buffer.from('v') });
  const bytes = wire.encodeCommandBatch({ timeStampMs: 1, sessions: [], commands: [command] });
  t.is(bytes.buffer.byteLength, bytes.length);
});
