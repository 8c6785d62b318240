export * from './banks.js';
export * from './counters.js';
export * from './lists.js';
export * from './probes.js';
export * from './registers.js';
export * from './retries.js';
export * from './sessions.js';
export * from './sets.js';
