export * from './load.js';
export { closest, type Problem, problemsOf } from './problems.js';
export { configJsonSchema } from './schema.js';
