export * from './plan.js';
export type { ProxiedPair } from './proxy-back-end.js';
export * from './types.js';
