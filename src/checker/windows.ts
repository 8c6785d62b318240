/**
 * Failures are local as a rule: a few operations close in time contradict each other, whatever came before and after.
 * Looking at short stretches finds them at once where a search through all that came before would have to try every way
 * in which dozens of unknown operations may have gone.
 */
import type { OperationRecord } from './history.js';
import type { Footprint, Model } from './model.js';
import { search } from './search.js';

const sizes = [16, 64, 256];
const mostSteps = 10_000;

/** A stretch of the operations that fails, and only because the whole does; undefined when none is found. */
export function failingWindow<State>(
  operations: readonly OperationRecord[],
  model: Model<State>,
): readonly OperationRecord[] | undefined {
  const { footprint } = model;
  if (footprint === undefined) return undefined;
  const byCall = [...operations].sort((a, b) => a.invoked - b.invoked);
  const writers = writersByState(byCall, model, footprint);
  for (const window of staleReads(byCall, writers, model, footprint)) {
    const part = closed(window, writers, model, footprint);
    if (search(part, model, mostSteps).verdict === 'impossible') return part;
  }
  for (const size of sizes) {
    for (let start = 0; start < byCall.length; start += size / 2) {
      const window = byCall.slice(start, start + size);
      const part = closed(window, writers, model, footprint);
      if (search(part, model, mostSteps).verdict === 'impossible') return part;
    }
  }
  return undefined;
}

/**
 * The failure that is not local in time: an answer that needs a state all of whose writers returned before a blind write
 * was called, which itself returned before the answer was asked for. Each is given with its writers and that write.
 */
function* staleReads<State>(
  byCall: readonly OperationRecord[],
  writers: ReadonlyMap<string, readonly OperationRecord[]>,
  model: Model<State>,
  footprint: Footprint<State>,
): Iterable<readonly OperationRecord[]> {
  const blind = byCall.filter(({ input, output }) => footprint.isBlind(input, output));
  // By position in `blind`: of this write and those called after it, the one that returned first.
  const firstToReturn = [...blind];
  for (let at = blind.length - 2; at >= 0; at--) {
    const [here, later] = [firstToReturn[at] as OperationRecord, firstToReturn[at + 1] as OperationRecord];
    if (later.completed < here.completed) firstToReturn[at] = later;
  }
  for (const reader of byCall) {
    const need = footprint.needs(reader.input, reader.output);
    const sources = need === undefined ? [] : (writers.get(model.key(need)) ?? []);
    if (sources.length === 0) continue;
    const returned = sources.reduce((latest, { completed }) => Math.max(latest, completed), Number.NEGATIVE_INFINITY);
    const between = firstToReturn[firstCalledAfter(blind, returned)];
    if (between !== undefined && between.completed < reader.invoked) yield [...new Set([...sources, between, reader])];
  }
}

/** The position of the first operation called after `stamp`; the length when there is none. */
function firstCalledAfter(byCall: readonly OperationRecord[], stamp: number): number {
  let [low, high] = [0, byCall.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((byCall[middle] as OperationRecord).invoked > stamp) high = middle;
    else low = middle + 1;
  }
  return low;
}

function writersByState<State>(
  operations: readonly OperationRecord[],
  model: Model<State>,
  footprint: Footprint<State>,
): Map<string, OperationRecord[]> {
  const writers = new Map<string, OperationRecord[]>();
  for (const operation of operations) {
    const left = footprint.leaves(operation.input, operation.output);
    if (left === undefined) continue;
    const same = writers.get(model.key(left)) ?? [];
    writers.set(model.key(left), same);
    same.push(operation);
  }
  return writers;
}

/**
 * Those of the window that cannot have met a write outside it, nor one that has to go for that reason itself. So all
 * that are left meet what they met in the whole (see removal.ts).
 */
function closed<State>(
  window: readonly OperationRecord[],
  writers: ReadonlyMap<string, readonly OperationRecord[]>,
  model: Model<State>,
  footprint: Footprint<State>,
): readonly OperationRecord[] {
  const left = new Set(window);
  const mayStay = (operation: OperationRecord): boolean => {
    const { input, output, completed } = operation;
    if (footprint.isBlind(input, output)) return true;
    const need = footprint.needs(input, output);
    if (need === undefined) return false;
    const met = writers.get(model.key(need)) ?? [];
    return met.every((write) => left.has(write) || write === operation || write.invoked > completed);
  };
  for (let before = -1; before !== left.size; ) {
    before = left.size;
    for (const operation of left) if (!mayStay(operation)) left.delete(operation);
  }
  return [...left];
}
