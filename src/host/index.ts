export type { Group } from './group.js';
export * from './host.js';
export { allShards, isPlacedOn, LocalMap } from './local-map.js';
export type { HostLimits, HostOptions } from './options.js';
export type { SystemRecord, SystemShard } from './system-shard.js';
