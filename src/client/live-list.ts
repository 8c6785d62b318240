/**
 * What is in flight. Each item knows its slot, so that it is taken out in one step: the last one moves there. No `Set`, for the
 * reason that `NumberedTable` is no `Map`.
 */
export type Listed = {
  /** Where it is in its list; below 0: in none. */
  slot: number;
};

export class LiveList<Item extends Listed> {
  private readonly items: Item[] = [];

  get size(): number {
    return this.items.length;
  }

  /** Not to be changed while they are gone through. */
  get all(): readonly Item[] {
    return this.items;
  }

  add(item: Item): void {
    item.slot = this.items.push(item) - 1;
  }

  has(item: Item): boolean {
    return item.slot >= 0;
  }

  /** Requires that it is in the list. */
  remove(item: Item): void {
    const last = this.items.pop() as Item;
    if (last !== item) {
      this.items[item.slot] = last;
      last.slot = item.slot;
    }
    item.slot = -1;
  }

  /** The action may take out the item it is given: backwards, so that what moves into its slot has had its turn. */
  forEach(action: (item: Item) => void): void {
    for (let at = this.items.length - 1; at >= 0; at--) action(this.items[at] as Item);
  }
}
