/**
 * Batches of operations, from smart clients to nodes, as protobuf (src/proto/kv.proto). Bytes are views of the input;
 * every field is present. `decodeOperationBatch` throws BAD_REQUEST for bytes that are no such message.
 */
import { type BucketId, emptyBytes } from '../base/index.js';
import {
  bytesFieldBytes,
  latin1FieldBytes,
  lengthFieldBytes,
  numberFieldBytes,
  WireReader,
  WireWriter,
} from '../proto/index.js';
import type { ConditionKind, ConsistencyLevel, Operation, OperationBatch, OperationKind } from './operations.js';

const operationBytes = (operation: Operation): number =>
  numberFieldBytes(operation.requestId) +
  numberFieldBytes(operation.kind) +
  numberFieldBytes(operation.bucketId) +
  bytesFieldBytes(operation.key) +
  bytesFieldBytes(operation.value) +
  numberFieldBytes(operation.condition) +
  numberFieldBytes(operation.expectedRevision) +
  bytesFieldBytes(operation.expectedValue) +
  numberFieldBytes(operation.ttlMs) +
  numberFieldBytes(operation.level) +
  numberFieldBytes(operation.sequence) +
  bytesFieldBytes(operation.clientId) +
  numberFieldBytes(operation.atLeastIndex) +
  numberFieldBytes(operation.maxStalenessMs);

function writeOperation(writer: WireWriter, operation: Operation): void {
  writer.numberField(8, operation.requestId);
  writer.numberField(16, operation.kind);
  writer.numberField(24, operation.bucketId);
  writer.bytesField(34, operation.key);
  writer.bytesField(42, operation.value);
  writer.numberField(48, operation.condition);
  writer.numberField(56, operation.expectedRevision);
  writer.bytesField(66, operation.expectedValue);
  writer.numberField(72, operation.ttlMs);
  writer.numberField(80, operation.level);
  writer.numberField(88, operation.sequence);
  writer.bytesField(98, operation.clientId);
  writer.numberField(104, operation.atLeastIndex);
  writer.numberField(112, operation.maxStalenessMs);
}

export function encodeOperationBatch({ clientId, ackedBelow, mapEpoch, operations }: OperationBatch): Buffer {
  let size = latin1FieldBytes(clientId) + numberFieldBytes(ackedBelow) + numberFieldBytes(mapEpoch);
  const sizes = operations.map(operationBytes);
  for (const bytes of sizes) size += lengthFieldBytes(bytes);
  const writer = new WireWriter(Buffer.allocUnsafe(size));
  writer.latin1Field(10, clientId);
  writer.numberField(16, ackedBelow);
  writer.numberField(24, mapEpoch);
  let at = 0;
  for (const operation of operations) {
    writer.lengthField(34, sizes[at++] as number);
    writeOperation(writer, operation);
  }
  return writer.finish();
}

/** Every field in one literal: all operations have one shape. */
const blankOperation = (): Operation => ({
  requestId: 0,
  kind: 0 as OperationKind,
  bucketId: 0 as BucketId,
  key: emptyBytes,
  value: emptyBytes,
  condition: 0,
  expectedRevision: 0,
  expectedValue: emptyBytes,
  ttlMs: 0,
  level: 0,
  sequence: 0,
  clientId: emptyBytes,
  atLeastIndex: 0,
  maxStalenessMs: 0,
});

function readOperation(reader: WireReader): Operation {
  const operation = blankOperation();
  while (reader.hasMore) {
    const tag = reader.tag();
    switch (tag) {
      case 8:
        operation.requestId = reader.uint32();
        break;
      case 16:
        operation.kind = reader.int32() as OperationKind;
        break;
      case 24:
        operation.bucketId = reader.uint32() as BucketId;
        break;
      case 34:
        operation.key = reader.view();
        break;
      case 42:
        operation.value = reader.view();
        break;
      case 48:
        operation.condition = reader.int32() as ConditionKind;
        break;
      case 56:
        operation.expectedRevision = reader.uint64();
        break;
      case 66:
        operation.expectedValue = reader.view();
        break;
      case 72:
        operation.ttlMs = reader.uint64();
        break;
      case 80:
        operation.level = reader.int32() as ConsistencyLevel;
        break;
      case 88:
        operation.sequence = reader.uint64();
        break;
      case 98:
        operation.clientId = reader.view();
        break;
      case 104:
        operation.atLeastIndex = reader.uint64();
        break;
      case 112:
        operation.maxStalenessMs = reader.uint64();
        break;
      default:
        reader.skip(tag, 1);
    }
  }
  return operation;
}

export function decodeOperationBatch(payload: Buffer): OperationBatch {
  const reader = new WireReader(payload, 'batch of operations');
  const batch: OperationBatch = { clientId: '', ackedBelow: 0, mapEpoch: 0, operations: [] };
  while (reader.hasMore) {
    const tag = reader.tag();
    switch (tag) {
      case 10:
        batch.clientId = reader.latin1();
        break;
      case 16:
        batch.ackedBelow = reader.uint64();
        break;
      case 24:
        batch.mapEpoch = reader.uint64();
        break;
      case 34: {
        const outer = reader.enter();
        batch.operations.push(readOperation(reader));
        reader.leave(outer);
        break;
      }
      default:
        reader.skip(tag, 0);
    }
  }
  return batch;
}
