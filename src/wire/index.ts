export * from './admin.js';
export * from './cluster-map.js';
export * from './codes.js';
export * from './operations.js';
export * from './subjects.js';
