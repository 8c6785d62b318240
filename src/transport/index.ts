export * from './bus.js';
export type * from './connect-types.js';
export { connectNats } from './nats-bus.js';
