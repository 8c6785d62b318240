export * from './arcs.js';
export * from './hash.js';
export * from './leaders.js';
export * from './placement.js';
export * from './plan.js';
export { fairShares } from './shares.js';
