export { decodeConfiguration, encodeConfiguration, isJoint } from './configuration.js';
export * from './raft.js';
export * from './types.js';
