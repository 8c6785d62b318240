/**
 * Lists that unique tokens are appended to: each acknowledged token stands in it once, none that failed does, their order
 * agrees with time, and every state is the beginning of every later one.
 */
import { Ended } from '../ended.js';
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
import { count, keyName, short } from '../words.js';
import { judgeRepeats } from './repeats.js';

const terminator = ',';

/** A token as it is appended. */
export const tokenOf = (name: string): string => `${name}${terminator}`;

const tokensOf = (value: string): string[] => value.split(terminator).slice(0, -1).map(tokenOf);

/** Without the comma that ends it. */
const nameOf = (token: string): string => short(token.replace(/,$/, ''));

type Appends = ReadonlyMap<string, Operation>;

/** Of the operations on one key. */
export function judgeList(operations: readonly Operation[]): Violation[] {
  const appends = new Map<string, Operation>();
  for (const operation of merged(operations)) {
    if (operation.call.op === 'append') appends.set(operation.call.value, operation);
  }
  const reads = operations.filter(isFreshRead);
  return [...judgeRepeats(operations), ...growth(reads), ...firstOf(reads, (read) => contents(read, appends))];
}

/** One violation is enough of a kind: what is wrong once stays wrong in all later reads. */
function firstOf(reads: readonly Operation[], judge: (read: Operation) => Violation | undefined): Violation[] {
  for (const read of [...reads].sort((a, b) => a.endMs - b.endMs)) {
    const found = judge(read);
    if (found !== undefined) return [found];
  }
  return [];
}

function violation(what: string, culprit: Operation, others: readonly Operation[]): Violation {
  const { workload, key } = culprit;
  const operations = inOrder([...others, culprit]);
  return { workload, key, what: `List ${keyName(key)}: ${what}.`, operations, culprit };
}

const lengthOf = (read: Operation): number => (seenOf(read) ?? '').length;

/** The states seen lie on one line, and none goes back in time. */
function growth(reads: readonly Operation[]): Violation[] {
  const byLength = [...reads].sort((a, b) => lengthOf(a) - lengthOf(b) || a.endMs - b.endMs);
  for (const [at, longer] of byLength.entries()) {
    const shorter = byLength[at - 1];
    if (shorter === undefined || (seenOf(longer) ?? '').startsWith(seenOf(shorter) ?? '')) continue;
    const shows = (read: Operation): string => short((seenOf(read) ?? '').replace(/,$/, ''), 40);
    const what = `the read by ${longer.client} shows ${shows(longer)}, which does not begin with ${shows(shorter)}`;
    return [violation(`${what}, read by ${shorter.client}: it was re-ordered or lost a part`, longer, [shorter])];
  }
  const ended = new Ended(reads.map((operation) => ({ operation, rank: lengthOf(operation) })));
  for (const read of inOrder(reads)) {
    const floor = ended.before(read.startMs);
    if (floor === undefined || floor.rank <= lengthOf(read)) continue;
    const { client } = floor.operation;
    const [had, has] = [floor.operation, read].map((each) => count(tokensOf(seenOf(each) ?? '').length, 'token'));
    return [
      violation(`the read by ${read.client} shows ${has} after ${client} had read ${had}`, read, [floor.operation]),
    ];
  }
  return [];
}

/** What is wrong with one state. */
function contents(read: Operation, appends: Appends): Violation | undefined {
  const places = new Map<string, number>();
  let endsAt = 0;
  for (const [at, token] of tokensOf(seenOf(read) ?? '').entries()) {
    const append = appends.get(token);
    endsAt += Buffer.byteLength(token);
    const wrong = wrongToken(token, append, places.has(token), endsAt, read);
    if (wrong !== undefined) return violation(wrong, read, append === undefined ? [] : [append]);
    places.set(token, at);
  }
  for (const [token, append] of appends) {
    if (!isAcknowledged(append) || settledMs(append) >= read.startMs || places.has(token)) continue;
    return violation(`${nameOf(token)} was acknowledged to ${append.client} and is not there: a write is lost`, read, [
      append,
    ]);
  }
  return disorder(read, places, appends);
}

function wrongToken(
  token: string,
  append: Operation | undefined,
  isSecond: boolean,
  endsAt: number,
  read: Operation,
): string | undefined {
  if (append === undefined) return `${nameOf(token)} is there, which nobody appended`;
  if (isSecond) return `${nameOf(token)}, appended once by ${append.client}, is there twice: a write was applied twice`;
  if (append.outcome.kind === 'failed') return `${nameOf(token)} is there though its append certainly failed`;
  if (append.startMs > read.endMs) return `${nameOf(token)} is there before its append was called`;
  if (append.outcome.kind !== 'ok' || numberOf(append) === endsAt) return undefined;
  return `${nameOf(token)} ends at byte ${endsAt}, but its append was answered that the list had ${numberOf(append)} then`;
}

/** From the end to the beginning: nothing may stand behind what was called after it had been answered. */
function disorder(read: Operation, places: ReadonlyMap<string, number>, appends: Appends): Violation | undefined {
  let earliest: Operation | undefined;
  for (const token of [...places.keys()].reverse()) {
    const append = appends.get(token) as Operation;
    if (earliest !== undefined && earliest.endMs < append.startMs) {
      const [first, second] = [earliest, append].map(({ call }) => nameOf('value' in call ? call.value : ''));
      const what = `${first} stands behind ${second}, though it was acknowledged before that was appended`;
      return violation(what, read, [earliest, append]);
    }
    if (isAcknowledged(append) && (earliest === undefined || append.endMs < earliest.endMs)) earliest = append;
  }
  return undefined;
}
