export * from './availability.js';

export { Deck, drawFault } from './draw.js';

export * from './history-file.js';

export * from './judges/index.js';
export { type FaultWatch, Nemesis, type NemesisOptions, type NemesisPorts } from './nemesis.js';
export * from './operation.js';
export * from './report.js';
export * from './run.js';
export { sidesOf } from './sides.js';
export * from './timeline/index.js';
export * from './unavailability.js';
export type { WorkloadReport } from './workload.js';
