/** Operations on one key, alone or in a batch: how each is read from its fields, and what its answer holds. */
import { assert, assertNever, RingraftError } from '../base/index.js';
import type { BatchOperation, BatchResult, KeyFacts, RingraftClient, Served, WriteOptions } from '../client/index.js';
import type { AnswerFields } from './answer.js';
import { badRequest, type Fields, requiredBytes } from './fields.js';
import { conditions, isConditional, readOptions, writeOptions } from './options.js';
import type { RawShape } from './raw-request.js';

export const operationNames = [
  'get',
  'exists',
  'ttl',
  'put',
  'putIfAbsent',
  'cas',
  'del',
  'incr',
  'append',
  'touch',
] as const;
export type OperationName = (typeof operationNames)[number];

export type KeyOperation = {
  readonly isRead: boolean;
  /** Of its raw form: what the body of the request is, and which field the body of the answer. */
  readonly body: RawShape['body'];
  readonly answerBody: keyof AnswerFields | undefined;
  /** Throws BAD_REQUEST. The fields are all asked for when it returns. */
  readonly parse: (fields: Fields) => BatchOperation;
  /** Throws NOT_FOUND where that is the answer to a missing key. */
  readonly show: (result: BatchResult, wallMs: number) => AnswerFields;
};

const servedAs = ({ consistency, maybeStale, stalenessMs }: Served): AnswerFields => ({
  consistency,
  stale: maybeStale,
  ...(stalenessMs === undefined ? {} : { stalenessMs }),
});

/** That a key is not there may be as stale as a value. */
const noSuchKey = (served: Served): RingraftError =>
  new RingraftError('NOT_FOUND', 'no such key', { fields: { served: servedAs(served) } });

const factsOf = (found: KeyFacts): AnswerFields => ({
  revision: found.revision,
  ...servedAs(found),
  ...(found.expiresAtMs === undefined ? {} : { expiresAtMs: found.expiresAtMs }),
});

function factsIn(answer: BatchResult): KeyFacts {
  if (answer.op !== 'get' && answer.op !== 'exists') return assertNever(answer as never, 'answer of a read');
  if (answer.result === undefined) throw noSuchKey(answer.served);
  return answer.result;
}

function shown(answer: BatchResult): AnswerFields {
  switch (answer.op) {
    case 'get':
      if (answer.result === undefined) throw noSuchKey(answer.served);
      return { value: answer.result.value, ...factsOf(answer.result) };
    case 'exists':
      return answer.result === undefined
        ? { found: false, ...servedAs(answer.served) }
        : { found: true, ...factsOf(answer.result) };
    case 'incr':
      return { number: answer.result.value, revision: answer.result.revision };
    case 'put':
    case 'append':
    case 'delete':
    case 'touch':
      return answer.result;
    default:
      return assertNever(answer, 'answer of an operation');
  }
}

function timeLeft(answer: BatchResult, wallMs: number): AnswerFields {
  const facts = factsIn(answer);
  const { expiresAtMs } = facts;
  return { ttlMs: expiresAtMs === undefined ? -1 : Math.max(0, expiresAtMs - wallMs), ...factsOf(facts) };
}

const key = (fields: Fields): Buffer => requiredBytes(fields, 'key');
const value = (fields: Fields): Buffer => requiredBytes(fields, 'value');

const reading = (op: 'get' | 'exists') => (fields: Fields) => ({ op, key: key(fields), options: readOptions(fields) });

function replacing(fields: Fields): BatchOperation {
  const asked = conditions(fields);
  if (!isConditional(asked)) {
    const names = ['expectedRevision', 'ifAbsent', 'expectedValue'].map((name) => fields.nameOf(name));
    throw badRequest(`cas needs a condition: one of ${names.join(', ')} (revision 0: the key must be absent)`);
  }
  return { op: 'put', key: key(fields), value: value(fields), options: { ...asked, ...writeOptions(fields) } };
}

const conditionalWrite = (fields: Fields): WriteOptions => ({ ...conditions(fields), ...writeOptions(fields) });

/** A deletion has no time to live. */
function deleting(fields: Fields): BatchOperation {
  const options = conditionalWrite(fields);
  if (options.ttlMs !== undefined) throw badRequest(`${fields.nameOf('ttlMs')} means nothing to a deletion`);
  return { op: 'delete', key: key(fields), options };
}

const write = { isRead: false, show: shown } as const;
const read = { isRead: true, body: undefined } as const;

export const operations: Readonly<Record<OperationName, KeyOperation>> = {
  get: { ...read, answerBody: 'value', parse: reading('get'), show: shown },
  exists: { ...read, answerBody: 'found', parse: reading('exists'), show: shown },
  ttl: { ...read, answerBody: 'ttlMs', parse: reading('exists'), show: timeLeft },
  put: {
    ...write,
    body: 'value',
    answerBody: undefined,
    parse: (fields) => ({ op: 'put', key: key(fields), value: value(fields), options: conditionalWrite(fields) }),
  },
  putIfAbsent: {
    ...write,
    body: 'value',
    answerBody: undefined,
    parse: (fields) => ({
      op: 'put',
      key: key(fields),
      value: value(fields),
      options: { ...writeOptions(fields), ifAbsent: true },
    }),
  },
  cas: { ...write, body: 'value', answerBody: undefined, parse: replacing },
  del: { ...write, body: undefined, answerBody: undefined, parse: deleting },
  incr: {
    ...write,
    body: 'by',
    answerBody: 'number',
    parse: (fields) => ({
      op: 'incr',
      key: key(fields),
      by: fields.integer('by', Number.MIN_SAFE_INTEGER) ?? 1,
      options: conditionalWrite(fields),
    }),
  },
  append: {
    ...write,
    body: 'value',
    answerBody: undefined,
    parse: (fields) => ({ op: 'append', key: key(fields), value: value(fields), options: conditionalWrite(fields) }),
  },
  touch: {
    ...write,
    body: undefined,
    answerBody: undefined,
    parse: (fields) => ({ op: 'touch', key: key(fields), options: conditionalWrite(fields) }),
  },
};

/** Alone, not as a batch of one: it is what clients do most. */
export async function runAlone(client: RingraftClient, bucket: string, asked: BatchOperation): Promise<BatchResult> {
  const { op, options } = asked;
  switch (op) {
    case 'get': {
      const { item, ...served } = await client.lookUp(bucket, asked.key, options);
      return { op, result: item, served };
    }
    case 'exists': {
      const [settled] = await client.batch(bucket, [asked]);
      assert(settled !== undefined, 'a batch of one has one outcome');
      if (!settled.ok) throw settled.error;
      return settled.result;
    }
    case 'put':
      return { op, result: await client.put(bucket, asked.key, asked.value, options) };
    case 'append':
      return { op, result: await client.append(bucket, asked.key, asked.value, options) };
    case 'delete':
      return { op, result: await client.delete(bucket, asked.key, options) };
    case 'incr':
      return { op, result: await client.incr(bucket, asked.key, asked.by, options) };
    case 'touch':
      return { op, result: await client.touch(bucket, asked.key, options?.ttlMs, options) };
    default:
      return assertNever(op, 'operation');
  }
}
