/** Registers: the history of each key has to be linearizable. */
import { checkHistory, type OperationInput, type OperationOutput, type OperationRecord } from '../../checker/index.js';
import { inOrder, isFreshRead, isWrite, type Operation, settledMs, type Violation } from '../operation.js';
import { callInWords, count, keyName, outcomeInWords, short } from '../words.js';

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
  const toOriginal = (record: OperationRecord): Operation => originals.get(record) as Operation;
  const few = inOrder(result.operations.map(toOriginal));
  return { violations: [notLinearizable(few, result.longestPrefix.map(toOriginal))], isUndecided: false };
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

function notLinearizable(operations: readonly Operation[], explained: readonly Operation[]): Violation {
  const { workload, key } = operations[0] as Operation;
  const fits = new Set(explained);
  const left = operations.filter((operation) => !fits.has(operation) && operation.outcome.kind !== 'unknown');
  const reads = operations.filter(isFreshRead);
  const stale = staleRead(operations, reads);
  const culprit = stale?.read ?? left.sort((a, b) => a.endMs - b.endMs)[0];
  const why = stale?.why ?? (culprit === undefined ? '' : `nothing explains the ${told(culprit)}`);
  const what = `No order explains these ${count(operations.length, 'operation')} on ${keyName(key)}: ${why}.`;
  return { workload, key, what, operations, ...(culprit === undefined ? {} : { culprit }) };
}

const told = ({ client, call, outcome }: Operation): string =>
  `${callInWords(call)} by ${client}, answered ${outcomeInWords(call, outcome)}`;

const leaves = ({ call }: Operation): string | null | undefined => {
  if (call.op === 'put') return call.value;
  return call.op === 'delete' ? null : undefined;
};

/** The plainest reason there can be: a read of what had been overwritten for certain before it began. */
function staleRead(
  operations: readonly Operation[],
  reads: readonly Operation[],
): { readonly read: Operation; readonly why: string } | undefined {
  const writes = operations.filter((operation) => isWrite(operation) && operation.outcome.kind !== 'refused');
  for (const read of reads) {
    if (read.outcome.kind !== 'ok') continue;
    const value = read.outcome.value ?? null;
    const sources = writes.filter((write) => leaves(write) === value);
    const lastMs = Math.max(Number.NEGATIVE_INFINITY, ...sources.map(settledMs));
    const later = writes.find(
      (write) => leaves(write) !== value && write.startMs > lastMs && settledMs(write) < read.startMs,
    );
    if (later === undefined) continue;
    const seen = value === null ? 'absent' : short(value);
    const overwriting = callInWords(later.call);
    return {
      read,
      why: `the ${callInWords(read.call)} by ${read.client} returned ${seen} after ${overwriting} was acknowledged`,
    };
  }
  return undefined;
}
