export { FaultFile, type NodeSurroundings, takeFaultsFrom } from './fault-file.js';
export { FaultsInForce } from './faults-in-force.js';
export { faultyClock } from './faulty-clock.js';
export { faultyDisk } from './faulty-disk.js';
export {
  mergeNodeFaults,
  parseNodeFaults,
  readNodeFaultsSeen,
  seenPathOf,
  writeNodeFaults,
} from './node-faults.js';
export * from './types.js';
