/**
 * Keys whose entry in the ordered index is on its way into the engine, for scans to merge with what its index shows. Of what is
 * on its way these are few: a key that was there before, and one that was deleted, the index shows, and its value tells the rest.
 *
 * Keys are strings of one character a byte, whose order is that of the bytes.
 */
import { type BucketId, lowerBound } from '../base/index.js';

/** Each sorted when it is asked for; most of it is then sorted already, which the engine's sort makes use of. */
export class AddedKeys {
  private readonly buckets = new Map<BucketId, { readonly keys: string[]; isSorted: boolean }>();

  get isEmpty(): boolean {
    return this.buckets.size === 0;
  }

  add(bucketId: BucketId, key: string): void {
    const bucket = this.buckets.get(bucketId);
    if (bucket === undefined) this.buckets.set(bucketId, { keys: [key], isSorted: true });
    else {
      bucket.keys.push(key);
      bucket.isSorted = false;
    }
  }

  /** In order, some of them perhaps more than once. Not to be kept: what is added later comes into the same array. */
  sorted(bucketId: BucketId): readonly string[] {
    const bucket = this.buckets.get(bucketId);
    if (bucket === undefined) return none;
    if (!bucket.isSorted) bucket.keys.sort();
    bucket.isSorted = true;
    return bucket.keys;
  }
}

const none: readonly string[] = [];

/** Where the first key is that is not below `bound`. */
const firstFrom = (keys: readonly string[], bound: string): number => lowerBound(keys, (key) => key < bound);

/** The keys of an interval in several sorted arrays, each once, in order or in reverse. They are taken from a copy. */
export class AddedCursor {
  private readonly lists: readonly string[][];

  /** `end` is exclusive; undefined: to the last one. */
  constructor(
    sources: readonly (readonly string[])[],
    first: string,
    end: string | undefined,
    private readonly reverse: boolean,
  ) {
    this.lists = sources
      .map((keys) => keys.slice(firstFrom(keys, first), end === undefined ? keys.length : firstFrom(keys, end)))
      .filter((keys) => keys.length > 0);
    // The next one is at the end of each.
    if (!reverse) for (const keys of this.lists) keys.reverse();
  }

  /** Whether `one` comes before `other` in the cursor's order. */
  precedes(one: string, other: string): boolean {
    return this.reverse ? one > other : one < other;
  }

  /** The next key; undefined: there is none. */
  peek(): string | undefined {
    let next: string | undefined;
    for (const keys of this.lists) {
      const head = keys[keys.length - 1];
      if (head !== undefined && (next === undefined || this.precedes(head, next))) next = head;
    }
    return next;
  }

  /** Leaves the next key behind, wherever it is. */
  skip(key: string): void {
    for (const keys of this.lists) while (keys[keys.length - 1] === key) keys.pop();
  }
}
