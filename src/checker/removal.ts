/**
 * Which operations may be taken out of a history such that one that can be linearized still can be. So a failure that
 * is left is a failure of the whole, never one that the removal made.
 *
 * Take an order that explains the whole history, and a write out of it. Whoever met its value there now meets the value
 * before. Blind operations do not care. Any other operation that is possible in the state the write leaves, and that
 * did not return before the write was called, may be one of those, and has to go too; when it writes itself, the same
 * holds for what it leaves. All that is left then meets the state it met before. An unknown compare-and-swap that met
 * another value than it expected changed nothing: it may as well never happen, so it may stay.
 */
import type { OperationRecord } from './history.js';
import type { Footprint, Model } from './model.js';

/** Operations that are not blind, found by the states in which they are possible. */
export class Observers<State> {
  private readonly byNeed = new Map<string, number[]>();
  private readonly others: number[] = [];

  constructor(
    private readonly operations: readonly OperationRecord[],
    private readonly model: Model<State>,
    private readonly footprint: Footprint<State>,
  ) {
    for (const [at, { input, output }] of operations.entries()) {
      if (footprint.isBlind(input, output)) continue;
      const need = footprint.needs(input, output);
      if (need === undefined) {
        this.others.push(at);
        continue;
      }
      const same = this.byNeed.get(model.key(need));
      if (same === undefined) this.byNeed.set(model.key(need), [at]);
      else same.push(at);
    }
  }

  /** The given operations and all that have to go with them. */
  closure(seeds: Iterable<number>): Set<number> {
    const gone = new Set(seeds);
    // A Set is iterated in the order of insertion, including what is inserted meanwhile.
    for (const at of gone) for (const observer of this.of(at)) gone.add(observer);
    return gone;
  }

  /** The operations that may have met what this one left. */
  *of(write: number): Iterable<number> {
    const { input, output, invoked } = this.operations[write] as OperationRecord;
    const left = this.footprint.leaves(input, output);
    if (left === undefined) return;
    for (const candidates of [this.byNeed.get(this.model.key(left)) ?? [], this.others]) {
      for (const at of candidates) {
        const operation = this.operations[at] as OperationRecord;
        if (at !== write && operation.completed >= invoked && this.meets(left, operation)) yield at;
      }
    }
  }

  private meets(state: State, { input, output, completed }: OperationRecord): boolean {
    const after = this.model.step(state, input, output);
    if (after === undefined) return false;
    return completed !== Number.POSITIVE_INFINITY || this.model.key(after) !== this.model.key(state);
  }
}

/**
 * The operations without the unknown writes whose effect no other operation can have met. Neither verdict changes:
 * what is left can be linearized if the whole can (above), and an order of what is left is one of the whole, in which
 * those never happened.
 */
export function withoutUnseen<State>(
  operations: readonly OperationRecord[],
  model: Model<State>,
): readonly OperationRecord[] {
  if (model.footprint === undefined) return operations;
  let left = operations;
  for (;;) {
    const observers = new Observers(left, model, model.footprint);
    const isUnseen = (operation: OperationRecord, at: number): boolean =>
      operation.completed === Number.POSITIVE_INFINITY && observers.of(at)[Symbol.iterator]().next().done === true;
    const seen = left.filter((operation, at) => !isUnseen(operation, at));
    // An unknown compare-and-swap that went may have been the only one to look for another one's value.
    if (seen.length === left.length) return left;
    left = seen;
  }
}
