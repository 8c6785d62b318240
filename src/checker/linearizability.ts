/**
 * Whether a history can be explained by every operation taking effect at one instant between its call and its return.
 * Keys are independent, so a history is good when the operations on each key are (Herlihy and Wing 1990, locality).
 */
import { assertRecord, type History, type OperationRecord } from './history.js';
import { type Model, registerModel } from './model.js';
import { withoutUnseen } from './removal.js';
import { search } from './search.js';
import { shrink } from './shrink.js';
import { failingWindow } from './windows.js';

export type CheckOptions<State = unknown> = {
  /** What one key must do; a register when not given. */
  readonly model?: Model<State>;
  /** Configurations to try on one key before giving up on it. Memory grows with it: about 100 bytes each. */
  readonly maxSteps?: number;
};

export type CheckResult =
  | { readonly ok: true; readonly operations: number; readonly keys: number }
  | {
      readonly ok: false;
      readonly key: string;
      /** Operations on that key, as few as were found, that nothing explains; in the order of their calls. */
      readonly operations: readonly OperationRecord[];
      /** The most of them that can be explained in one order, in that order. */
      readonly longestPrefix: readonly OperationRecord[];
    }
  | { readonly ok: 'unknown'; readonly key: string };

const defaultMaxSteps = 1_000_000;
/** A good history takes about one step an operation; whatever takes many more is probably bad, in a place of its own. */
const fewSteps = 50_000;

/**
 * Checks a whole history. A key that fails is reported even when others could not be decided; `unknown` names the first
 * of those.
 */
export function checkHistory<State>(history: History, options: CheckOptions<State> = {}): CheckResult {
  const { model, maxSteps = defaultMaxSteps } = options;
  return model === undefined ? check(history, registerModel, maxSteps) : check(history, model, maxSteps);
}

function check<State>(history: History, model: Model<State>, maxSteps: number): CheckResult {
  const keys = byKey(history);
  let undecided: string | undefined;
  for (const [key, operations] of keys) {
    const seen = withoutUnseen(operations, model);
    let { verdict } = search(seen, model, Math.min(maxSteps, fewSteps));
    if (verdict === 'linearizable') continue;
    const part = failingWindow(seen, model);
    if (part === undefined && verdict === 'gave up' && maxSteps > fewSteps) {
      verdict = search(seen, model, maxSteps).verdict;
    }
    if (part !== undefined || verdict === 'impossible') return failure(key, part ?? seen, model, maxSteps);
    if (verdict === 'gave up') undecided ??= key;
  }
  if (undecided !== undefined) return { ok: 'unknown', key: undecided };
  return { ok: true, operations: history.length, keys: keys.size };
}

function failure<State>(
  key: string,
  operations: readonly OperationRecord[],
  model: Model<State>,
  maxSteps: number,
): CheckResult {
  const few = [...shrink(operations, model, maxSteps)].sort((a, b) => a.invoked - b.invoked);
  // Without footprint: with it, the search leaves a hopeless order before it gets stuck, and shows less of it.
  const { footprint: _, ...plain } = model;
  const { longest } = search(few, plain, Math.min(maxSteps, 100_000));
  return { ok: false, key, operations: few, longestPrefix: longest };
}

/** Operations by key. Reads without an answer are left out: they say nothing. */
function byKey(history: History): Map<string, OperationRecord[]> {
  const keys = new Map<string, OperationRecord[]>();
  for (const record of history) {
    assertRecord(record);
    const operations = keys.get(record.key) ?? [];
    keys.set(record.key, operations);
    if (record.input.op !== 'get' || record.output.kind !== 'unknown') operations.push(record);
  }
  return keys;
}
