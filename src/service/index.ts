export { type Service, type ServiceOptions, startService } from './service.js';
export type { EndpointStatistics } from './statistics.js';
