export * from './assert.js';
export * from './background-work.js';
export * from './bytes.js';
export * from './clock.js';
export * from './errors.js';
export * from './ids.js';
export * from './logger.js';
export * from './random.js';
