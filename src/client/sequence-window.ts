/**
 * The sequence numbers of one client's writes.
 *
 * Invariants:
 * 1. Sequences start at 1, and none is given out twice.
 * 2. `ackedBelow` is the lowest sequence not yet settled (or the next one, when all are): it never falls, and no
 *    sequence below it is ever sent again. Nodes forget their answers below it and refuse such writes for good.
 */
import { assert } from '../base/index.js';

export class SequenceWindow {
  private nextSequence = 1;
  private lowest = 1;
  /** Settled sequences above `lowest`. */
  private readonly settledAbove = new Set<number>();

  get ackedBelow(): number {
    return this.lowest;
  }

  /** From the lowest unsettled sequence to the newest: what a node has to remember answers for. */
  get span(): number {
    return this.nextSequence - this.lowest;
  }

  take(): number {
    return this.nextSequence++;
  }

  /** The write was answered, or given up for ever. */
  settle(sequence: number): void {
    assert(sequence >= this.lowest && sequence < this.nextSequence, 'only a sequence in the window can settle');
    if (sequence !== this.lowest) {
      this.settledAbove.add(sequence);
      return;
    }
    this.lowest++;
    while (this.settledAbove.size > 0 && this.settledAbove.delete(this.lowest)) this.lowest++;
  }
}
