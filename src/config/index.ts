export * from './load.js';
export { closest, type Problem } from './problems.js';
export { configJsonSchema } from './schema.js';
