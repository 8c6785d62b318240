/**
 * What clients did to a store and what they got back, as the checker wants it. One record an operation.
 *
 * 1. `invoked` and `completed` are stamps of one clock that all clients share; only their order counts. One operation
 *    precedes another when it completed strictly before the other was invoked; equal stamps are taken as overlapping,
 *    so that a coarse clock never makes a good history look bad.
 * 2. `completed` is `Infinity` exactly when the output is `unknown`: such an operation may take effect at any later
 *    time, or never.
 * 3. An operation that certainly did not happen (`happened: no`) is not in a history. A refused compare-and-swap is:
 *    it read the value.
 */
import { assert, messageOf, RingraftError } from '../base/index.js';

/** What was asked of one key. `null` stands for an absent value. */
export type OperationInput =
  | { readonly op: 'get' }
  | { readonly op: 'put'; readonly value: string }
  | { readonly op: 'delete' }
  | { readonly op: 'cas'; readonly expected: string | null; readonly value: string };

/**
 * What came back.
 *
 * - `ok`: it took effect. `value` is what a get read; `found` is whether a get or a delete met a value. Either may be
 *   left out when it is not known.
 * - `refused`: a compare-and-swap met another value than the expected one; `value` is that one, when known.
 * - `unknown`: it may have happened, may yet, or never will.
 */
export type OperationOutput =
  | { readonly kind: 'ok'; readonly value?: string | null; readonly found?: boolean }
  | { readonly kind: 'refused'; readonly value?: string | null }
  | { readonly kind: 'unknown' };

export type OperationRecord = {
  readonly client: number;
  readonly invoked: number;
  readonly completed: number;
  readonly key: string;
  readonly input: OperationInput;
  readonly output: OperationOutput;
};

export type History = readonly OperationRecord[];

/** States the invariants above; a history that breaks them was recorded wrongly, and no verdict on it means anything. */
export function assertRecord(record: OperationRecord): void {
  const wrong = faultOf(record);
  assert(wrong === undefined, () => `${wrong}: ${JSON.stringify(record)}`);
}

/** One JSON object a line. `Infinity`, which JSON has not, is written as null. */
export const encodeHistory = (history: History): string =>
  history
    .map(({ client, invoked, completed, key, input, output }) => {
      const finite = completed === Number.POSITIVE_INFINITY ? null : completed;
      return `${JSON.stringify({ client, invoked, completed: finite, key, input, output })}\n`;
    })
    .join('');

/** The records of an encoded history; empty lines are skipped. Throws BAD_REQUEST, naming the line, on anything else. */
export function decodeHistory(text: string): OperationRecord[] {
  const records: OperationRecord[] = [];
  for (const [at, line] of text.split('\n').entries()) {
    if (line.trim() === '') continue;
    const wrong = (what: string, cause?: unknown) =>
      new RingraftError('BAD_REQUEST', `history line ${at + 1}: ${what}`, { cause, fields: { line: at + 1 } });
    let parsed: unknown;
    try {
      parsed = JSON.parse(line);
    } catch (error) {
      throw wrong(`not JSON: ${messageOf(error)}`, error);
    }
    if (!isObject(parsed)) throw wrong('not an object');
    const record = parsed.completed === null ? { ...parsed, completed: Number.POSITIVE_INFINITY } : parsed;
    const fault = faultOf(record);
    if (fault !== undefined) throw wrong(fault);
    records.push(record as OperationRecord);
  }
  return records;
}

type Fields = Readonly<Record<string, unknown>>;

const isObject = (value: unknown): value is Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
const isValue = (value: unknown): boolean => value === null || typeof value === 'string';
const isKnown = (value: unknown): boolean => value !== undefined;

/** What is wrong with a record that may have come from anywhere; undefined when nothing is. */
function faultOf({ client, invoked, completed, key, input, output }: Fields): string | undefined {
  if (!Number.isInteger(client)) return 'client is not a whole number';
  if (!Number.isFinite(invoked)) return 'invoked is not a number';
  if (typeof completed !== 'number' || !(completed >= (invoked as number))) return 'completed is not after invoked';
  if (typeof key !== 'string') return 'key is not a string';
  if (!isObject(input)) return 'input is not an object';
  if (!isObject(output)) return 'output is not an object';
  const isEndless = completed === Number.POSITIVE_INFINITY;
  if (isEndless !== (output.kind === 'unknown')) return 'completed is endless exactly when the outcome is unknown';
  return faultOfInput(input) ?? faultOfOutput(input, output);
}

function faultOfInput({ op, value, expected }: Fields): string | undefined {
  if (op === 'get' || op === 'delete') return undefined;
  if (op !== 'put' && op !== 'cas') return `input.op is ${JSON.stringify(op)}`;
  if (typeof value !== 'string') return 'input.value is not a string';
  if (op === 'cas' && !isValue(expected)) return 'input.expected is neither a string nor null';
  return undefined;
}

function faultOfOutput({ op }: Fields, { kind, value, found }: Fields): string | undefined {
  if (kind !== 'ok' && kind !== 'refused' && kind !== 'unknown') return `output.kind is ${JSON.stringify(kind)}`;
  if (kind === 'refused' && op !== 'cas') return `a ${op} is never refused`;
  if (isKnown(value) && !isValue(value)) return 'output.value is neither a string nor null';
  if (isKnown(found) && typeof found !== 'boolean') return 'output.found is not a boolean';
  const mayHaveValue = (kind === 'ok' && op === 'get') || kind === 'refused';
  if (isKnown(value) && !mayHaveValue) return `output.value of a ${op} that is ${kind} says nothing`;
  if (isKnown(found) && (kind !== 'ok' || (op !== 'get' && op !== 'delete'))) {
    return `output.found of a ${op} that is ${kind} says nothing`;
  }
  return undefined;
}
