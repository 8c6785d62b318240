export * from './arcs.js';
export * from './hash.js';
export * from './placement.js';
