/**
 * What a shard has applied since its state was last written to the engine: it goes there as a whole, with the position it leads to,
 * so that the engine always has the state of a shard as it was after one entry of the log.
 */
import type { EngineBatch } from '../engine/index.js';
import type { GatheredValues } from './value-table.js';

/** What a key-value pair costs on its way beside its bytes; rough. */
const mutationOverheadBytes = 64;

export class PendingWrites {
  /** Keys and values that are not of user data, one after another, in order; undefined: the key is deleted. */
  private readonly others: (Buffer | undefined)[] = [];
  private otherBytes = 0;
  /** What the pipeline has counted of these so far. */
  countedBytes = 0;
  countedAdded = 0;
  /** Whoever waits for them to be written. */
  readonly actions: (() => void)[] = [];

  constructor(
    /** User data. */
    readonly values: GatheredValues,
    readonly beganMs: number,
  ) {}

  get bytes(): number {
    return this.values.bytes + this.otherBytes;
  }

  put(key: Buffer, value: Buffer): void {
    this.others.push(key, value);
    this.otherBytes += key.length + value.length + mutationOverheadBytes;
  }

  delete(key: Buffer): void {
    this.others.push(key, undefined);
    this.otherBytes += key.length + mutationOverheadBytes;
  }

  /** All but the user data. */
  writeTo(batch: EngineBatch): void {
    const { others } = this;
    for (let at = 0; at < others.length; at += 2) {
      const value = others[at + 1];
      if (value === undefined) batch.delete(others[at] as Buffer);
      else batch.put(others[at] as Buffer, value);
    }
  }
}
