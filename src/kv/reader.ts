/**
 * Reads of single keys: a byte-bounded cache, then the overlay, then the engine.
 *
 * Buckets may have a part of the cache that is their own; what is said of the cache below is said of all its parts.
 *
 * Invariants:
 * 1. The cache never serves what a mutation has replaced: where it has a key it has the newest value, so it may be asked
 *    before the overlay. Mutations update it as they are applied, a deleted key leaves it, and a value read from the engine
 *    enters it only if no mutation of its key, and no replacement of its arc, came in between.
 * 2. What left the cache is in the overlay as long as the engine does not show it (invariant 2 of the write pipeline).
 */
import { LRUCache } from 'lru-cache';
import { type BucketId, mapKey } from '../base/index.js';
import type { Engine } from '../engine/index.js';
import { ringHash } from '../ring/index.js';
import { bucketOfName, dataKey, dataName, decodeValue, isLive, type Known, type StoredValue, valueIn } from './keys.js';
import { type PackedValue, pack, packedBytes, unpack } from './packed-value.js';
import type { ReadKey, ReadValue } from './types.js';
import type { WritePipeline } from './write-pipeline.js';

const entryOverheadBytes = 200;
/** Of the cache, for all buckets together that have a part of their own. */
const mostOwnShare = 0.9;

const sizeOf = (bytes: number): number => Math.max(1, Math.floor(bytes));

const newCache = (bytes: number): LRUCache<string, PackedValue> =>
  new LRUCache({
    maxSize: sizeOf(bytes),
    sizeCalculation: (packed, name) => packedBytes(packed) + name.length + entryOverheadBytes,
  });

/** Data that are replaced as a whole. */
export type Replacement = {
  /** The engine holds the key no more, or soon. */
  forget(dataKey: Buffer): void;
  end(): void;
};

export class Reader {
  private common: LRUCache<string, PackedValue>;
  private readonly own = new Map<BucketId, LRUCache<string, PackedValue>>();
  /** Keys being read from the engine; false once a mutation came in between. */
  private readonly filling = new Map<string, { valid: boolean; readers: number }>();
  /** Arcs whose data are being replaced. */
  private readonly replacing = new Set<(name: string) => boolean>();
  readonly statistics = { hits: 0, misses: 0 };

  constructor(
    private readonly engine: Engine,
    private readonly pipeline: WritePipeline,
    private readonly cacheBytes: number,
  ) {
    this.common = newCache(cacheBytes);
  }

  /**
   * The fraction of the cache that is each bucket's own; the others share the rest, a tenth of the whole at least. A part
   * whose size changes begins empty: what it held is read again when it is wanted.
   */
  useShares(shares: ReadonlyMap<BucketId, number>): void {
    const wanted = [...shares.values()].reduce((sum, share) => sum + share, 0);
    const scale = wanted > mostOwnShare ? mostOwnShare / wanted : 1;
    const isSame = this.own.size === shares.size && [...shares.keys()].every((id) => this.own.has(id));
    for (const id of [...this.own.keys()]) if (!shares.has(id)) this.own.delete(id);
    let left = this.cacheBytes;
    for (const [id, share] of shares) {
      const bytes = sizeOf(this.cacheBytes * share * scale);
      left -= bytes;
      if (this.own.get(id)?.maxSize !== bytes) this.own.set(id, newCache(bytes));
    }
    // It may hold what belongs elsewhere from now on, and would not hear of its mutations.
    if (!isSame || this.common.maxSize !== sizeOf(left)) this.common = newCache(left);
  }

  private cacheOf(name: string): LRUCache<string, PackedValue> {
    if (this.own.size === 0) return this.common;
    return this.own.get(bucketOfName(name)) ?? this.common;
  }

  get cachedBytes(): number {
    let bytes = this.common.calculatedSize;
    for (const cache of this.own.values()) bytes += cache.calculatedSize;
    return bytes;
  }

  /** The state machine replaced this key's value; null: it deleted it. */
  noteMutation(name: string, stored: StoredValue | null): void {
    const filling = this.filling.size > 0 ? this.filling.get(name) : undefined;
    if (filling !== undefined) filling.valid = false;
    const cache = this.cacheOf(name);
    if (stored === null) cache.delete(name);
    else cache.set(name, pack(stored));
  }

  /**
   * The data of an arc are going to be replaced, key by key: to look for them in the cache would keep everything else
   * waiting. What is read of the arc before the end does not enter the cache.
   */
  beginReplacing(isOnArc: (name: string) => boolean): Replacement {
    this.replacing.add(isOnArc);
    for (const [name, filling] of this.filling) if (isOnArc(name)) filling.valid = false;
    return {
      forget: (dataKey) => {
        const name = mapKey(dataKey);
        this.cacheOf(name).delete(name);
      },
      end: () => this.replacing.delete(isOnArc),
    };
  }

  /** What memory knows, for whoever is going to mutate the key: to look is no use of it. */
  peek(name: string): Known {
    const packed = this.cacheOf(name).peek(name);
    return packed === undefined ? this.pipeline.lookUp(name) : unpack(packed);
  }

  /** What memory knows, for a reader: the key stays longer in the cache. */
  private use(name: string): Known {
    const packed = this.cacheOf(name).get(name);
    return packed === undefined ? this.pipeline.lookUp(name) : unpack(packed);
  }

  /** Served from memory, or undefined. */
  getNow(key: ReadKey, nowMs: number): { readonly value: ReadValue } | undefined {
    const known = this.use(dataName(key.bucketId, ringHash(key.key), key.key));
    if (known === undefined) {
      this.statistics.misses++;
      return undefined;
    }
    this.statistics.hits++;
    return { value: visible(known, nowMs) };
  }

  /** Values in the keys' order; those memory does not know in one look-up of the engine. */
  getMany(
    keys: readonly ReadKey[],
    nowMs: number,
    callback: (error: Error | undefined, values: readonly ReadValue[]) => void,
  ): void {
    const dataKeys = keys.map(({ bucketId, key }) => dataKey(bucketId, ringHash(key), key));
    this.fetch(dataKeys, (error, found) => {
      callback(
        error,
        found.map((stored) => visible(stored, nowMs)),
      );
    });
  }

  /** Stored values by data key, expired ones too. */
  fetch(
    dataKeys: readonly Buffer[],
    callback: (error: Error | undefined, stored: readonly (StoredValue | undefined)[]) => void,
  ): void {
    const names = dataKeys.map(mapKey);
    const results = names.map((name) => this.use(name));
    const missing: number[] = [];
    results.forEach((known, at) => {
      if (known === undefined) missing.push(at);
    });
    for (const at of missing) this.beginFill(names[at] as string);
    this.engine.getMany(
      missing.map((at) => dataKeys[at] as Buffer),
      (error, values) => {
        const stored = results.map((known) => known ?? undefined);
        missing.forEach((at, position) => {
          const encoded = error === undefined ? values[position] : undefined;
          const value = encoded === undefined ? undefined : decodeValue(encoded);
          this.endFill(names[at] as string, value);
          stored[at] = value;
        });
        callback(error, stored);
      },
    );
  }

  private beginFill(name: string): void {
    const filling = this.filling.get(name);
    if (filling === undefined) this.filling.set(name, { valid: !this.isBeingReplaced(name), readers: 1 });
    else filling.readers++;
  }

  private isBeingReplaced(name: string): boolean {
    for (const isOnArc of this.replacing) if (isOnArc(name)) return true;
    return false;
  }

  private endFill(name: string, stored: StoredValue | undefined): void {
    const filling = this.filling.get(name);
    if (filling === undefined) return;
    if (filling.valid && stored !== undefined) this.cacheOf(name).set(name, pack(stored));
    if (--filling.readers === 0) this.filling.delete(name);
  }
}

const visible = (stored: Known, nowMs: number): ReadValue =>
  stored && isLive(stored, nowMs)
    ? { value: valueIn(stored), revision: stored.revision, expiresAtMs: stored.expiresAtMs }
    : undefined;
