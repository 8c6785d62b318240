import { assertNever } from '../base/index.js';
import { classicEngine } from './classic-engine.js';
import type { Engine } from './engine.js';
import { rocksEngine } from './rocks-engine.js';

export * from './engine.js';
export { type MemoryEngine, memoryEngine } from './memory-engine.js';

export const engineTypes = ['rocksdb', 'classic-level'] as const;
export type EngineType = (typeof engineTypes)[number];

/** The adapter the configuration asks for, not yet open. */
export function openEngine(type: EngineType, path: string): Engine {
  switch (type) {
    case 'rocksdb':
      return rocksEngine(path);
    case 'classic-level':
      return classicEngine(path);
    default:
      return assertNever(type, 'engine type');
  }
}
