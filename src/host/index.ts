export type { Group } from './group.js';
export * from './host.js';
export type { HostLimits, HostOptions } from './options.js';
