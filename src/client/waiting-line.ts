/**
 * Operations beyond the window, first come first served. A batch of many keys stands in line as one item and becomes
 * operations only as it is admitted, so that a million keys are not a million objects.
 */
import type { PendingOperation } from './pending-operation.js';

type Lazy = { readonly count: number; next: number; readonly make: (at: number) => PendingOperation | undefined };
type Item = { readonly pending: PendingOperation } | Lazy;

/** Consumed items at the front beyond which the array is cut. */
const compactAt = 1024;

export class WaitingLine {
  private items: Item[] = [];
  private head = 0;
  /** The first operation of a lazy item at the head, made and not yet taken. */
  private made: PendingOperation | undefined;

  /** Items in line; a batch counts as one. */
  get length(): number {
    return this.items.length - this.head;
  }

  push(pending: PendingOperation): void {
    this.items.push({ pending });
  }

  /** `make(at)` is called once for each position below `count`, in order; undefined means: not needed after all. */
  pushLazily(count: number, make: (at: number) => PendingOperation | undefined): void {
    if (count > 0) this.items.push({ count, next: 0, make });
  }

  peek(): PendingOperation | undefined {
    while (this.head < this.items.length) {
      const item = this.items[this.head] as Item;
      if ('pending' in item) return item.pending;
      while (this.made === undefined && item.next < item.count) this.made = item.make(item.next++);
      if (this.made !== undefined) return this.made;
      this.drop();
    }
    return undefined;
  }

  /** Takes what `peek` showed. */
  shift(): void {
    if (this.made !== undefined) this.made = undefined;
    else this.drop();
  }

  private drop(): void {
    this.head++;
    if (this.head < compactAt || this.head * 2 < this.items.length) return;
    this.items = this.items.slice(this.head);
    this.head = 0;
  }

  /** Takes out whatever is past its deadline. What a batch has not made yet has none, except at infinity. */
  expire(nowMs: number, onExpired: (pending: PendingOperation) => void): void {
    if (this.length === 0) return;
    const isEnd = nowMs === Number.POSITIVE_INFINITY;
    const expired: PendingOperation[] = [];
    if (this.made !== undefined && nowMs >= this.made.deadlineMs) {
      expired.push(this.made);
      this.made = undefined;
    }
    const isExpired = (item: Item): boolean => 'pending' in item && nowMs >= item.pending.deadlineMs;
    const line = this.items.slice(this.head);
    for (const item of line) {
      if ('pending' in item) {
        if (isExpired(item)) expired.push(item.pending);
      } else if (isEnd) {
        while (item.next < item.count) {
          const pending = item.make(item.next++);
          if (pending !== undefined) expired.push(pending);
        }
      }
    }
    this.items = isEnd ? [] : line.filter((item) => !isExpired(item));
    this.head = 0;
    for (const pending of expired) onExpired(pending);
  }
}
