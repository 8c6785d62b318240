export * from './static-map.js';
export * from './swim/index.js';
