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
  for (const size of sizes) {
    for (let start = 0; start < byCall.length; start += size / 2) {
      const window = byCall.slice(start, start + size);
      const part = closed(window, writers, model, footprint);
      if (search(part, model, mostSteps).verdict === 'impossible') return part;
    }
  }
  return undefined;
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
