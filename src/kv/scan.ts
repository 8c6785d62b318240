/**
 * Scans in key order: the ordered index of the bucket, the overlay merged over it.
 *
 * Invariant: the iterator and the overlay are taken at one instant, so no key that was there throughout is missed. Values
 * are read afterwards and may be newer; a key deleted meanwhile is left out.
 */
import type { BucketId } from '../base/index.js';
import type { Engine, EngineIterator } from '../engine/index.js';
import { ringHash } from '../ring/index.js';
import type { ScanPair } from '../wire/index.js';
import { dataKey, indexRange, isLive, userKeyOfIndexKey } from './keys.js';
import type { Reader } from './reader.js';
import type { OverlayEntry } from './write-pipeline.js';

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

const indexPageKeys = 256;
const pairOverheadBytes = 32;
const nothing = Buffer.alloc(0);

function overlaidKeys(
  overlay: ReadonlyMap<string, OverlayEntry>,
  bucketId: BucketId,
  { gte, lt, reverse }: ScanQuery,
): Overlaid[] {
  const found: Overlaid[] = [];
  for (const entry of overlay.values()) {
    if (entry.bucketId !== bucketId || Buffer.compare(entry.key, gte) < 0) continue;
    if (lt !== undefined && Buffer.compare(entry.key, lt) >= 0) continue;
    found.push({ key: entry.key, present: entry.stored !== undefined });
  }
  return found.sort((a, b) => (reverse ? Buffer.compare(b.key, a.key) : Buffer.compare(a.key, b.key)));
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
  overlay: ReadonlyMap<string, OverlayEntry>,
  reader: Reader,
  bucketId: BucketId,
  query: ScanQuery,
  callback: Callback,
): void {
  const { gte, lt, reverse } = query;
  if (lt !== undefined && Buffer.compare(gte, lt) >= 0) {
    callback(undefined, { pairs: [], more: false, resumeAfter: nothing });
    return;
  }
  const overlaid = overlaidKeys(overlay, bucketId, query);
  const iterator = engine.iterate({ ...indexRange(bucketId, gte, lt), reverse, keysOnly: true });
  new Scan(iterator, overlaid, reader, bucketId, query, callback).step();
}

class Scan {
  private readonly pairs: ScanPair[] = [];
  private bytes = 0;

  constructor(
    private readonly iterator: EngineIterator,
    private readonly overlaid: Overlaid[],
    private readonly reader: Reader,
    private readonly bucketId: BucketId,
    private readonly query: ScanQuery,
    private readonly callback: Callback,
  ) {}

  step(): void {
    this.iterator.next(indexPageKeys, (error, page) => {
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

  private collect(keys: readonly Buffer[], isLast: boolean): void {
    const dataKeys = keys.map((key) => dataKey(this.bucketId, ringHash(key), key));
    this.reader.fetch(dataKeys, (error, stored) => {
      if (error !== undefined) {
        this.end(error, false);
        return;
      }
      for (const [at, key] of keys.entries()) {
        const value = stored[at];
        if (value === undefined || !isLive(value, this.query.nowMs)) continue;
        const bytes = key.length + (this.query.keysOnly ? 0 : value.value.length) + pairOverheadBytes;
        const isFull = this.pairs.length >= this.query.limit || this.bytes + bytes > this.query.maxBytes;
        if (isFull && this.pairs.length > 0) {
          this.end(undefined, true);
          return;
        }
        this.pairs.push({ key, value: this.query.keysOnly ? nothing : value.value, revision: value.revision });
        this.bytes += bytes;
      }
      if (isLast) this.end(undefined, false);
      else this.step();
    });
  }

  private end(error: Error | undefined, more: boolean): void {
    this.iterator.close();
    const resumeAfter = more ? (this.pairs[this.pairs.length - 1]?.key ?? nothing) : nothing;
    this.callback(error, { pairs: this.pairs, more, resumeAfter });
  }
}
