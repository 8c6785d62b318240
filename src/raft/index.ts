export { decodeConfiguration, encodeConfiguration } from './configuration.js';
export * from './raft.js';
export * from './types.js';
