export { Context, type Dependencies } from './context.js';
export { exitCodes } from './exit-codes.js';
export type { Io } from './io.js';
export type { LocalProcesses } from './local/processes.js';
export { type Colors, type Column, colorsFor, table } from './output.js';
export { type Progress, startProgress } from './progress.js';
export { type RunDependencies, run } from './run.js';
