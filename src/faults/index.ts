export { type BrokerOptions, brokerConfig } from './broker-config.js';
export { type CommandResult, type CommandRunner, runCommand } from './command-runner.js';
export { connectFaultControl } from './control-client.js';
export { FaultFile, type NodeSurroundings, takeFaultsFrom } from './fault-file.js';
export { FaultsInForce } from './faults-in-force.js';
export { faultyClock } from './faulty-clock.js';
export { faultyDisk } from './faulty-disk.js';
export type { FaultGround, FaultProcesses, ProcessCondition } from './ground.js';
export { healAll, type Injection, type InjectOptions, injectFault, nodesOf, removeFault } from './injection.js';
export { Ledger, type LedgerEntry } from './ledger.js';
export { linkEffectsOf } from './link-plans.js';
export { addressOf, commandPrefix, prepareNetns, setUpNetns, tearDownNetns } from './netns.js';
export type { NetnsHost, NetnsPlan } from './netns-plan.js';
export {
  mergeNodeFaults,
  parseNodeFaults,
  readNodeFaultsSeen,
  seenPathOf,
  writeNodeFaults,
} from './node-faults.js';
export * from './plan.js';
export type { ProxiedPair } from './proxy-back-end.js';
export type {
  FaultHost,
  FaultServerConfig,
  NetnsServerConfig,
  ProxiedNode,
  ProxyServerConfig,
} from './server-config.js';
export { describeFault, type FaultKind, type FaultSpec, faultKinds } from './specs.js';
export * from './types.js';
