/**
 * Makes a failing history small enough for a person to read. Every step keeps two things: the rest fails, and it fails
 * because the whole does (see removal.ts).
 */
import type { OperationRecord } from './history.js';
import type { Footprint, Model } from './model.js';
import { Observers, withoutUnseen } from './removal.js';
import { search } from './search.js';

/** A part of the operations, all on one key, that cannot be linearized either. Stops early after about `maxSteps`. */
export function shrink<State>(
  operations: readonly OperationRecord[],
  model: Model<State>,
  maxSteps: number,
): readonly OperationRecord[] {
  const { footprint } = model;
  if (footprint === undefined) return operations;
  let budget = maxSteps;
  const fails = (part: readonly OperationRecord[]): boolean => {
    if (budget <= 0) return false;
    const { verdict, steps } = search(withoutUnseen(part, model), model, budget);
    budget -= steps + part.length;
    return verdict === 'impossible';
  };
  const { part, originals } = shortestPrefix(operations, footprint, fails);
  const few = removeInChunks(withoutUnseen(part, model), model, footprint, fails);
  // As they were recorded: an outcome that the cut made unknown is known again, which only rules out more orders.
  return few.map((operation) => originals.get(operation) ?? operation);
}

type Fails = (part: readonly OperationRecord[]) => boolean;
type Prefix = { readonly part: readonly OperationRecord[]; readonly originals: Map<OperationRecord, OperationRecord> };

/** The history as it stood at the earliest stamp at which it already failed. A prefix of a good history is good. */
function shortestPrefix<State>(
  operations: readonly OperationRecord[],
  footprint: Footprint<State>,
  fails: Fails,
): Prefix {
  const stamps = operations.map(({ completed }) => completed).filter(Number.isFinite);
  stamps.sort((a, b) => a - b);
  let best: Prefix = { part: operations, originals: new Map() };
  let [low, high] = [0, stamps.length - 1];
  while (low <= high) {
    const middle = (low + high) >> 1;
    const prefix = cut(operations, stamps[middle] as number, footprint);
    if (fails(prefix.part)) {
      best = prefix;
      high = middle - 1;
    } else low = middle + 1;
  }
  return best;
}

/** What was known at `stamp`: a write that had not returned by then was unknown, and a read had seen nothing. */
function cut<State>(operations: readonly OperationRecord[], stamp: number, footprint: Footprint<State>): Prefix {
  const part: OperationRecord[] = [];
  const originals = new Map<OperationRecord, OperationRecord>();
  for (const operation of operations) {
    if (operation.invoked > stamp) continue;
    if (operation.completed <= stamp) part.push(operation);
    else if (footprint.leaves(operation.input, operation.output) !== undefined) {
      const open = { ...operation, completed: Number.POSITIVE_INFINITY, output: { kind: 'unknown' } } as const;
      originals.set(open, operation);
      part.push(open);
    }
  }
  return { part, originals };
}

/** Takes out runs of operations, with what has to go with them; shorter and shorter runs, until no single one can go. */
function removeInChunks<State>(
  operations: readonly OperationRecord[],
  model: Model<State>,
  footprint: Footprint<State>,
  fails: Fails,
): readonly OperationRecord[] {
  let left = [...operations].sort((a, b) => a.invoked - b.invoked);
  for (let size = Math.ceil(left.length / 2); ; ) {
    const before = left.length;
    for (let start = 0; start < left.length; ) {
      const chunk = Array.from({ length: Math.min(size, left.length - start) }, (_, offset) => start + offset);
      const gone = new Observers(left, model, footprint).closure(chunk);
      const rest = left.filter((_, at) => !gone.has(at));
      if (fails(rest)) left = rest;
      else start += size;
    }
    if (size > 1) size = Math.ceil(size / 2);
    else if (left.length === before) return left;
  }
}
