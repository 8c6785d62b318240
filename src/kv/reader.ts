/**
 * Reads of single keys: from memory (`ValueTable`), and what that does not know from the engine.
 *
 * Invariant: a value read from the engine enters memory only if no mutation of its key, and no replacement of its arc, came in
 * between.
 */
import { type BucketId, mapKey } from '../base/index.js';
import type { Engine } from '../engine/index.js';
import { ringHash } from '../ring/index.js';
import { dataKey, dataName, decodeValue, isLive, type Known, type StoredValue, valueIn } from './keys.js';
import type { ReadKey, ReadValue } from './types.js';
import type { ValueTable } from './value-table.js';

/** Data that are replaced as a whole. */
export type Replacement = {
  /** The engine holds the key no more, or soon. */
  forget(dataKey: Buffer): void;
  end(): void;
};

export class Reader {
  /** Keys being read from the engine; false once a mutation came in between. */
  private readonly filling = new Map<string, { valid: boolean; readers: number }>();
  /** Arcs whose data are being replaced. */
  private readonly replacing = new Set<(name: string) => boolean>();
  readonly statistics = { hits: 0, misses: 0 };

  constructor(
    private readonly engine: Engine,
    private readonly values: ValueTable,
  ) {}

  /** The state machine mutated this key. */
  noteMutation(bucketId: BucketId, key: Buffer): void {
    if (this.filling.size === 0) return;
    const filling = this.filling.get(dataName(bucketId, ringHash(key), key));
    if (filling !== undefined) filling.valid = false;
  }

  /**
   * The data of an arc are going to be replaced, key by key: to look for them in memory would keep everything else
   * waiting. What is read of the arc before the end does not enter it.
   */
  beginReplacing(isOnArc: (name: string) => boolean): Replacement {
    this.replacing.add(isOnArc);
    for (const [name, filling] of this.filling) if (isOnArc(name)) filling.valid = false;
    return {
      forget: (dataKey) => this.values.forget(dataKey),
      end: () => this.replacing.delete(isOnArc),
    };
  }

  /** What memory knows, for whoever is going to mutate the key: to look is no use of it. */
  peek(bucketId: BucketId, key: Buffer): Known {
    return this.known(this.values.find(bucketId, key));
  }

  private known(reference: number): Known {
    if (reference === 0) return undefined;
    return this.values.isDeleted(reference) ? null : this.values.stored(reference);
  }

  /** What memory knows, for a reader: the key stays longer. */
  private use(key: Buffer): Known {
    const reference = this.values.findDataKey(key);
    if (reference !== 0) this.values.use(reference);
    return this.known(reference);
  }

  /** Served from memory, or undefined. */
  getNow({ bucketId, key }: ReadKey, nowMs: number): { readonly value: ReadValue } | undefined {
    const { values } = this;
    const reference = values.find(bucketId, key);
    if (reference === 0) {
      this.statistics.misses++;
      return undefined;
    }
    this.statistics.hits++;
    values.use(reference);
    if (values.isDeleted(reference)) return { value: undefined };
    const expiresAtMs = values.expiresAtMs(reference);
    if (expiresAtMs > 0 && expiresAtMs <= nowMs) return { value: undefined };
    return { value: { value: values.value(reference), revision: values.revision(reference), expiresAtMs } };
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
    const results = dataKeys.map((key) => this.use(key));
    const missing: number[] = [];
    results.forEach((known, at) => {
      if (known === undefined) missing.push(at);
    });
    const missed = missing.map((at) => dataKeys[at] as Buffer);
    for (const key of missed) this.beginFill(key);
    this.engine.getMany(missed, (error, values) => {
      const stored = results.map((known) => known ?? undefined);
      missing.forEach((at, position) => {
        const encoded = error === undefined ? values[position] : undefined;
        this.endFill(missed[position] as Buffer, encoded);
        stored[at] = encoded === undefined ? undefined : decodeValue(encoded);
      });
      callback(error, stored);
    });
  }

  private beginFill(key: Buffer): void {
    const name = mapKey(key);
    const filling = this.filling.get(name);
    if (filling === undefined) this.filling.set(name, { valid: !this.isBeingReplaced(name), readers: 1 });
    else filling.readers++;
  }

  private isBeingReplaced(name: string): boolean {
    for (const isOnArc of this.replacing) if (isOnArc(name)) return true;
    return false;
  }

  private endFill(key: Buffer, encoded: Buffer | undefined): void {
    const name = mapKey(key);
    const filling = this.filling.get(name);
    if (filling === undefined) return;
    if (filling.valid && encoded !== undefined) this.values.fill(key, encoded);
    if (--filling.readers === 0) this.filling.delete(name);
  }
}

const visible = (stored: Known, nowMs: number): ReadValue =>
  stored && isLive(stored, nowMs)
    ? { value: valueIn(stored), revision: stored.revision, expiresAtMs: stored.expiresAtMs }
    : undefined;
