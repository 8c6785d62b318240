/**
 * The search for one order in which the operations on one key can have taken effect: Wing and Gong's, with Lowe's
 * memory of configurations already tried ("Testing for linearizability", 2016).
 *
 * Calls and returns of completed operations stand in a doubly linked list in the order of their stamps. The operations
 * that may take effect next are those whose call stands before the first return. Linearizing one takes its two events
 * out; when nothing fits, the last one is put back. Operations without a return (unknown outcome) stay outside the
 * list: they may be linearized any time after their call, or never, and are tried last.
 *
 * What keeps it from blowing up, none of which changes a verdict:
 *
 * 1. A completed operation that never changes anything and is possible now is linearized at once, with no way back: in
 *    any order that completes this one it can be moved here, for all others then still meet the states they met. (Not
 *    so a write that happens to change nothing now: in its later place it may undo another.)
 * 2. An unknown operation that would change nothing is not linearized: leaving it out gives the same order.
 * 3. Nor is one that is followed at once by an operation that would have been possible without it, and would have left
 *    the same: its effect is overwritten unseen, so it may as well never happen.
 * 4. Of unknown operations with equal inputs, the one called first goes first: it may stand wherever a later one may.
 * 5. A state is not left while operations remain that need it and none that could bring it back.
 */
import { assert } from '../base/index.js';
import type { OperationRecord } from './history.js';
import type { Model } from './model.js';

export type SearchResult = {
  readonly verdict: 'linearizable' | 'impossible' | 'gave up';
  /** The longest order found; all of it when linearizable, but for unknown operations that did not happen. */
  readonly longest: readonly OperationRecord[];
  readonly steps: number;
};

/** Looks for a linearization of operations on one key, trying at most `maxSteps` configurations. */
export function search<State>(
  operations: readonly OperationRecord[],
  model: Model<State>,
  maxSteps: number,
): SearchResult {
  return new Search(operations, model).run(maxSteps);
}

/** The state before an unknown operation that was the last, when it was: nothing has met its effect yet (rule 3). */
type Unmet<State> = { readonly before: State; readonly beforeId: number } | undefined;

type Frame<State> = {
  readonly operation: number;
  readonly state: State;
  readonly stateId: number;
  readonly unmet: Unmet<State>;
  readonly isForced: boolean;
};

const head = 0;
const none = -1;

/** Mutable, indexed by small numbers, because every step of the search goes through it. */
class Search<State> {
  /** Completed operations, then unknown ones; each part in the order of calls. */
  private readonly operations: readonly OperationRecord[];
  private readonly completedCount: number;
  /** Positions of events, from 1; `end` is past the last. */
  private readonly callAt: Int32Array;
  private readonly returnAt: Int32Array;
  private readonly end: number;
  private readonly next: Int32Array;
  private readonly previous: Int32Array;
  /** The operation whose call stands at a position; `none` for a return. */
  private readonly callOf: Int32Array;
  /** For an unknown operation, the one before it with the same input. */
  private readonly twin: Int32Array;
  private readonly isUsed: Uint8Array;
  /** One bit for each unknown operation used. */
  private readonly usedBits: Uint16Array;

  private readonly isRead: Uint8Array;
  private readonly leaves: Int32Array;
  private readonly needs: Int32Array;
  /** By state id: how many operations still to be linearized leave it, or need it. */
  private readonly leaving: number[] = [];
  private readonly needing: number[] = [];

  private readonly stateIds = new Map<string, number>();
  private readonly seen = new Set<string>();
  private readonly stack: Frame<State>[] = [];
  private longest: readonly OperationRecord[] = [];

  private state: State;
  private stateId: number;
  private unmet: Unmet<State>;
  private found: State | undefined;

  constructor(
    operations: readonly OperationRecord[],
    private readonly model: Model<State>,
  ) {
    const byCall = [...operations].sort((a, b) => a.invoked - b.invoked);
    const completed = byCall.filter((each) => each.completed !== Number.POSITIVE_INFINITY);
    this.operations = [...completed, ...byCall.filter((each) => each.completed === Number.POSITIVE_INFINITY)];
    this.completedCount = completed.length;
    const count = this.operations.length;
    [this.callAt, this.returnAt, this.twin] = [new Int32Array(count), new Int32Array(count), new Int32Array(count)];
    [this.leaves, this.needs] = [new Int32Array(count).fill(none), new Int32Array(count).fill(none)];
    [this.isRead, this.isUsed] = [new Uint8Array(count), new Uint8Array(count)];
    this.usedBits = new Uint16Array(Math.ceil((count - this.completedCount) / 16));
    this.end = count + this.completedCount + 1;
    this.next = new Int32Array(this.end + 1);
    this.previous = new Int32Array(this.end + 1);
    this.callOf = new Int32Array(this.end + 1).fill(none);
    this.state = model.init();
    this.stateId = this.idOf(this.state);
    this.placeEvents();
    this.findTwins();
    this.readFootprints();
  }

  run(maxSteps: number): SearchResult {
    let steps = 0;
    const result = (verdict: SearchResult['verdict']) => ({ verdict, longest: this.longest, steps });
    if (this.isBeyondReach()) return result('impossible');
    let after = none;
    while (this.next[head] !== this.end) {
      const barrier = this.firstReturn();
      const forced = after === none ? this.findRead(barrier) : none;
      const operation = forced === none ? this.findNext(after, barrier) : forced;
      if (operation === none) {
        after = this.backtrack();
        if (after === none) return result('impossible');
        continue;
      }
      if (steps >= maxSteps) {
        this.keepLongest();
        return result('gave up');
      }
      steps++;
      after = this.linearize(operation, forced !== none) ? none : this.backtrack();
      if (after === none && this.stack.length === 0) return result('impossible');
    }
    this.longest = this.order();
    return result('linearizable');
  }

  /** Calls before returns where stamps are equal: such operations overlap. */
  private placeEvents(): void {
    const events = this.operations.flatMap((each, operation) => [
      { stamp: each.invoked, operation, isReturn: false },
      { stamp: each.completed, operation, isReturn: true },
    ]);
    events.sort((a, b) => (a.stamp === b.stamp ? Number(a.isReturn) - Number(b.isReturn) : a.stamp - b.stamp));
    let last = head;
    let position = head;
    for (const { operation, isReturn } of events) {
      const isCompleted = operation < this.completedCount;
      if (isReturn && !isCompleted) continue;
      position++;
      (isReturn ? this.returnAt : this.callAt)[operation] = position;
      if (!isCompleted) continue;
      if (!isReturn) this.callOf[position] = operation;
      this.next[last] = position;
      this.previous[position] = last;
      last = position;
    }
    assert(position === this.end - 1, 'every event has its place');
    this.next[last] = this.end;
    this.previous[this.end] = last;
  }

  private findTwins(): void {
    const latest = new Map<string, number>();
    for (let at = this.completedCount; at < this.operations.length; at++) {
      const input = JSON.stringify(this.operations[at]?.input);
      this.twin[at] = latest.get(input) ?? none;
      latest.set(input, at);
    }
  }

  private readFootprints(): void {
    const { footprint } = this.model;
    if (footprint === undefined) return;
    for (const [at, { input, output }] of this.operations.entries()) {
      const [left, needed] = [footprint.leaves(input, output), footprint.needs(input, output)];
      this.isRead[at] = Number(left === undefined);
      if (left !== undefined) this.leaves[at] = this.idOf(left);
      if (needed !== undefined) this.needs[at] = this.idOf(needed);
      this.count(at, 1);
    }
  }

  /** Whether some operation needs a state that nothing ever leaves. */
  private isBeyondReach(): boolean {
    return this.needing.some((count, id) => count > 0 && id !== this.stateId && !this.leaving[id]);
  }

  private count(operation: number, by: number): void {
    const [left, needed] = [this.leaves[operation] as number, this.needs[operation] as number];
    if (left !== none) this.leaving[left] = (this.leaving[left] ?? 0) + by;
    if (needed !== none) this.needing[needed] = (this.needing[needed] ?? 0) + by;
  }

  private idOf(state: State): number {
    const key = this.model.key(state);
    let id = this.stateIds.get(key);
    if (id === undefined) {
      id = this.stateIds.size;
      this.stateIds.set(key, id);
    }
    return id;
  }

  private firstReturn(): number {
    let position = this.next[head] as number;
    while (this.callOf[position] !== none) position = this.next[position] as number;
    return position;
  }

  /** Whether the operation is possible now; then `found` is the state it leaves. */
  private fits(operation: number): boolean {
    const { input, output } = this.operations[operation] as OperationRecord;
    this.found = this.model.step(this.state, input, output);
    if (this.found === undefined || this.unmet === undefined) return this.found !== undefined;
    const without = this.model.step(this.unmet.before, input, output);
    return without === undefined || this.idOf(without) !== this.idOf(this.found);
  }

  private changes(): boolean {
    return this.found !== this.state && this.idOf(this.found as State) !== this.stateId;
  }

  private findRead(barrier: number): number {
    for (let at = this.next[head] as number; at < barrier; at = this.next[at] as number) {
      const operation = this.callOf[at] as number;
      if (this.isRead[operation] && this.fits(operation)) return operation;
    }
    return none;
  }

  /** The first operation that may be next, of those that stand after `after` in the order of trying. */
  private findNext(after: number, barrier: number): number {
    const isInList = after < this.completedCount;
    if (isInList) {
      let at = this.next[after === none ? head : (this.callAt[after] as number)] as number;
      for (; at < barrier; at = this.next[at] as number) {
        const operation = this.callOf[at] as number;
        if (this.fits(operation)) return operation;
      }
    }
    for (let at = isInList ? this.completedCount : after + 1; at < this.operations.length; at++) {
      if ((this.callAt[at] as number) > barrier) break;
      const twin = this.twin[at] as number;
      if (this.isUsed[at] || (twin !== none && !this.isUsed[twin])) continue;
      if (this.fits(at) && this.changes()) return at;
    }
    return none;
  }

  /** Takes the operation that was just found to fit; false when nothing can come of it. */
  private linearize(operation: number, isForced: boolean): boolean {
    const { state, stateId, unmet } = this;
    this.stack.push({ operation, state, stateId, unmet, isForced });
    this.state = this.found as State;
    this.stateId = this.idOf(this.state);
    this.unmet = operation < this.completedCount ? undefined : { before: state, beforeId: stateId };
    this.count(operation, -1);
    if (operation < this.completedCount) this.lift(operation);
    else this.setUsed(operation, 1);
    if (stateId !== this.stateId && this.needing[stateId] && !this.leaving[stateId]) return false;
    const size = this.seen.size;
    return this.seen.add(this.configuration()).size > size;
  }

  /** Puts back the last operation there was a choice about, and says which; `none` when there is no other choice. */
  private backtrack(): number {
    this.keepLongest();
    for (let frame = this.stack.pop(); frame !== undefined; frame = this.stack.pop()) {
      const { operation } = frame;
      ({ state: this.state, stateId: this.stateId, unmet: this.unmet } = frame);
      this.count(operation, 1);
      if (operation < this.completedCount) this.putBack(operation);
      else this.setUsed(operation, 0);
      if (!frame.isForced) return operation;
    }
    return none;
  }

  private keepLongest(): void {
    if (this.stack.length > this.longest.length) this.longest = this.order();
  }

  private order(): OperationRecord[] {
    return this.stack.map(({ operation }) => this.operations[operation] as OperationRecord);
  }

  private lift(operation: number): void {
    for (const at of [this.callAt[operation] as number, this.returnAt[operation] as number]) {
      this.next[this.previous[at] as number] = this.next[at] as number;
      this.previous[this.next[at] as number] = this.previous[at] as number;
    }
  }

  private putBack(operation: number): void {
    for (const at of [this.returnAt[operation] as number, this.callAt[operation] as number]) {
      this.next[this.previous[at] as number] = at;
      this.previous[this.next[at] as number] = at;
    }
  }

  private setUsed(operation: number, value: 0 | 1): void {
    this.isUsed[operation] = value;
    const bit = operation - this.completedCount;
    this.usedBits[bit >> 4] = (this.usedBits[bit >> 4] as number) ^ (1 << (bit & 15));
  }

  /**
   * Lowe's pair of linearized set and state, as text. The completed operations that remain are those called before the
   * first return that remains, and all called after it; so the former alone say which.
   */
  private configuration(): string {
    let text = `${this.stateId},${this.unmet?.beforeId ?? ''}:`;
    for (const bits of this.usedBits) text += String.fromCharCode(bits);
    for (let at = this.next[head] as number; at !== this.end; at = this.next[at] as number) {
      const operation = this.callOf[at] as number;
      if (operation === none) break;
      text += String.fromCharCode(operation >>> 16, operation & 0xffff);
    }
    return text;
  }
}
