/** Goal: operations and commands arrive as they were sent, and look on disk and on the wire as they always did. */
import { isDeepStrictEqual } from 'node:util';
import test from 'ava';
import fc from 'fast-check';
import { bucketId, errorCodes, isRingraftError } from '../../../src/base/index.js';
import * as wire from '../../../src/wire/index.js';
import { bytes, commandBatch, number, operationBatch, resultBatch, u32 } from '../../support/wire-arbitraries.js';

const list = <T>(one: fc.Arbitrary<T>) => fc.array(one, { maxLength: 4 });

type Codec = { encode(value: never): Buffer; decode(payload: Buffer): unknown; values: fc.Arbitrary<unknown> };

const codecs: Readonly<Record<string, Codec>> = {
  CommandBatch: {
    encode: wire.encodeCommandBatch,
    decode: wire.decodeCommandBatch,
    values: commandBatch,
  },
  OperationBatch: {
    encode: wire.encodeOperationBatch,
    decode: wire.decodeOperationBatch,
    values: operationBatch,
  },
  ResultBatch: {
    encode: wire.encodeResultBatch,
    decode: wire.decodeResultBatch,
    values: resultBatch,
  },
  ScanRequest: {
    encode: wire.encodeScanRequest,
    decode: wire.decodeScanRequest,
    values: fc.record({
      bucketId: fc.integer({ min: 1, max: 0xffff }).map(bucketId),
      gte: bytes,
      lt: bytes,
      limit: u32,
      keysOnly: fc.boolean(),
      reverse: fc.boolean(),
      level: fc.constantFrom<wire.ConsistencyLevel>(0, 1, 2, 3, 4),
      shards: list(u32),
      maxBytes: u32,
    }),
  },
  ScanPage: {
    encode: wire.encodeScanPage,
    decode: wire.decodeScanPage,
    values: fc.record({
      code: u32,
      message: fc.string(),
      pairs: list(fc.record({ key: bytes, value: bytes, revision: number })),
      more: fc.boolean(),
      resumeAfter: bytes,
      notLed: list(u32),
    }),
  },
};

/** Of a scan absent fields stand on the prototype: read them by the names of what was sent. */
function sameFields(actual: unknown, sent: unknown): unknown {
  if (Buffer.isBuffer(sent)) return Buffer.from(actual as Uint8Array);
  if (Array.isArray(sent)) return (actual as unknown[]).map((each, at) => sameFields(each, sent[at]));
  if (typeof sent !== 'object' || sent === null) return actual;
  const fields = actual as Record<string, unknown>;
  return Object.fromEntries(Object.entries(sent).map(([name, value]) => [name, sameFields(fields[name], value)]));
}

for (const [name, { encode, decode, values }] of Object.entries(codecs)) {
  test(`${name} comes back as it was`, (t) => {
    fc.assert(
      fc.property(values, (value) => {
        const back = sameFields(decode(encode(value as never)), value);
        // Ava's own comparison takes long over large values.
        if (isDeepStrictEqual(back, value)) t.pass();
        else t.deepEqual(back, value);
      }),
    );
  });

  test(`${name} cut off or changed is read or BAD_REQUEST, nothing else`, (t) => {
    fc.assert(
      fc.property(values, fc.nat(), fc.nat({ max: 255 }), (value, pick, byte) => {
        const payload = encode(value as never);
        const at = pick % (payload.length + 1);
        const changed = Buffer.from(payload);
        if (at < changed.length) changed[at] = byte;
        for (const damaged of [payload.subarray(0, at), changed]) {
          try {
            decode(damaged);
          } catch (error) {
            if (!isRingraftError(error, 'BAD_REQUEST')) t.fail(`${error}`);
          }
        }
        t.pass();
      }),
    );
    t.throws(() => decode(Buffer.from([0x0a, 0x7f])), { code: 'BAD_REQUEST' });
  });
}

test('golden bytes of a command in the log', (t) => {
  const batch = wire.encodeCommandBatch({
    timeStampMs: 1_700_000_000_000,
    sessions: [{ clientId: '\u0001\u0002\u0003\u0004\u0005\u0006\u0007\u00ff', ackedBelow: 5 }],
    commands: [
      {
        kind: 1,
        bucketId: bucketId(1),
        key: Buffer.from('k'),
        value: Buffer.from('v'),
        condition: 2,
        expectedRevision: 300,
        expectedValue: Buffer.alloc(0),
        expiresAtMs: 0,
        session: 1,
        sequence: 6,
        maxValueBytes: 0,
      },
    ],
  });
  const { sessions, commands, timeStampMs } = wire.decodeCommandBatch(batch);
  t.is(timeStampMs, 1_700_000_000_000);
  t.is(sessions[0]?.clientId.length, 8);
  t.is(commands[0]?.expectedRevision, 300);
  t.is(batch.toString('hex'), '0880d095ffbc31120c0a0801020304050607ff10051a13080110011a016b220176280230ac0248015006');
});

test('numbers of error codes stay, are distinct, and 0 is none', (t) => {
  t.deepEqual(
    errorCodes.map(wire.codeNumber),
    errorCodes.map((_, at) => at + 1),
  );
  for (const code of errorCodes) t.is(wire.codeOf(wire.codeNumber(code)), code);
  t.is(wire.codeOf(0), undefined);
  t.is(wire.codeOf(999), undefined);
});
