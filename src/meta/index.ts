export * from './static-map.js';
