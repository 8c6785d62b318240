/**
 * The engine port in memory: for tests and the simulator, where a crash must lose exactly what a real machine may lose.
 *
 * A sorted array of keys beside a map: inserting moves the tail, which is quick up to some 100,000 keys.
 */
import { lowerBound } from '../base/index.js';
import type { Engine, EngineBatch, EngineCallback, EngineIterator, EnginePair, EngineRange } from './engine.js';

type Mutation = { readonly key: Buffer; readonly value: Buffer | undefined };
type Table = { keys: Buffer[]; readonly values: Map<string, Buffer> };

const text = (key: Buffer): string => key.toString('latin1');

/** The position of the first key not below `key`. */
const placeOf = (keys: readonly Buffer[], key: Buffer): number =>
  lowerBound(keys, (other) => Buffer.compare(other, key) < 0);

function mutate(table: Table, { key, value }: Mutation): void {
  const name = text(key);
  if (value !== undefined) {
    if (!table.values.has(name)) table.keys.splice(placeOf(table.keys, key), 0, key);
    table.values.set(name, value);
  } else if (table.values.delete(name)) {
    table.keys.splice(placeOf(table.keys, key), 1);
  }
}

export type MemoryEngine = Engine & {
  /** The machine stops: batches that no synced one followed are lost, from some point on. `keep` of them survive. */
  crash(keep?: number): void;
  /** Every pair, in order. */
  dump(): readonly EnginePair[];
};

/** `defer` runs callbacks later: `setImmediate`, or a simulator's. */
export function memoryEngine(defer: (action: () => void) => void = setImmediate): MemoryEngine {
  let table: Table = { keys: [], values: new Map() };
  let durable: Table = { keys: [], values: new Map() };
  let unsynced: (readonly Mutation[])[] = [];
  /** Of the process: what one has gathered is gone with it. */
  let life = 0;

  const settle = (batches: readonly (readonly Mutation[])[]): void => {
    for (const batch of batches) for (const mutation of batch) mutate(durable, mutation);
  };

  const batch = (): EngineBatch => {
    const mutations: Mutation[] = [];
    const madeIn = life;
    return {
      put: (key, value) => mutations.push({ key: Buffer.from(key), value: Buffer.from(value) }),
      delete: (key) => mutations.push({ key: Buffer.from(key), value: undefined }),
      get size() {
        return mutations.length;
      },
      write(sync, callback) {
        if (madeIn !== life) return;
        for (const mutation of mutations) mutate(table, mutation);
        unsynced.push(mutations);
        if (sync) {
          settle(unsynced);
          unsynced = [];
        }
        defer(() => callback(undefined));
      },
    };
  };

  const range = ({ gte, lt, reverse, keysOnly }: EngineRange): EnginePair[] => {
    const keys = table.keys.slice(placeOf(table.keys, gte), placeOf(table.keys, lt));
    if (reverse === true) keys.reverse();
    return keys.map((key) => [key, keysOnly === true ? Buffer.alloc(0) : (table.values.get(text(key)) as Buffer)]);
  };

  return {
    name: 'memory',
    open: () => {
      life++;
      return Promise.resolve();
    },
    close: () => Promise.resolve(),
    getMany(keys, callback: EngineCallback<readonly (Buffer | undefined)[]>) {
      const values = keys.map((key) => table.values.get(text(key)));
      defer(() => callback(undefined, values));
    },
    batch,
    iterate(wanted): EngineIterator {
      const pairs = range(wanted);
      return {
        next: (count, callback) => {
          const some = pairs.splice(0, count);
          defer(() => callback(undefined, some));
        },
        close: (callback = () => {}) => defer(callback),
      };
    },
    compactRange: () => Promise.resolve(),
    approximateBytes: () => Promise.resolve(undefined),
    crash(keep = 0) {
      life++;
      settle(unsynced.slice(0, keep));
      unsynced = [];
      table = { keys: [...durable.keys], values: new Map(durable.values) };
      durable = { keys: [...table.keys], values: new Map(table.values) };
    },
    dump: () => range({ gte: Buffer.alloc(0), lt: Buffer.alloc(64, 0xff) }),
  };
}
