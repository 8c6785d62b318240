/** Every endpoint of the public API. A new operation is a line in `operations`, or here. */

import { keyAnswer } from './answer.js';
import { prepareBatch } from './batch.js';
import type { Endpoint, Work } from './endpoint.js';
import type { Fields } from './fields.js';
import { type KeyOperation, type OperationName, operationNames, operations, runAlone } from './operations.js';
import { prepareCount, prepareScan } from './scan.js';

function keyEndpoint(name: OperationName): Endpoint {
  const operation = operations[name];
  return {
    name,
    isRead: operation.isRead,
    raw: { subject: 'key', body: operation.body },
    message: 'KvRequest',
    mayBeEmpty: false,
    prepare: (fields, bucket, form) => prepareOne(operation, fields, bucket, form),
  };
}

function prepareOne(
  operation: KeyOperation,
  fields: Fields,
  bucket: string,
  form: Parameters<typeof keyAnswer>[0],
): Work {
  const asked = operation.parse(fields);
  fields.finish();
  return {
    weight: 1,
    run: async ({ client, clock }) => {
      const result = await runAlone(client, bucket, asked);
      const shown = operation.show(result, clock.wallMs());
      return keyAnswer(form, { key: asked.key as Buffer, ...shown }, operation.answerBody);
    },
  };
}

const ranges = {
  isRead: true,
  raw: { subject: 'prefix', body: undefined },
  message: 'KvScanRequest',
  mayBeEmpty: true,
} as const;

export const endpoints: readonly Endpoint[] = [
  ...operationNames.map(keyEndpoint),
  {
    name: 'batch',
    isRead: false,
    raw: undefined,
    message: 'KvBatchRequest',
    mayBeEmpty: false,
    prepare: prepareBatch,
  },
  { name: 'scan', ...ranges, prepare: prepareScan },
  { name: 'count', ...ranges, prepare: prepareCount },
];
