/**
 * Reads of single keys: the overlay, then a byte-bounded cache, then the engine.
 *
 * Invariant: the cache never serves what a mutation has replaced. Mutations update it as they are applied; a value read
 * from the engine enters it only if no mutation of its key came in between.
 */
import { LRUCache } from 'lru-cache';
import { mapKey } from '../base/index.js';
import type { Engine } from '../engine/index.js';
import { ringHash } from '../ring/index.js';
import { dataKey, decodeValue, isLive, type StoredValue } from './keys.js';
import type { ReadKey, ReadValue } from './types.js';
import type { WritePipeline } from './write-pipeline.js';

const entryOverheadBytes = 200;

export class Reader {
  private readonly cache: LRUCache<string, StoredValue>;
  /** Keys being read from the engine; false once a mutation came in between. */
  private readonly filling = new Map<string, { valid: boolean; readers: number }>();
  readonly statistics = { hits: 0, misses: 0 };

  constructor(
    private readonly engine: Engine,
    private readonly pipeline: WritePipeline,
    cacheBytes: number,
  ) {
    this.cache = new LRUCache({
      maxSize: Math.max(1, cacheBytes),
      sizeCalculation: (stored, name) => stored.encoded.length + name.length + entryOverheadBytes,
    });
  }

  get cachedBytes(): number {
    return this.cache.calculatedSize;
  }

  /** The state machine replaced this key's value. */
  noteMutation(name: string, stored: StoredValue | undefined): void {
    const filling = this.filling.get(name);
    if (filling !== undefined) filling.valid = false;
    if (stored === undefined) this.cache.delete(name);
    else this.cache.set(name, stored);
  }

  /** Forgets the keys on this arc: their data were replaced as a whole. */
  forget(isOnArc: (name: string) => boolean): void {
    for (const name of [...this.cache.keys()]) if (isOnArc(name)) this.cache.delete(name);
    for (const [name, filling] of this.filling) if (isOnArc(name)) filling.valid = false;
  }

  /** What memory knows: undefined when only the engine can tell. */
  peek(name: string): { readonly stored: StoredValue | undefined } | undefined {
    const overlaid = this.pipeline.overlay.get(name);
    if (overlaid !== undefined) return overlaid;
    const stored = this.cache.get(name);
    return stored === undefined ? undefined : { stored };
  }

  /** Served from memory, or undefined. */
  getNow(key: ReadKey, nowMs: number): { readonly value: ReadValue } | undefined {
    const known = this.peek(mapKey(dataKey(key.bucketId, ringHash(key.key), key.key)));
    if (known === undefined) {
      this.statistics.misses++;
      return undefined;
    }
    this.statistics.hits++;
    return { value: visible(known.stored, nowMs) };
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
    const results = names.map((name) => this.peek(name));
    const missing: number[] = [];
    results.forEach((known, at) => {
      if (known === undefined) missing.push(at);
    });
    for (const at of missing) this.beginFill(names[at] as string);
    this.engine.getMany(
      missing.map((at) => dataKeys[at] as Buffer),
      (error, values) => {
        const stored = results.map((known) => known?.stored);
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
    if (filling === undefined) this.filling.set(name, { valid: true, readers: 1 });
    else filling.readers++;
  }

  private endFill(name: string, stored: StoredValue | undefined): void {
    const filling = this.filling.get(name);
    if (filling === undefined) return;
    if (filling.valid && stored !== undefined) this.cache.set(name, stored);
    if (--filling.readers === 0) this.filling.delete(name);
  }
}

const visible = (stored: StoredValue | undefined, nowMs: number): ReadValue =>
  stored !== undefined && isLive(stored, nowMs) ? { value: stored.value, revision: stored.revision } : undefined;
