export { type BrokerOptions, brokerConfig } from './broker-config.js';
export { type CommandResult, type CommandRunner, runCommand } from './command-runner.js';
export { connectFaultControl } from './control-client.js';
export { addressOf, commandPrefix, prepareNetns, setUpNetns, tearDownNetns } from './netns.js';
export type { NetnsHost, NetnsPlan } from './netns-plan.js';
export * from './plan.js';
export type { ProxiedPair } from './proxy-back-end.js';
export type {
  FaultHost,
  FaultServerConfig,
  NetnsServerConfig,
  ProxiedNode,
  ProxyServerConfig,
} from './server-config.js';
export * from './types.js';
