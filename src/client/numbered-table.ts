/**
 * Items that wait under a number each, handed out in turn: one message asks under it, another answers.
 *
 * No `Map`: under churn it moves to a new table again and again, each old one holds the next and what was in it then, and once one of
 * them is in the old part of V8's heap everything after it survives until that is collected. A client with 256 in flight spent a
 * third of its time on that.
 *
 * Invariants:
 * 1. An item with number n is in slot n modulo the number of slots; a number whose slot is taken is not handed out.
 * 2. At least half of the slots are free, so a number is found in few steps.
 */
import { assert } from '../base/index.js';

const leastSlots = 64;
const mostSlots = 2 ** 31;

export class NumberedTable<Item> {
  private items: (Item | undefined)[] = new Array(leastSlots).fill(undefined);
  private numbers = new Uint32Array(leastSlots);
  private count = 0;
  private last = 0;

  get size(): number {
    return this.count;
  }

  /** Returns the item's number: of 32 bits, not 0, and of no other item that is here. */
  add(item: Item): number {
    if (this.count * 2 >= this.items.length) this.grow();
    let slot: number;
    do {
      this.last = (this.last + 1) >>> 0;
      slot = this.slotOf(this.last);
    } while (this.last === 0 || this.items[slot] !== undefined);
    this.items[slot] = item;
    this.numbers[slot] = this.last;
    this.count++;
    return this.last;
  }

  get(number: number): Item | undefined {
    const slot = this.slotOf(number);
    return this.numbers[slot] === number ? this.items[slot] : undefined;
  }

  delete(number: number): void {
    const slot = this.slotOf(number);
    if (this.numbers[slot] !== number || this.items[slot] === undefined) return;
    this.items[slot] = undefined;
    this.count--;
  }

  deleteWhere(isDone: (item: Item) => boolean): void {
    for (let slot = 0; slot < this.items.length; slot++) {
      const item = this.items[slot];
      if (item === undefined || !isDone(item)) continue;
      this.items[slot] = undefined;
      this.count--;
    }
  }

  private slotOf(number: number): number {
    return number & (this.items.length - 1);
  }

  private grow(): void {
    const { items, numbers } = this;
    const slots = items.length * 2;
    assert(slots <= mostSlots, 'there are fewer items than numbers');
    this.items = new Array(slots).fill(undefined);
    this.numbers = new Uint32Array(slots);
    for (let at = 0; at < items.length; at++) {
      const item = items[at];
      if (item === undefined) continue;
      const number = numbers[at] as number;
      const slot = this.slotOf(number);
      this.items[slot] = item;
      this.numbers[slot] = number;
    }
  }
}
