import { type BucketId, emptyBytes } from '../../src/base/index.js';
import { type Operation, OperationKind } from '../../src/wire/index.js';

/** A put of one key as it comes from a client, but for what is said otherwise. */
export const putOperation = (fields: Partial<Operation> = {}): Operation => ({
  requestId: 7,
  kind: OperationKind.Put,
  bucketId: 1 as BucketId,
  key: Buffer.from('k'),
  value: Buffer.from('v'),
  condition: 0,
  expectedRevision: 0,
  expectedValue: emptyBytes,
  ttlMs: 0,
  level: 0,
  sequence: 1,
  clientId: emptyBytes,
  atLeastIndex: 0,
  maxStalenessMs: 0,
  ...fields,
});
