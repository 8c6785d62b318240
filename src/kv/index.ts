export { numberIn } from './apply.js';
export type { ExpiredKey } from './keys.js';
export type { ScanPageResult, ScanQuery } from './scan.js';
export * from './snapshot-files.js';
export { SnapshotCheck } from './snapshot-parser.js';
export type { SnapshotSource } from './snapshot-source.js';
export { type FirstStart, Store, type StoreOptions, type StoreStatistics } from './store.js';
export * from './types.js';
