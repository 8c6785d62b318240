export { type ConnectOptions, connectClient } from './client.js';
export * from './types.js';
