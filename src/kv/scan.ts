/**
 * Scans in key order: the ordered index of the bucket, the overlay merged over it.
 *
 * Invariant: the iterator and the overlay are taken at one instant, so no key that was there throughout is missed. Values
 * are read afterwards and may be newer; a key deleted meanwhile is left out.
 */
import { type BucketId, emptyBytes, mapKey } from '../base/index.js';
import type { Engine, EngineIterator } from '../engine/index.js';
import { ringHash } from '../ring/index.js';
import type { ScanPair } from '../wire/index.js';
import {
  bucketOfName,
  dataKey,
  indexRange,
  isLive,
  type StoredValue,
  userKeyOfIndexKey,
  userKeyOfName,
  valueIn,
} from './keys.js';
import type { Reader } from './reader.js';
import type { Overlay } from './write-pipeline.js';

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
type Overlaid = { readonly key: Buffer; readonly present: boolean };

/** Keys of the index looked at together: some are of shards that are not asked for. */
const mostPageKeys = 256;
const leastPageKeys = 16;
/** Of a key of the index, by and large. */
const usualKeyBytes = 32;
const pairOverheadBytes = 32;

/** The keys of the overlay that the query asks for, each once, as its newest generation has it. */
function overlaidKeys([gathering, underWrite]: Overlay, bucketId: BucketId, query: ScanQuery): Overlaid[] {
  const first = mapKey(query.gte);
  const end = query.lt === undefined ? undefined : mapKey(query.lt);
  const found: Overlaid[] = [];
  const collect = (name: string, present: boolean): void => {
    const key = userKeyOfName(name);
    if (key >= first && (end === undefined || key < end)) found.push({ key: Buffer.from(key, 'latin1'), present });
  };
  for (const [name, stored] of gathering) if (bucketOfName(name) === bucketId) collect(name, stored !== null);
  for (const [name, stored] of underWrite) {
    if (bucketOfName(name) === bucketId && !gathering.has(name)) collect(name, stored !== null);
  }
  return found.sort((a, b) => (query.reverse ? Buffer.compare(b.key, a.key) : Buffer.compare(a.key, b.key)));
}

/** Merges a page of index keys with the overlay, up to the page's last key (or to the end). */
function merge(page: readonly Buffer[], overlaid: Overlaid[], isLast: boolean, reverse: boolean): Buffer[] {
  const order = (a: Buffer, b: Buffer): number => (reverse ? Buffer.compare(b, a) : Buffer.compare(a, b));
  const merged: Buffer[] = [];
  const takeOverlaid = (): void => {
    const next = overlaid.shift();
    if (next?.present) merged.push(next.key);
  };
  for (const key of page) {
    while (overlaid[0] !== undefined && order(overlaid[0].key, key) < 0) takeOverlaid();
    if (overlaid[0]?.key.equals(key)) takeOverlaid();
    else merged.push(key);
  }
  if (isLast) while (overlaid.length > 0) takeOverlaid();
  return merged;
}

export function scan(
  engine: Engine,
  overlay: Overlay,
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
  const overlaid = overlaidKeys(overlay, bucketId, query);
  // One more says whether there are more.
  const wantedKeys = Math.ceil((query.limit + 1) / query.share);
  const pageKeys = Math.min(mostPageKeys, Math.max(leastPageKeys, wantedKeys));
  const readAheadBytes = pageKeys * usualKeyBytes;
  const iterator = engine.iterate({ ...indexRange(bucketId, gte, lt), reverse, keysOnly: true, readAheadBytes });
  new Scan(iterator, pageKeys, overlaid, reader, bucketId, query, callback).step();
}

class Scan {
  private readonly pairs: ScanPair[] = [];
  private bytes = 0;

  constructor(
    private readonly iterator: EngineIterator,
    private readonly pageKeys: number,
    private readonly overlaid: Overlaid[],
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
        this.overlaid,
        isLast,
        this.query.reverse,
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
