export * from './cluster-node.js';
export * from './founding-map.js';
export * from './swim/index.js';
