export * from './history.js';
export * from './linearizability.js';
export * from './model.js';
