/**
 * Writes that are sent again on purpose, under their request id, when they have been answered and when another write came
 * after them. Every key is worked on by one worker that goes on only after an answer, so what must be there in the end is
 * what the writes come to one after the other.
 */
import { inOrder, isFreshRead, merged, type Operation, seenOf, type Violation } from '../operation.js';
import { inWords, keyName, short } from '../words.js';
import { judgeRepeats } from './repeats.js';

/** Of the operations on one key. */
export function judgeRetries(operations: readonly Operation[]): Violation[] {
  const requests = merged(operations).filter(({ call }) => call.op !== 'get');
  const violations = judgeRepeats(operations);
  // A write that was never answered may yet happen: what is there in the end is open.
  if (requests.some(({ outcome }) => outcome.kind === 'unknown')) return violations;
  const doneMs = Math.max(...operations.filter(({ call }) => call.op !== 'get').map(({ endMs }) => endMs));
  let expected: string | null = null;
  for (const request of requests) {
    if (isWronglyDecided(expected, request)) return [...violations, wronglyDecided(expected, request, requests)];
    expected = stepped(expected, request);
  }
  for (const read of operations.filter(isFreshRead)) {
    if (read.startMs < doneMs || seenOf(read) === expected) continue;
    const { workload, key } = read;
    const [shows, due] = [seenOf(read), expected].map((value) => (value === null ? 'nothing' : short(value)));
    const sent = requests.map((request) => inWords(request)).join(', then ');
    const what = `${keyName(key)} holds ${shows}, not ${due}: ${sent}; a repeated write was not done exactly once.`;
    const told = operations.filter(({ call, outcome }) => call.op !== 'get' && outcome.kind !== 'failed');
    violations.push({ workload, key, what, operations: inOrder([...told, read]), culprit: read });
    break;
  }
  return violations;
}

/** A condition that does not fit what was there, by the answers before it. */
function isWronglyDecided(value: string | null, { call, outcome }: Operation): boolean {
  if (call.op !== 'put' || outcome.kind === 'failed') return false;
  const holds = (call.ifAbsent !== true || value === null) && (call.ifValue === undefined || call.ifValue === value);
  return holds !== (outcome.kind === 'ok');
}

function wronglyDecided(value: string | null, culprit: Operation, requests: readonly Operation[]): Violation {
  const { workload, key } = culprit;
  const before = requests.filter(({ endMs }) => endMs < culprit.startMs);
  const what = `${keyName(key)} held ${value ?? 'nothing'}, and ${inWords(culprit)}: the condition was decided wrongly.`;
  return { workload, key, what, operations: inOrder([...before, culprit]), culprit };
}

function stepped(value: string | null, { call, outcome }: Operation): string | null {
  if (outcome.kind !== 'ok') return value;
  switch (call.op) {
    case 'put':
      return call.value;
    case 'incr':
      return String(Number(value ?? '0') + call.by);
    case 'append':
      return `${value ?? ''}${call.value}`;
    case 'delete':
      return null;
    default:
      return value;
  }
}
