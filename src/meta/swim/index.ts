export type { GossipCounters } from './counters.js';
export { FailureDetector, type FailureDetectorParts, type Member } from './failure-detector.js';
export { defaultSuspicionMs, type FailureDetectorOptions } from './options.js';
export { type MemberState, memberStates } from './record.js';
