export * from './bus.js';
export type * from './connect-types.js';
