/** Registers: the history of each key has to be linearizable. */
import { checkHistory, type OperationInput, type OperationOutput, type OperationRecord } from '../../checker/index.js';
import { inOrder, isFreshRead, isWrite, type Operation, seenOf, settledMs, type Violation } from '../operation.js';
import { callInWords, keyName, outcomeInWords, short } from '../words.js';

export type RegisterVerdict = {
  readonly violations: readonly Violation[];
  /** The search was given up: nothing is known. */
  readonly isUndecided: boolean;
};

/** Of the operations on one key. Reads that may be stale, and what certainly did not happen, are left out. */
export function judgeRegister(operations: readonly Operation[], maxSteps?: number): RegisterVerdict {
  const clients = new Map<string, number>();
  const originals = new Map<OperationRecord, Operation>();
  for (const operation of operations) {
    const record = recordOf(operation, clients);
    if (record !== undefined) originals.set(record, operation);
  }
  const result = checkHistory([...originals.keys()], maxSteps === undefined ? {} : { maxSteps });
  if (result.ok === true) return { violations: [], isUndecided: false };
  if (result.ok === 'unknown') return { violations: [], isUndecided: true };
  const plain = plainReason(operations);
  if (plain !== undefined) return { violations: [plain], isUndecided: false };
  const toOriginal = (record: OperationRecord): Operation => originals.get(record) as Operation;
  const few = inOrder(result.operations.map(toOriginal));
  return { violations: [notInAnyOrder(few, result.longestPrefix.map(toOriginal))], isUndecided: false };
}

function recordOf(operation: Operation, clients: Map<string, number>): OperationRecord | undefined {
  const input = inputOf(operation);
  const output = outputOf(operation);
  if (input === undefined || output === undefined) return undefined;
  const client = clients.get(operation.client) ?? clients.size;
  clients.set(operation.client, client);
  const { key, startMs } = operation;
  return { client, invoked: startMs, completed: settledMs(operation), key, input, output };
}

function inputOf({ call }: Operation): OperationInput | undefined {
  if (call.op === 'get' || call.op === 'delete') return { op: call.op };
  if (call.op !== 'put') return undefined;
  const { value, ifAbsent, ifValue } = call;
  if (ifAbsent === true) return { op: 'cas', expected: null, value };
  return ifValue === undefined ? { op: 'put', value } : { op: 'cas', expected: ifValue, value };
}

function outputOf(operation: Operation): OperationOutput | undefined {
  const { call, outcome } = operation;
  if (outcome.kind === 'failed' || (!isWrite(operation) && !isFreshRead(operation))) return undefined;
  if (outcome.kind !== 'ok') return { kind: outcome.kind };
  if (call.op === 'get') return { kind: 'ok', value: outcome.value ?? null };
  return call.op === 'delete' && outcome.found !== undefined ? { kind: 'ok', found: outcome.found } : { kind: 'ok' };
}

function violation(operations: readonly Operation[], culprit: Operation | undefined, why: string): Violation {
  const { workload, key } = operations[0] as Operation;
  const these = operations.length === 1 ? 'this operation' : `these ${operations.length} operations`;
  const what = `No order explains ${these} on ${keyName(key)}: ${why}.`;
  return { workload, key, what, operations, ...(culprit === undefined ? {} : { culprit }) };
}

function notInAnyOrder(operations: readonly Operation[], explained: readonly Operation[]): Violation {
  const fits = new Set(explained);
  const left = operations.filter((operation) => !fits.has(operation) && operation.outcome.kind !== 'unknown');
  const culprit = left.sort((a, b) => a.endMs - b.endMs)[0];
  return violation(
    operations,
    culprit,
    culprit === undefined ? 'they contradict each other' : `nothing explains ${told(culprit)}`,
  );
}

const told = ({ client, call, outcome }: Operation): string =>
  `the ${callInWords(call)} by ${client}, answered ${outcomeInWords(call, outcome)}`;

/** The value after it, where it takes effect. */
const leaves = ({ call }: Operation): string | null | undefined => {
  if (call.op === 'put') return call.value;
  return call.op === 'delete' ? null : undefined;
};

/** The value it has met for certain; undefined: any. */
function met(operation: Operation): string | null | undefined {
  const { call, outcome } = operation;
  if (isFreshRead(operation)) return seenOf(operation);
  if (call.op !== 'put' || outcome.kind !== 'ok') return undefined;
  return call.ifAbsent === true ? null : call.ifValue;
}

/**
 * The plainest reasons there can be, each a proof by itself: what was met had been overwritten for certain before the
 * operation began, or nobody can have written it by then.
 */
function plainReason(operations: readonly Operation[]): Violation | undefined {
  const writes = operations.filter(isWrite);
  const effective = writes.filter(({ outcome }) => outcome.kind === 'ok' || outcome.kind === 'unknown');
  for (const operation of [...operations].sort((a, b) => a.endMs - b.endMs)) {
    const value = met(operation);
    if (value === undefined) continue;
    const isSource = (write: Operation): boolean =>
      write !== operation && leaves(write) === value && write.startMs <= operation.endMs;
    const sources = effective.filter(isSource);
    if (value !== null && sources.length === 0) return unwritten(operation, value, writes.filter(isSource));
    const lastMs = Math.max(Number.NEGATIVE_INFINITY, ...sources.map(settledMs));
    const isBetween = (write: Operation): boolean => write.startMs > lastMs && settledMs(write) < operation.startMs;
    const later = effective.filter((write) => leaves(write) !== value && isBetween(write));
    const first = later.sort((a, b) => a.endMs - b.endMs)[0];
    if (first !== undefined) return stale(operation, value, sources, first);
  }
  return undefined;
}

const shown = (value: string | null): string => (value === null ? 'absent' : short(value));

const whatItMet = (operation: Operation, value: string | null): string =>
  operation.call.op === 'get'
    ? `the ${callInWords(operation.call)} by ${operation.client} returned ${shown(value)}`
    : `the ${callInWords(operation.call)} by ${operation.client} was done`;

function stale(operation: Operation, value: string | null, sources: readonly Operation[], later: Operation): Violation {
  // Of several sources the one that ended last is the nearest; the others ended before it.
  const nearest = [...sources].sort((a, b) => b.endMs - a.endMs).slice(0, 1);
  const why = `${whatItMet(operation, value)} after ${callInWords(later.call)} by ${later.client} was acknowledged`;
  return violation(inOrder([...nearest, later, operation]), operation, why);
}

function unwritten(operation: Operation, value: string, failed: readonly Operation[]): Violation {
  const reason =
    operation.call.op === 'get'
      ? failed.length === 0
        ? 'which nobody had written'
        : 'whose write certainly did not happen'
      : `though ${short(value)} ${failed.length === 0 ? 'had not been written' : 'certainly was not written'}`;
  return violation(inOrder([...failed, operation]), operation, `${whatItMet(operation, value)}, ${reason}`);
}
