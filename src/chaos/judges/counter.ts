/**
 * Counters that are only ever incremented by 1: the numbers answered are a permutation of 1 to n that agrees with time, and
 * a read shows no less than was certain before it began and no more than had been asked for when it ended.
 */
import { countBelow, countUpTo, Ended, type Ranked } from '../ended.js';
import {
  inOrder,
  isAcknowledged,
  isFreshRead,
  merged,
  numberOf,
  type Operation,
  seenOf,
  settledMs,
  type Violation,
} from '../operation.js';
import { keyName } from '../words.js';
import { judgeRepeats } from './repeats.js';

/** Of the operations on one key. */
export function judgeCounter(operations: readonly Operation[]): Violation[] {
  const increments = merged(operations).filter(({ call, outcome }) => call.op === 'incr' && outcome.kind !== 'failed');
  const shown: Ranked[] = [
    ...increments.filter(isAcknowledged).map((operation) => ({ operation, rank: numberOf(operation) })),
    ...operations.filter(isFreshRead).map((operation) => ({ operation, rank: Number(seenOf(operation) ?? '0') })),
  ];
  return [
    ...judgeRepeats(operations),
    ...doubled(shown),
    ...wentBack(shown),
    ...tooMany(shown, increments),
    ...tooFew(shown, increments),
  ];
}

const told = ({ operation, rank }: Ranked): string =>
  operation.call.op === 'get'
    ? `the read by ${operation.client} showed ${rank}`
    : `${operation.client} was told ${rank}`;

function violation(what: string, culprit: Operation, others: readonly Operation[]): Violation {
  const { workload, key } = culprit;
  const operations = inOrder([...others, culprit]);
  return { workload, key, what: `Counter ${keyName(key)}: ${what}.`, operations, culprit };
}

function* doubled(shown: readonly Ranked[]): Iterable<Violation> {
  const first = new Map<number, Operation>();
  for (const { operation, rank } of shown) {
    if (operation.call.op !== 'incr') continue;
    const other = first.get(rank);
    if (other === undefined) first.set(rank, operation);
    else yield violation(`two increments were both answered ${rank}: one is lost`, operation, [other]);
  }
}

/** The first one only: everything after it goes back as well. */
function* wentBack(shown: readonly Ranked[]): Iterable<Violation> {
  const ended = new Ended(shown);
  for (const each of [...shown].sort((a, b) => a.operation.startMs - b.operation.startMs)) {
    const floor = ended.before(each.operation.startMs);
    if (floor === undefined) continue;
    const least = each.operation.call.op === 'incr' ? floor.rank + 1 : floor.rank;
    if (each.rank >= least) continue;
    yield violation(`${told(each)} after ${told(floor)}`, each.operation, [floor.operation]);
    return;
  }
}

/** More than had been asked for: something was counted twice. */
function tooMany(shown: readonly Ranked[], increments: readonly Operation[]): Violation[] {
  const starts = increments.map(({ startMs }) => startMs).sort((a, b) => a - b);
  for (const each of [...shown].sort((a, b) => a.operation.endMs - b.operation.endMs)) {
    const asked = countUpTo(starts, each.operation.endMs);
    if (each.rank <= asked) continue;
    const before = shown.filter(({ rank }) => rank < each.rank).sort((a, b) => b.rank - a.rank)[0];
    const what = `${told(each)} though only ${asked} increments had been asked for by then: one was counted twice`;
    return [violation(what, each.operation, before === undefined ? [] : [before.operation])];
  }
  return [];
}

/** Fewer than were acknowledged, though no single answer shows which is lost. */
function tooFew(shown: readonly Ranked[], increments: readonly Operation[]): Violation[] {
  const ends = increments.map(settledMs).sort((a, b) => a - b);
  for (const each of shown) {
    const certain = countBelow(ends, each.operation.startMs);
    if (each.rank >= certain) continue;
    const last = increments.filter((one) => settledMs(one) < each.operation.startMs).sort((a, b) => b.endMs - a.endMs);
    const what = `${told(each)} though ${certain} increments had been acknowledged before it began`;
    return [violation(what, each.operation, last.slice(0, 1))];
  }
  return [];
}
