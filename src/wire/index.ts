export * from './admin.js';
export * from './cluster-map.js';
export * from './codes.js';
export * from './envelope-codec.js';
export * from './management.js';
export * from './operation-codec.js';
export * from './operations.js';
export * from './subjects.js';
