/** What every single answer has to keep to, and what a key that nobody touches any more does. */
import type { Consistency } from '../../client/index.js';
import { inOrder, type Operation, revisionOf, seenOf, type Violation } from '../operation.js';
import { callInWords, keyName, short } from '../words.js';

const strength: Readonly<Record<Consistency, number>> = { linearizable: 3, lease: 2, quorum: 1, one: 0 };

/** Nothing weaker than what was asked for is given without `available`, and the strong levels are never stale. */
export function judgeAnswer(operation: Operation): Violation[] {
  const { call, outcome, workload, key } = operation;
  if (call.op !== 'get' || outcome.kind !== 'ok') return [];
  const wrong = (what: string): Violation[] => [
    { workload, key, what: `The ${callInWords(call)} of ${keyName(key)} ${what}.`, operations: [operation] },
  ];
  const { level, maybeStale } = outcome;
  if (level === undefined || maybeStale === undefined) return wrong('does not say how it was served');
  if (call.available !== true && strength[level] < strength[call.level]) return wrong(`was served at ${level}`);
  if (strength[level] >= strength.lease && maybeStale) return wrong(`was served at ${level} and calls itself stale`);
  const { maxStalenessMs } = call;
  const isTooOld = maxStalenessMs !== undefined && maybeStale && (outcome.stalenessMs ?? Infinity) > maxStalenessMs;
  return isTooOld ? wrong(`may be ${outcome.stalenessMs ?? 'any number of'} ms old, not ${maxStalenessMs}`) : [];
}

/** `sealed`: read after all writes of the key had been answered; nothing was written since. */
export function judgeSealed(sealed: Operation, later: Operation): Violation[] {
  if (seenOf(sealed) === seenOf(later) && revisionOf(sealed) === revisionOf(later)) return [];
  const { workload, key } = later;
  const told = (read: Operation): string => `${short(seenOf(read) ?? 'nothing')} (revision ${revisionOf(read)})`;
  const what = `${keyName(key)} held ${told(sealed)} when its last write was answered, and holds ${told(later)} now.`;
  return [{ workload, key, what, operations: inOrder([sealed, later]), culprit: later }];
}
