import fc from 'fast-check';
import { type Random, randomBetween } from '../../src/base/index.js';
import type { History, OperationInput, OperationOutput, OperationRecord } from '../../src/checker/index.js';

type Value = string | null;
type Call = { readonly input: OperationInput; readonly output: OperationOutput };

const ok = { kind: 'ok' } as const;

export const read = (value: Value): Call => ({ input: { op: 'get' }, output: { kind: 'ok', value } });
export const put = (value: string): Call => ({ input: { op: 'put', value }, output: ok });
export const remove = (found?: boolean): Call => ({
  input: { op: 'delete' },
  output: found === undefined ? ok : { kind: 'ok', found },
});
export const cas = (expected: Value, value: string): Call => ({ input: { op: 'cas', expected, value }, output: ok });
export const refused = (expected: Value, value: string, seen?: Value): Call => ({
  input: { op: 'cas', expected, value },
  output: seen === undefined ? { kind: 'refused' } : { kind: 'refused', value: seen },
});
export const unknown = ({ input }: Call): Call => ({ input, output: { kind: 'unknown' } });

/** A call that runs from one stamp to another, on key `k`; one of unknown outcome has no end. */
export const span = (invoked: number, completed: number, call: Call, key = 'k'): OperationRecord => ({
  client: invoked,
  invoked,
  completed: call.output.kind === 'unknown' ? Number.POSITIVE_INFINITY : completed,
  key,
  ...call,
});

/** Calls one after the other. */
export const inTurn = (...calls: readonly Call[]): History => calls.map((call, at) => span(2 * at, 2 * at + 1, call));

export type Workload = {
  readonly random: Random;
  readonly operations: number;
  readonly clients: number;
  readonly keys?: number;
  /** One in so many operations has an unknown outcome; 0: none. */
  readonly unknownEvery?: number;
  /** How many values there are; as many as writes when not given. */
  readonly values?: number;
};

/** A history that a real register made: every operation takes effect at a random instant while it is open. */
export function recordedHistory(workload: Workload): OperationRecord[] {
  const { random, operations, clients, keys = 1, unknownEvery = 0, values } = workload;
  const chance = (oneIn: number) => oneIn > 0 && randomBetween(random, 1, oneIn) === 1;
  const freeAt = new Array<number>(clients).fill(0);
  const planned = Array.from({ length: operations }, (_, at) => {
    const client = randomBetween(random, 0, clients - 1);
    const invoked = (freeAt[client] as number) + randomBetween(random, 0, 3);
    const completed = invoked + randomBetween(random, 0, 12);
    freeAt[client] = completed + 1;
    // Of those whose outcome is unknown, half take effect, and of these some only much later.
    const isUnknown = chance(unknownEvery);
    const isLost = isUnknown && chance(2);
    const last = isUnknown && chance(2) ? completed + 200 : completed;
    const effectAt = invoked + ((last - invoked) * randomBetween(random, 0, 1000)) / 1000;
    return {
      at,
      client,
      invoked,
      completed,
      effectAt,
      isUnknown,
      isLost,
      key: `k${randomBetween(random, 0, keys - 1)}`,
    };
  });
  const state = new Map<string, string>();
  const history: OperationRecord[] = [];
  for (const plan of planned.sort((a, b) => a.effectAt - b.effectAt)) {
    const { client, invoked, key, isUnknown, isLost } = plan;
    const value = `v${values === undefined ? plan.at : randomBetween(random, 1, values)}`;
    const input = randomInput(random, state.get(key) ?? null, value);
    const output = isLost ? ok : applyTo(state, key, input, random);
    if (isUnknown && input.op === 'get') continue;
    const completed = isUnknown ? Number.POSITIVE_INFINITY : plan.completed;
    history.push({ client, invoked, completed, key, input, output: isUnknown ? { kind: 'unknown' } : output });
  }
  return history.sort((a, b) => a.invoked - b.invoked);
}

function randomInput(random: Random, current: Value, value: string): OperationInput {
  const die = randomBetween(random, 1, 20);
  if (die <= 9) return { op: 'get' };
  if (die <= 15) return { op: 'put', value };
  if (die === 16) return { op: 'delete' };
  return { op: 'cas', expected: die === 17 ? 'never written' : current, value };
}

function applyTo(state: Map<string, string>, key: string, input: OperationInput, random: Random): OperationOutput {
  const before = state.get(key) ?? null;
  if (input.op === 'get') return { kind: 'ok', value: before };
  if (input.op === 'cas' && input.expected !== before) {
    return randomBetween(random, 0, 1) === 0 ? { kind: 'refused' } : { kind: 'refused', value: before };
  }
  if (input.op !== 'delete') state.set(key, input.value);
  else state.delete(key);
  return input.op === 'delete' && randomBetween(random, 0, 1) === 0 ? { kind: 'ok', found: before !== null } : ok;
}

/** Any few operations at all on one key, overlapping in any way, most of them impossible together. */
export function anyHistory(maxLength: number): fc.Arbitrary<OperationRecord[]> {
  const value = fc.constantFrom('a', 'b', 'c');
  const seen = fc.option(value);
  const call: fc.Arbitrary<Call> = fc.oneof(
    { weight: 4, arbitrary: seen.map(read) },
    { weight: 3, arbitrary: value.map(put) },
    fc.constantFrom(remove(), remove(true), remove(false)),
    fc.tuple(seen, value).map(([expected, next]) => cas(expected, next)),
    fc.tuple(seen, value).map(([expected, next]) => refused(expected, next)),
    fc.tuple(seen, value, seen).map(([expected, next, met]) => refused(expected, next, met)),
    value.map((next) => unknown(put(next))),
    fc.constant(unknown(remove())),
    fc.tuple(seen, value).map(([expected, next]) => unknown(cas(expected, next))),
  );
  const record = fc
    .tuple(fc.integer({ min: 0, max: 12 }), fc.integer({ min: 0, max: 6 }), call)
    .map(([invoked, length, each]) => span(invoked, invoked + length, each));
  return fc.array(record, { minLength: 1, maxLength });
}

/**
 * The definition, word for word, and hopelessly slow: is there an order of all completed operations and some of the
 * unknown ones that respects who came before whom, and in which a register would have answered so?
 */
export function isLinearizableByBruteForce(history: History): boolean {
  const tryAll = (order: History, rest: History): boolean => {
    const isComplete = rest.every(({ completed }) => completed === Number.POSITIVE_INFINITY);
    if (isComplete && respectsTime(order) && registerAnswers(order)) return true;
    return rest.some((each) =>
      tryAll(
        [...order, each],
        rest.filter((other) => other !== each),
      ),
    );
  };
  return tryAll([], history);
}

const respectsTime = (order: History): boolean =>
  order.every((first, at) => order.slice(at + 1).every((second) => second.completed >= first.invoked));

function registerAnswers(order: History): boolean {
  let value: Value = null;
  for (const { input, output } of order) {
    const before: Value = value;
    const wouldSwap = input.op === 'cas' && input.expected === before;
    if (input.op === 'put' || wouldSwap) value = input.value;
    if (input.op === 'delete') value = null;
    if (output.kind === 'unknown') continue;
    if (input.op === 'cas' && wouldSwap !== (output.kind === 'ok')) return false;
    if (output.value !== undefined && output.value !== before) return false;
    if (output.kind === 'ok' && output.found !== undefined && output.found !== (before !== null)) return false;
  }
  return true;
}
