export * from './flags.js';
export * from './identity.js';
export * from './logging.js';
export * from './memory.js';
