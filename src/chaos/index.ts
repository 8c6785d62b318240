export * from './availability.js';
export * from './history-file.js';
export * from './judges/index.js';
export * from './operation.js';
export * from './report.js';
export * from './run.js';
export * from './timeline/index.js';
export * from './unavailability.js';
export type { WorkloadReport } from './workload.js';
