/**
 * What reads promise about the age of what they show, told by revisions, which grow with every write of a key:
 *
 * 1. A read that is called linearizable shows at least what was acknowledged or seen by such a read before it began, and so
 *    does a write.
 * 2. A client's reads at `one` never go back behind what that client has seen or written.
 * 3. A read that says how old its data can be shows at least what was acknowledged so long before it began.
 * 4. What is read was written by a write that was called before and did not certainly fail; one revision is one value.
 */
import { Ended, type Ranked } from '../ended.js';
import {
  inOrder,
  isAcknowledged,
  isFreshRead,
  merged,
  type Operation,
  revisionOf,
  seenOf,
  type Violation,
} from '../operation.js';
import { callInWords, inWords, keyName, short } from '../words.js';

/** Between the clocks of processes that measure the same stretch. */
const clockSlackMs = 2;

/** Of the operations on one key that is only ever put. */
export function judgeFreshness(operations: readonly Operation[]): Violation[] {
  const writes = merged(operations).filter(({ call }) => call.op === 'put');
  const acknowledged = writes.filter(isAcknowledged);
  const reads = operations.filter(({ call, outcome }) => call.op === 'get' && outcome.kind === 'ok');
  return [
    ...staleReads(reads, acknowledged),
    ...sessionsBack([...reads, ...acknowledged]),
    ...olderThanTold(reads, acknowledged),
    ...unwritten(reads, writes),
  ];
}

const ranked = (operations: readonly Operation[]): Ranked[] =>
  operations.map((operation) => ({ operation, rank: revisionOf(operation) }));

function violation(what: string, culprit: Operation, others: readonly Operation[]): Violation {
  const { workload, key } = culprit;
  return { workload, key, what: `${what}.`, operations: inOrder([...others, culprit]), culprit };
}

const saw = (read: Operation): string => {
  const value = seenOf(read);
  return `${callInWords(read.call)} of ${keyName(read.key)} by ${read.client} returned ${value === null ? 'nothing' : short(value)} (revision ${revisionOf(read)})`;
};

function staleReads(reads: readonly Operation[], acknowledged: readonly Operation[]): Violation[] {
  const linearizable = ranked([...reads.filter(isFreshRead), ...acknowledged]);
  const ended = new Ended(linearizable);
  for (const { operation, rank } of inOrderOfStart(linearizable)) {
    const floor = ended.before(operation.startMs);
    const least = (floor?.rank ?? 0) + (operation.call.op === 'get' ? 0 : 1);
    if (floor === undefined || rank >= least) continue;
    const what =
      operation.call.op === 'get'
        ? `A stale answer called linearizable: the ${saw(operation)} after`
        : `${inWords(operation)} got revision ${rank} after`;
    const before = `revision ${floor.rank} was known to ${floor.operation.client}`;
    return [violation(`${what} ${before}`, operation, [floor.operation])];
  }
  return [];
}

const inOrderOfStart = (all: readonly Ranked[]): Ranked[] =>
  [...all].sort((a, b) => a.operation.startMs - b.operation.startMs);

function sessionsBack(operations: readonly Operation[]): Violation[] {
  const clients = new Map<string, Operation[]>();
  for (const operation of operations) {
    const own = clients.get(operation.client) ?? [];
    clients.set(operation.client, own);
    own.push(operation);
  }
  return [...clients.values()].flatMap(sessionBack);
}

function sessionBack(own: readonly Operation[]): Violation[] {
  const ended = new Ended(ranked(own));
  for (const { operation, rank } of inOrderOfStart(ranked(own))) {
    if (operation.outcome.kind !== 'ok' || operation.outcome.level !== 'one') continue;
    const floor = ended.before(operation.startMs);
    if (floor === undefined || rank >= floor.rank) continue;
    const what = `A session went back: the ${saw(operation)} after the same client had ${inWords(floor.operation)}`;
    return [violation(`${what} (revision ${floor.rank})`, operation, [floor.operation])];
  }
  return [];
}

function olderThanTold(reads: readonly Operation[], acknowledged: readonly Operation[]): Violation[] {
  const ended = new Ended(ranked(acknowledged));
  for (const read of reads) {
    if (read.outcome.kind !== 'ok' || read.outcome.stalenessMs === undefined) continue;
    const { stalenessMs } = read.outcome;
    const floor = ended.before(read.startMs - stalenessMs - clockSlackMs);
    if (floor === undefined || revisionOf(read) >= floor.rank) continue;
    const what = `Older than it says: the ${saw(read)}, at most ${stalenessMs} ms old, but revision ${floor.rank} was acknowledged`;
    return [
      violation(`${what} ${Math.floor(read.startMs - floor.operation.endMs)} ms before`, read, [floor.operation]),
    ];
  }
  return [];
}

function unwritten(reads: readonly Operation[], writes: readonly Operation[]): Violation[] {
  const byValue = new Map(writes.map((write) => [write.call.op === 'put' ? write.call.value : '', write]));
  for (const read of reads) {
    const value = seenOf(read);
    if (value === null) continue;
    const write = byValue.get(value);
    if (write === undefined) return [violation(`The ${saw(read)}, which nobody wrote`, read, [])];
    if (write.outcome.kind === 'failed' || write.outcome.kind === 'refused') {
      return [violation(`The ${saw(read)}, whose write certainly did not happen`, read, [write])];
    }
    if (write.startMs > read.endMs) return [violation(`The ${saw(read)} before that was written`, read, [write])];
    if (isAcknowledged(write) && revisionOf(write) !== revisionOf(read)) {
      return [violation(`The ${saw(read)}, which was written as revision ${revisionOf(write)}`, read, [write])];
    }
  }
  return [];
}
