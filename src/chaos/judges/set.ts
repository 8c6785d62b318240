/** A set of unique elements, one key each: what was acknowledged is there, what certainly failed is not. */
import {
  inOrder,
  isFreshRead,
  isWrite,
  merged,
  type Operation,
  seenOf,
  settledMs,
  type Violation,
} from '../operation.js';
import { count, keyName, short } from '../words.js';

/** Of the operations on one key: one element put, and reads of it. */
export function judgeSet(operations: readonly Operation[]): Violation[] {
  const adds = merged(operations).filter(isWrite);
  const violations: Violation[] = [];
  for (const read of operations.filter(isFreshRead)) {
    const wrong = wrongWith(read, adds);
    if (wrong === undefined) continue;
    const { workload, key } = read;
    violations.push({ workload, key, what: wrong, operations: inOrder([...adds, read]), culprit: read });
  }
  return violations;
}

function wrongWith(read: Operation, adds: readonly Operation[]): string | undefined {
  const value = seenOf(read);
  const element = keyName(read.key);
  if (value === null) {
    const lost = adds.find((add) => add.outcome.kind === 'ok' && settledMs(add) < read.startMs);
    return lost && `The element ${element}, acknowledged to ${lost.client}, is not there: a write is lost.`;
  }
  const mayBeFrom = adds.filter(({ call }) => call.op === 'put' && call.value === value);
  if (mayBeFrom.length === 0) return `The element ${element} holds ${short(value)}, which nobody wrote.`;
  const isPossible = mayBeFrom.some(({ outcome, startMs }) => outcome.kind !== 'failed' && startMs <= read.endMs);
  if (isPossible) return undefined;
  const tries = count(mayBeFrom.length, 'add');
  return `The element ${element} is there though its ${tries} certainly failed: a refused write took effect.`;
}
