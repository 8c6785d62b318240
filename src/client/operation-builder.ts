/** From a caller's arguments to an operation, or to the error that says what is wrong with them. */
import { createHash } from 'node:crypto';
import { asBuffer, type BucketId, emptyBytes, RingraftError } from '../base/index.js';
import { ConditionKind, type Operation, OperationKind } from '../wire/index.js';
import { fitsMessage, maxOperationBytes } from './batch-sender.js';
import { levelOf } from './outcome.js';
import type { Key, ReadOptions, WriteOptions } from './types.js';

const maxRequestIdLength = 256;

export const toBytes = (key: Key): Buffer => (typeof key === 'string' ? Buffer.from(key) : asBuffer(key));

function checkedKey(key: Key): Buffer {
  const bytes = toBytes(key);
  if (bytes.length === 0) throw new RingraftError('BAD_REQUEST', 'a key has at least one byte');
  return bytes;
}

export function readOperation(
  bucketId: BucketId,
  key: Key,
  options: ReadOptions,
  kind: OperationKind = OperationKind.Get,
): Operation {
  return {
    requestId: 0,
    kind,
    bucketId,
    key: checkedKey(key),
    value: emptyBytes,
    condition: ConditionKind.None,
    expectedRevision: 0,
    expectedValue: emptyBytes,
    ttlMs: 0,
    level: levelOf(options.consistency),
    sequence: 0,
    clientId: emptyBytes,
    atLeastIndex: 0,
    maxStalenessMs: 0,
  };
}

/** The sequence is given when the operation goes into flight. */
export function writeOperation(
  kind: OperationKind,
  bucketId: BucketId,
  key: Key,
  value: Key,
  options: WriteOptions,
): Operation {
  const operation: Operation = {
    requestId: 0,
    kind,
    bucketId,
    key: checkedKey(key),
    value: toBytes(value),
    condition: ConditionKind.None,
    expectedRevision: 0,
    expectedValue: emptyBytes,
    ttlMs: checkedTtlMs(options.ttlMs),
    level: 0,
    sequence: 0,
    clientId: emptyBytes,
    atLeastIndex: 0,
    maxStalenessMs: 0,
  };
  setCondition(operation, options);
  if (options.requestId !== undefined) setIdentity(operation, options.requestId);
  return operation;
}

/** A request id is a client of its own that writes a few times: session and sequence are drawn from it. */
function setIdentity(operation: Operation, requestId: string): void {
  if (requestId.length === 0 || requestId.length > maxRequestIdLength) {
    throw new RingraftError('BAD_REQUEST', `a request id has 1 to ${maxRequestIdLength} characters`);
  }
  const digest = createHash('sha256').update(requestId).digest();
  operation.clientId = digest.subarray(0, 8);
  operation.sequence = 1 + (digest.readUIntBE(8, 6) % (2 ** 48 - 2));
}

/** The amount of an increment as it travels; throws BAD_REQUEST unless it can be counted with exactly. */
export function amountOf(by: number): string {
  if (Number.isSafeInteger(by)) return String(by);
  throw new RingraftError('BAD_REQUEST', `an amount is a whole number within 2^53, not ${by}`);
}

function setCondition(operation: Operation, { ifAbsent, ifRevision, ifValue }: WriteOptions): void {
  const asked = Number(ifAbsent === true) + Number(ifRevision !== undefined) + Number(ifValue !== undefined);
  if (asked > 1) throw new RingraftError('BAD_REQUEST', 'at most one of ifAbsent, ifRevision and ifValue may be given');
  if (ifAbsent === true) {
    operation.condition = ConditionKind.Absent;
  } else if (ifRevision !== undefined) {
    if (!Number.isSafeInteger(ifRevision) || ifRevision < 0) {
      throw new RingraftError('BAD_REQUEST', `a revision is a whole number from 0, not ${ifRevision}`);
    }
    // Revision 0 is that of a key that is not there.
    operation.condition = ifRevision === 0 ? ConditionKind.Absent : ConditionKind.Revision;
    operation.expectedRevision = ifRevision;
  } else if (ifValue !== undefined) {
    operation.condition = ConditionKind.Value;
    operation.expectedValue = asBuffer(ifValue);
  }
}

function checkedTtlMs(ttlMs: number | undefined): number {
  if (ttlMs === undefined) return 0;
  if (!Number.isSafeInteger(ttlMs) || ttlMs < 1) {
    throw new RingraftError('BAD_REQUEST', `a time to live is a whole number of milliseconds from 1, not ${ttlMs}`);
  }
  return ttlMs;
}

/** Throws TOO_LARGE, naming the limit, when no message can carry the operation. */
export function checkSize(operation: Operation, maxPayloadBytes: number): void {
  if (fitsMessage(operation, maxPayloadBytes)) return;
  const most = maxOperationBytes(maxPayloadBytes);
  const { key, value, expectedValue } = operation;
  const size = key.length + value.length + expectedValue.length;
  const message = `key and values have ${size} bytes together; a message of this NATS server carries at most ${most}`;
  throw new RingraftError('TOO_LARGE', message, { fields: { limitBytes: most, bytes: size } });
}
