/**
 * The ordered key-value port under the state machine: what Ringraft needs of an LSM tree and no more.
 *
 * Contract (tests/conformance/engine.ts runs it against every adapter):
 * 1. Keys order as unsigned bytes. `put` and `delete` copy what they are given: it may be changed as soon as they return.
 *    Empty values are allowed; empty keys are not.
 * 2. A batch is atomic: after a crash all of it is there or none.
 * 3. With `sync` the batch and every batch before it are durable when the callback runs. Without, they survive the
 *    death of the process, not of the machine.
 * 4. Batches written one after another become visible in that order.
 * 5. An iterator sees the state at its creation (creation is synchronous), whatever is written later.
 * 6. Callbacks run on a later turn, never before the call returns.
 */
export type EngineCallback<T> = (error: Error | undefined, result: T) => void;

export type EngineBatch = {
  put(key: Buffer, value: Buffer): void;
  delete(key: Buffer): void;
  /** How many puts and deletes it holds. */
  readonly size: number;
  /** Writes it; the batch must not be used afterwards. */
  write(sync: boolean, callback: (error: Error | undefined) => void): void;
};

export type EngineRange = {
  readonly gte: Buffer;
  /** Exclusive end. */
  readonly lt: Buffer;
  readonly reverse?: boolean;
  /** Only keys: values come back empty. */
  readonly keysOnly?: boolean;
  /** About how many bytes are worth reading ahead; a hint. */
  readonly readAheadBytes?: number;
};

export type EnginePair = readonly [key: Buffer, value: Buffer];

export type EngineIterator = {
  /** The next pairs, at most `count`, at least one unless the range is exhausted (then an empty array). */
  next(count: number, callback: EngineCallback<readonly EnginePair[]>): void;
  close(callback?: () => void): void;
};

export type Engine = {
  readonly name: string;
  open(): Promise<void>;
  /** Lets everything in flight finish, then closes. */
  close(): Promise<void>;
  /** Values in the keys' order, undefined where there is none. */
  getMany(keys: readonly Buffer[], callback: EngineCallback<readonly (Buffer | undefined)[]>): void;
  batch(): EngineBatch;
  iterate(range: EngineRange): EngineIterator;
  /** Asks for the space of a range to be given back soon; a hint. */
  compactRange(gte: Buffer, lt: Buffer): Promise<void>;
  /** Rough bytes on disk of a range; undefined where the engine cannot tell. */
  approximateBytes(gte: Buffer, lt: Buffer): Promise<number | undefined>;
};
