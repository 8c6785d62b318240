/** What a local cluster must offer for faults to be injected into it. */
import type { Ledger } from './ledger.js';
import type { Endpoint, FaultControl, NodeFaults, NodeFaultsSeen } from './types.js';

/** `stopped` is what SIGSTOP leaves. */
export type ProcessCondition = 'running' | 'stopped' | 'ended';

/** The processes of a local cluster: nodes (`n1`) and, where each has its own, brokers (`nats-n1`). */
export type FaultProcesses = {
  /** False: it does not run. */
  signal(endpoint: Endpoint, signal: 'SIGKILL' | 'SIGTERM' | 'SIGSTOP' | 'SIGCONT'): boolean;
  conditionOf(endpoint: Endpoint): ProcessCondition;
  /** Starts it as it was started before, unless it runs. */
  start(endpoint: Endpoint): Promise<void>;
};

export type FaultGround = {
  /** In the order of the configuration. */
  readonly nodes: readonly string[];
  /** undefined: one broker for all, so that there are no links to do anything to. */
  readonly control: FaultControl | undefined;
  readonly processes: FaultProcesses;
  /** What is to be in force inside a node, all faults of it together. */
  setNodeFaults(nodeId: string, faults: NodeFaults): Promise<void>;
  /** undefined: the node has not said yet. */
  nodeFaultsSeen(nodeId: string): Promise<NodeFaultsSeen | undefined>;
  /**
   * How often a node and its broker have lost each other: the broker dropped the node as too slow, or for giving no sign of
   * life; the node heard nothing of the broker and gave it up.
   */
  dropsOf(nodeId: string): { readonly slow: number; readonly stale: number; readonly givenUp: number };
  readonly ledger: Ledger;
  nowMs(): number;
  pause(ms: number): Promise<void>;
};
