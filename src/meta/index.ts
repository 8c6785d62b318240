export * from './founding-map.js';
