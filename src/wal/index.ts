export * from './disk.js';
export { openWal } from './log.js';
export { nodeDisk } from './node-disk.js';
export * from './types.js';
