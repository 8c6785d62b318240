/** Calls under one request id: each gets the first answer, whoever asks again. */
import { inOrder, isAnswered, type Operation, requestIdOf, type Violation } from '../operation.js';
import { callInWords, keyName, outcomeInWords } from '../words.js';

/** Of the operations on one key. */
export function judgeRepeats(operations: readonly Operation[]): Violation[] {
  const first = new Map<string, Operation>();
  const violations: Violation[] = [];
  for (const operation of operations.filter(isAnswered).sort((a, b) => a.endMs - b.endMs)) {
    const id = requestIdOf(operation);
    if (id === undefined) continue;
    const known = first.get(id);
    if (known === undefined) first.set(id, operation);
    else if (answerOf(known) !== answerOf(operation)) violations.push(unlike(known, operation));
  }
  return violations;
}

const answerOf = ({ outcome }: Operation): string =>
  outcome.kind === 'ok'
    ? JSON.stringify(['ok', outcome.revision, outcome.number, outcome.found])
    : JSON.stringify([outcome.kind, 'revision' in outcome ? outcome.revision : 0]);

function unlike(first: Operation, again: Operation): Violation {
  const { workload, key, call } = first;
  const told = ({ outcome }: Operation): string =>
    `${outcomeInWords(call, outcome)}${'revision' in outcome ? ` (revision ${outcome.revision})` : ''}`;
  const what =
    `${callInWords(call)} on ${keyName(key)} was sent again under its request id and answered ${told(again)}, ` +
    `not ${told(first)} as at first: it was done twice, or forgotten.`;
  return { workload, key, what, operations: inOrder([first, again]), culprit: again };
}
