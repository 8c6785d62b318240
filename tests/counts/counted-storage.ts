/**
 * What is below a node, counted: a disk for the log that keeps nothing (nobody starts again), and an engine in memory.
 * Latencies are fixed.
 */
import type { Engine, EngineBatch } from '../../src/engine/index.js';
// Not through the folder's index: that would load the native engines.
import { memoryEngine } from '../../src/engine/memory-engine.js';
import type { Disk, DiskFile } from '../../src/wal/index.js';
import { uncounted } from './copies.js';
import type { EventLoop } from './event-loop.js';

export const syncMs = 0.5;
const engineMs = 0.05;

export type StorageCounts = {
  /** Each is one write and one sync of the log. */
  syncs: number;
  logBytes: number;
  logChunks: number;
  batches: number;
  mutations: number;
  mutationBytes: number;
  lookedUp: number;
  /** By iterators. */
  iterated: number;
};

export const noStorageCounts = (): StorageCounts => ({
  syncs: 0,
  logBytes: 0,
  logChunks: 0,
  batches: 0,
  mutations: 0,
  mutationBytes: 0,
  lookedUp: 0,
  iterated: 0,
});

export function countedDisk(loop: EventLoop, counts: StorageCounts): Disk {
  const file = (path: string, sizeBytes: number): DiskFile => ({
    path,
    writeDurably: (chunks, _position, callback) => {
      counts.syncs++;
      counts.logChunks += chunks.length;
      for (const chunk of chunks) counts.logBytes += chunk.length;
      loop.at(syncMs, () => callback(undefined));
    },
    read: () => Promise.reject(new Error('nothing is kept')),
    sizeBytes: () => Promise.resolve(sizeBytes),
    truncate: () => Promise.resolve(),
    close: () => Promise.resolve(),
  });
  return {
    makeDirectory: () => Promise.resolve(),
    list: () => Promise.resolve([]),
    create: (path, sizeBytes) => Promise.resolve(file(path, sizeBytes)),
    open: (path) => Promise.reject(new Error(`${path} was not kept`)),
    rename: () => Promise.resolve(),
    remove: () => Promise.resolve(),
  };
}

export function countedEngine(loop: EventLoop, counts: StorageCounts): Engine {
  const engine = memoryEngine((action) => void loop.at(engineMs, action));
  const batch = (): EngineBatch => {
    const inner = engine.batch();
    return {
      put: (key, value) => {
        counts.mutationBytes += key.length + value.length;
        uncounted(() => inner.put(key, value));
      },
      delete: (key) => {
        counts.mutationBytes += key.length;
        uncounted(() => inner.delete(key));
      },
      get size() {
        return inner.size;
      },
      write: (sync, callback) => {
        counts.batches++;
        counts.mutations += inner.size;
        uncounted(() => inner.write(sync, callback));
      },
    };
  };
  return {
    ...engine,
    batch,
    getMany: (keys, callback) => {
      counts.lookedUp += keys.length;
      uncounted(() => engine.getMany(keys, callback));
    },
    iterate: (range) => {
      const iterator = uncounted(() => engine.iterate(range));
      return {
        next: (count, callback) =>
          iterator.next(count, (error, pairs) => {
            counts.iterated += pairs.length;
            callback(error, pairs);
          }),
        close: (done) => iterator.close(done),
      };
    },
  };
}
