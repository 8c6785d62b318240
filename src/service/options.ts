/** Options of reads and writes, from the fields of any form. */
import { type Consistency, consistencies, type ReadOptions, type WriteOptions } from '../client/index.js';
import { badRequest, type Fields, quoted } from './fields.js';

/** A request that waits for longer only keeps others out. */
const maxTimeoutMs = 600_000;

/** Leaves absent options out. */
export function defined<T extends object>(options: { readonly [K in keyof T]: T[K] | undefined }): T {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as T;
}

export function timeoutOf(fields: Fields): number | undefined {
  const timeoutMs = fields.integer('timeoutMs', 1);
  if (timeoutMs !== undefined && timeoutMs > maxTimeoutMs) {
    throw badRequest(`${fields.nameOf('timeoutMs')} is at most ${maxTimeoutMs}`);
  }
  return timeoutMs;
}

function consistencyOf(fields: Fields): Consistency | undefined {
  const text = fields.string('consistency');
  if (text === undefined) return undefined;
  const found = consistencies.find((consistency) => consistency === text);
  if (found === undefined)
    throw badRequest(`unknown consistency ${quoted(text)}; there are ${consistencies.join(', ')}`);
  return found;
}

export function readOptions(fields: Fields): ReadOptions {
  return defined<ReadOptions>({
    consistency: consistencyOf(fields),
    readQuorum: fields.integer('readQuorum', 1),
    maxStalenessMs: fields.integer('maxStalenessMs', 1),
    available: fields.boolean('available'),
    timeoutMs: timeoutOf(fields),
  });
}

/** What a write may ask for beside its conditions. */
export function writeOptions(fields: Fields): WriteOptions {
  return defined<WriteOptions>({
    ttlMs: fields.integer('ttlMs', 1),
    requestId: fields.string('requestId'),
    timeoutMs: timeoutOf(fields),
  });
}

/** At most one of them, which the client checks. */
export function conditions(fields: Fields): WriteOptions {
  return defined<WriteOptions>({
    ifRevision: fields.integer('expectedRevision', 0),
    ifAbsent: fields.boolean('ifAbsent'),
    ifValue: fields.bytes('expectedValue'),
  });
}

export const isConditional = ({ ifRevision, ifAbsent, ifValue }: WriteOptions): boolean =>
  ifRevision !== undefined || ifAbsent === true || ifValue !== undefined;
