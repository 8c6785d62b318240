export * from './disk.js';
export * from './types.js';
