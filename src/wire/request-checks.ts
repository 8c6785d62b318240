/** JSON requests are checked field by field before anything is done: they come from anybody who may publish there. */
import { RingraftError } from '../base/index.js';

export type Check = (value: unknown) => boolean;
export type Fields = Readonly<Record<string, unknown>>;
export type FieldCheck = { readonly what: string; readonly check: Check; readonly optional?: true };
/** What each operation takes. */
export type OperationChecks = Readonly<Record<string, Readonly<Record<string, FieldCheck>>>>;

export const isText: Check = (value) => typeof value === 'string';
export const isNumber: Check = (value) => typeof value === 'number' && Number.isFinite(value);
export const isFlag: Check = (value) => typeof value === 'boolean';
export const isCount: Check = (value) => Number.isSafeInteger(value) && (value as number) >= 0;
export const isPositive: Check = (value) => Number.isSafeInteger(value) && (value as number) > 0;
export const isShardId: Check = (value) => isCount(value) && (value as number) <= 0xffff;
export const isReplicaId: Check = (value) => isPositive(value) && (value as number) <= 0xffff_ffff;
export const isObject = (value: unknown): value is Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
export const listOf =
  (check: Check): Check =>
  (value) =>
    Array.isArray(value) && value.every(check);

export const required = (what: string, check: Check): FieldCheck => ({ what, check });
export const optional = (what: string, check: Check): FieldCheck => ({ what, check, optional: true });

const bad = (message: string): RingraftError => new RingraftError('BAD_REQUEST', message);

/**
 * The request in a payload: its `op` is one of `operations`, its fields are as they say. Fields nobody knows are refused
 * where `isStrict` says so: a misspelt one must not turn into an order without it. Among nodes of different versions they
 * are passed over. Throws BAD_REQUEST with what is wrong, for a person.
 */
export function parseRequest(
  payload: Buffer,
  what: string,
  operations: OperationChecks,
  isStrict: (op: string) => boolean,
): Fields & { readonly op: string } {
  let parsed: unknown;
  try {
    parsed = JSON.parse(payload.toString());
  } catch {
    parsed = undefined;
  }
  if (!isObject(parsed)) throw bad(`${what} is a JSON object`);
  const { op, ...fields } = parsed;
  if (typeof op !== 'string' || !Object.hasOwn(operations, op)) {
    throw bad(`${what}: unknown operation ${brief(op)}; there are ${Object.keys(operations).join(', ')}`);
  }
  const checks = operations[op] as Readonly<Record<string, FieldCheck>>;
  for (const name of isStrict(op) ? Object.keys(fields) : []) {
    if (!Object.hasOwn(checks, name)) throw bad(`${op} takes no field ${brief(name)}`);
  }
  for (const [name, field] of Object.entries(checks)) {
    const value = fields[name];
    if (value === undefined && field.optional === true) continue;
    if (!field.check(value)) throw bad(`${op}: ${name} must be ${field.what}, not ${brief(value)}`);
  }
  return parsed as Fields & { readonly op: string };
}

function brief(value: unknown): string {
  const text = value === undefined ? 'missing' : JSON.stringify(value);
  return text.length <= 100 ? text : `${text.slice(0, 100)}...`;
}
