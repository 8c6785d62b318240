/** The engine in memory, whose writes take as long as a test wants. */
import type { EngineBatch } from '../../src/engine/index.js';
import { type MemoryEngine, memoryEngine } from '../../src/engine/memory-engine.js';

export type HeldEngine = { readonly engine: MemoryEngine; readonly writes: { finish(error?: Error): void }[] };

/** A write changes the engine, and ends, when it is finished. */
export function heldEngine(): HeldEngine {
  const inner = memoryEngine();
  const writes: HeldEngine['writes'] = [];
  const batch = (): EngineBatch => {
    const mutations = inner.batch();
    return {
      put: (key, value) => mutations.put(key, value),
      delete: (key) => mutations.delete(key),
      get size() {
        return mutations.size;
      },
      write: (sync, callback) => {
        writes.push({ finish: (error) => (error === undefined ? mutations.write(sync, callback) : callback(error)) });
      },
    };
  };
  return { engine: { ...inner, batch }, writes };
}
