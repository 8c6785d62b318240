/**
 * Requests of the public API in their two forms: key in the subject with a raw body and headers, or bucket in the
 * subject with a JSON body. Both come out as one shape.
 */
import { RingraftError } from '../base/index.js';
import type { Consistency, ReadOptions, ScanOptions, WriteOptions } from '../client/index.js';
import type { BusHeaders, BusMessage } from '../transport/index.js';
import { JsonBody } from './json-body.js';

export const endpointNames = ['get', 'put', 'del', 'cas', 'scan'] as const;
export type EndpointName = (typeof endpointNames)[number];

/** How to answer: the value as the body, or everything in JSON. */
export type Form = 'raw' | 'json';

export type KvRequest =
  | { readonly op: 'get'; readonly bucket: string; readonly key: Buffer; readonly options: ReadOptions }
  | {
      readonly op: 'put';
      readonly bucket: string;
      readonly key: Buffer;
      readonly value: Buffer;
      readonly options: WriteOptions;
    }
  | { readonly op: 'del'; readonly bucket: string; readonly key: Buffer; readonly options: WriteOptions }
  | { readonly op: 'scan'; readonly bucket: string; readonly options: ScanOptions };

export const requestHeaders = {
  expectedRevision: 'Kv-Expected-Revision',
  ttl: 'Kv-Ttl',
  consistency: 'Kv-Consistency',
  timeout: 'Kv-Timeout',
  limit: 'Kv-Limit',
  contentType: 'Content-Type',
} as const;

const defaultScanLimit = 100;
export const maxScanLimit = 10_000;

const badRequest = (message: string): RingraftError => new RingraftError('BAD_REQUEST', message);

/** What stands after `<prefix>.<op>.`: the bucket, and the key where the subject carries one. */
export type Target = { readonly bucket: string; readonly key: string | undefined };

export function targetOf(subject: string, subjectRoot: string): Target {
  const rest = subject.slice(subjectRoot.length);
  const dot = rest.indexOf('.');
  return dot < 0 ? { bucket: rest, key: undefined } : { bucket: rest.slice(0, dot), key: rest.slice(dot + 1) };
}

/** Throws BAD_REQUEST. */
export function parseRequest(name: EndpointName, target: Target, message: BusMessage): KvRequest {
  const { bucket, key } = target;
  if (key !== undefined) return parseRaw(name, bucket, Buffer.from(key), message);
  const type = message.headers?.[requestHeaders.contentType];
  if (type !== undefined && type.split(';')[0]?.trim().toLowerCase() !== 'application/json') {
    throw badRequest(`Content-Type ${type} is not served; a body is application/json`);
  }
  const body = new JsonBody(message.payload);
  const request = parseJson(name, bucket, body);
  body.finish();
  return request;
}

/** Leaves absent options out. */
function defined<T extends object>(options: { readonly [K in keyof T]: T[K] | undefined }): T {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as T;
}

function consistencyOf(text: string | undefined): Consistency | undefined {
  if (text === undefined || text === 'linearizable' || text === 'lease') return text;
  throw badRequest(`unknown consistency ${JSON.stringify(text)}; served are linearizable and lease`);
}

function integerHeader(headers: BusHeaders | undefined, name: string, min: number): number | undefined {
  const text = headers?.[name];
  if (text === undefined) return undefined;
  const value = /^\d{1,16}$/.test(text) ? Number(text) : Number.NaN;
  if (!Number.isSafeInteger(value) || value < min) throw badRequest(`header ${name} is not a whole number from ${min}`);
  return value;
}

function parseRaw(name: EndpointName, bucket: string, key: Buffer, { payload, headers }: BusMessage): KvRequest {
  const timeoutMs = integerHeader(headers, requestHeaders.timeout, 1);
  if (name === 'get') {
    const consistency = consistencyOf(headers?.[requestHeaders.consistency]);
    return { op: 'get', bucket, key, options: defined<ReadOptions>({ consistency, timeoutMs }) };
  }
  if (name === 'scan') {
    const limit = integerHeader(headers, requestHeaders.limit, 1) ?? defaultScanLimit;
    return {
      op: 'scan',
      bucket,
      options: defined<ScanOptions>({ prefix: key, limit: checkedLimit(limit), timeoutMs }),
    };
  }
  const ifRevision = integerHeader(headers, requestHeaders.expectedRevision, 0);
  if (name === 'del') {
    return { op: 'del', bucket, key, options: defined<WriteOptions>({ ifRevision, timeoutMs }) };
  }
  if (name === 'cas' && ifRevision === undefined) {
    throw badRequest(`cas needs the header ${requestHeaders.expectedRevision} (0: the key must be absent)`);
  }
  const ttlMs = integerHeader(headers, requestHeaders.ttl, 1);
  return { op: 'put', bucket, key, value: payload, options: defined<WriteOptions>({ ifRevision, ttlMs, timeoutMs }) };
}

function parseJson(name: EndpointName, bucket: string, body: JsonBody): KvRequest {
  const timeoutMs = body.integer('timeoutMs', 1);
  if (name === 'scan') return { op: 'scan', bucket, options: scanOptions(body, timeoutMs) };
  const key = body.requiredBytes('key');
  if (name === 'get') {
    const consistency = consistencyOf(body.string('consistency'));
    return { op: 'get', bucket, key, options: defined<ReadOptions>({ consistency, timeoutMs }) };
  }
  const ifRevision = body.integer('expectedRevision', 0);
  const ifAbsent = body.boolean('ifAbsent');
  const ifValue = body.bytes('expectedValue');
  const conditions = { ifRevision, ifAbsent, ifValue };
  if (name === 'del') return { op: 'del', bucket, key, options: defined<WriteOptions>({ ...conditions, timeoutMs }) };
  if (name === 'cas' && ifRevision === undefined && ifAbsent !== true && ifValue === undefined) {
    throw badRequest('cas needs "expectedRevision", "ifAbsent": true or "expectedValue"');
  }
  const ttlMs = body.integer('ttlMs', 1);
  const value = body.requiredBytes('value');
  return { op: 'put', bucket, key, value, options: defined<WriteOptions>({ ...conditions, ttlMs, timeoutMs }) };
}

function checkedLimit(limit: number): number {
  if (limit > maxScanLimit) throw badRequest(`a scan gives at most ${maxScanLimit} keys a request, not ${limit}`);
  return limit;
}

/** `after` continues behind a key given before, in the direction of the scan. */
function scanOptions(body: JsonBody, timeoutMs: number | undefined): ScanOptions {
  const prefix = body.bytes('prefix');
  const after = body.bytes('after');
  let gte = body.bytes('gte');
  let lt = body.bytes('lt');
  const reverse = body.boolean('reverse');
  const keysOnly = body.boolean('keysOnly');
  const limit = checkedLimit(body.integer('limit', 1) ?? defaultScanLimit);
  if (after !== undefined && reverse === true) {
    if (lt === undefined || Buffer.compare(after, lt) < 0) lt = after;
  } else if (after !== undefined) {
    const next = Buffer.concat([after, Buffer.of(0)]);
    if (gte === undefined || Buffer.compare(next, gte) > 0) gte = next;
  }
  return defined<ScanOptions>({ prefix, gte, lt, reverse, keysOnly, limit, timeoutMs });
}
