/**
 * Scans in key order: the ordered index of the bucket, merged with the keys that it does not show yet.
 *
 * Invariant: the iterator and the added keys are taken at one instant, so no key that was there throughout is missed. Values
 * are read afterwards, from memory first, and may be newer; a key that is deleted by then is left out.
 */
import { type BucketId, emptyBytes, mapKey } from '../base/index.js';
import type { Engine, EngineIterator } from '../engine/index.js';
import { ringHash } from '../ring/index.js';
import type { ScanPair } from '../wire/index.js';
import { AddedCursor, type AddedKeys } from './added-keys.js';
import { dataKey, indexRange, isLive, type StoredValue, userKeyOfIndexKey, valueIn } from './keys.js';
import type { Reader } from './reader.js';

export type ScanQuery = {
  readonly gte: Buffer;
  /** Exclusive; undefined: to the end of the bucket. */
  readonly lt: Buffer | undefined;
  readonly reverse: boolean;
  readonly keysOnly: boolean;
  readonly limit: number;
  readonly maxBytes: number;
  /** Which keys are wanted at all. */
  readonly accept: (key: Buffer) => boolean;
  /** Which part of the keys in the interval that are, above 0, at most 1; a guess. */
  readonly share: number;
  readonly nowMs: number;
};

export type ScanPageResult = {
  readonly pairs: readonly ScanPair[];
  /** There may be more after `resumeAfter`. */
  readonly more: boolean;
  readonly resumeAfter: Buffer;
};

type Callback = (error: Error | undefined, page: ScanPageResult) => void;

/** Keys of the index looked at together: some are of shards that are not asked for. */
const mostPageKeys = 256;
const leastPageKeys = 16;
/** Of a key of the index, by and large. */
const usualKeyBytes = 32;
const pairOverheadBytes = 32;

/** Merges a page of index keys with keys that the index does not show yet, up to the page's last key (or to the end). */
function merge(page: readonly Buffer[], added: AddedCursor, isLast: boolean): Buffer[] {
  const merged: Buffer[] = [];
  let next = added.peek();
  const skip = (key: string): void => {
    added.skip(key);
    next = added.peek();
  };
  const take = (key: string): void => {
    merged.push(Buffer.from(key, 'latin1'));
    skip(key);
  };
  for (const bytes of page) {
    if (next !== undefined) {
      const key = mapKey(bytes);
      while (next !== undefined && added.precedes(next, key)) take(next);
      if (next === key) skip(key);
    }
    merged.push(bytes);
  }
  if (isLast) while (next !== undefined) take(next);
  return merged;
}

export function scan(
  engine: Engine,
  addedKeys: readonly AddedKeys[],
  reader: Reader,
  bucketId: BucketId,
  query: ScanQuery,
  callback: Callback,
): void {
  const { gte, lt, reverse } = query;
  if (lt !== undefined && Buffer.compare(gte, lt) >= 0) {
    callback(undefined, { pairs: [], more: false, resumeAfter: emptyBytes });
    return;
  }
  const sources = addedKeys.map((keys) => keys.sorted(bucketId));
  const added = new AddedCursor(sources, mapKey(gte), lt === undefined ? undefined : mapKey(lt), reverse);
  // One more says whether there are more.
  const wantedKeys = Math.ceil((query.limit + 1) / query.share);
  const pageKeys = Math.min(mostPageKeys, Math.max(leastPageKeys, wantedKeys));
  const readAheadBytes = pageKeys * usualKeyBytes;
  const iterator = engine.iterate({ ...indexRange(bucketId, gte, lt), reverse, keysOnly: true, readAheadBytes });
  new Scan(iterator, pageKeys, added, reader, bucketId, query, callback).step();
}

class Scan {
  private readonly pairs: ScanPair[] = [];
  private bytes = 0;

  constructor(
    private readonly iterator: EngineIterator,
    private readonly pageKeys: number,
    private readonly added: AddedCursor,
    private readonly reader: Reader,
    private readonly bucketId: BucketId,
    private readonly query: ScanQuery,
    private readonly callback: Callback,
  ) {}

  step(): void {
    this.iterator.next(this.pageKeys, (error, page) => {
      if (error !== undefined) {
        this.end(error, false);
        return;
      }
      const isLast = page.length === 0;
      const keys = merge(
        page.map(([key]) => userKeyOfIndexKey(key)),
        this.added,
        isLast,
      ).filter(this.query.accept);
      this.collect(keys, isLast);
    });
  }

  /** Reads no more values than the page has room for, and one that says whether there is more. */
  private collect(keys: readonly Buffer[], isLast: boolean): void {
    if (keys.length === 0) {
      if (isLast) this.end(undefined, false);
      else this.step();
      return;
    }
    const room = this.query.limit - this.pairs.length + 1;
    const wanted = keys.slice(0, room);
    const dataKeys = wanted.map((key) => dataKey(this.bucketId, ringHash(key), key));
    this.reader.fetch(dataKeys, (error, stored) => {
      if (error !== undefined) this.end(error, false);
      else if (this.add(wanted, stored)) this.collect(keys.slice(room), isLast);
      else this.end(undefined, true);
    });
  }

  /** False: the page is full, and there may be more. */
  private add(keys: readonly Buffer[], stored: readonly (StoredValue | undefined)[]): boolean {
    const { keysOnly, limit, maxBytes, nowMs } = this.query;
    for (const [at, key] of keys.entries()) {
      const value = stored[at];
      if (value === undefined || !isLive(value, nowMs)) continue;
      const shown = keysOnly ? emptyBytes : valueIn(value);
      const bytes = key.length + shown.length + pairOverheadBytes;
      const isFull = this.pairs.length >= limit || this.bytes + bytes > maxBytes;
      if (isFull && this.pairs.length > 0) return false;
      this.pairs.push({ key, value: shown, revision: value.revision });
      this.bytes += bytes;
    }
    return true;
  }

  private end(error: Error | undefined, more: boolean): void {
    this.iterator.close();
    const resumeAfter = more ? (this.pairs[this.pairs.length - 1]?.key ?? emptyBytes) : emptyBytes;
    this.callback(error, { pairs: this.pairs, more, resumeAfter });
  }
}
