/** From the operations of a mixed batch to what travels, and from the answers to their results. */
import { assertNever, type BucketId } from '../base/index.js';
import { type Operation, OperationKind, type OperationResult } from '../wire/index.js';
import { amountOf, readOperation, writeOperation } from './operation-builder.js';
import {
  toAppendResult,
  toDeleteResult,
  toGetResult,
  toIncrementResult,
  toKeyFacts,
  toPutResult,
  toServed,
  toTouchResult,
} from './outcome.js';
import type { BatchOperation, BatchResult } from './types.js';

/** Throws BAD_REQUEST for what is wrong with the operation itself. */
export function operationOf(bucketId: BucketId, asked: BatchOperation): Operation {
  const { key, options = {} } = asked;
  switch (asked.op) {
    case 'get':
      return readOperation(bucketId, key, options);
    case 'exists':
      return readOperation(bucketId, key, options, OperationKind.Exists);
    case 'put':
      return writeOperation(OperationKind.Put, bucketId, key, asked.value, options);
    case 'append':
      return writeOperation(OperationKind.Append, bucketId, key, asked.value, options);
    case 'delete':
      return writeOperation(OperationKind.Delete, bucketId, key, '', options);
    case 'incr':
      return writeOperation(OperationKind.Increment, bucketId, key, amountOf(asked.by ?? 1), options);
    case 'touch':
      return writeOperation(OperationKind.Touch, bucketId, key, '', options);
    default:
      return assertNever(asked, 'operation of a batch');
  }
}

export function batchResult({ op }: BatchOperation, result: OperationResult): BatchResult {
  switch (op) {
    case 'get':
      return { op, result: toGetResult(result), served: toServed(result) };
    case 'exists':
      return { op, result: toKeyFacts(result), served: toServed(result) };
    case 'put':
      return { op, result: toPutResult(result) };
    case 'append':
      return { op, result: toAppendResult(result) };
    case 'delete':
      return { op, result: toDeleteResult(result) };
    case 'incr':
      return { op, result: toIncrementResult(result) };
    case 'touch':
      return { op, result: toTouchResult(result) };
    default:
      return assertNever(op, 'operation of a batch');
  }
}
