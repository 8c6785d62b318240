/** The cluster on this machine, as fault injection sees it. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { pause, RingraftError } from '../../base/index.js';
import {
  brokerOf,
  connectFaultControl,
  type Endpoint,
  type FaultGround,
  type FaultProcesses,
  Ledger,
  readNodeFaultsSeen,
  writeNodeFaults,
} from '../../faults/index.js';
import { startBroker, untilAccepts } from './brokers.js';
import { faultFileOf, logPathOf, memberIds, startNode } from './nodes.js';
import type { LocalPorts } from './processes.js';
import { isPaused, type LocalBroker, type LocalNode, type LocalState, readState } from './state.js';

export const ledgerOf = (stateDirectory: string): Ledger => new Ledger(join(stateDirectory, 'faults', 'in-force'));

/** The broker of a node; undefined where all nodes share one. */
const brokerNamed = (state: LocalState, name: string): LocalBroker | undefined =>
  state.brokers.find((broker) => broker.name === name);

class LocalFaultProcesses implements FaultProcesses {
  constructor(
    private readonly stateDirectory: string,
    private readonly ports: LocalPorts,
  ) {}

  private now(): LocalState {
    const state = readState(this.stateDirectory);
    if (state === undefined) throw new RingraftError('UNREACHABLE', 'the local cluster was stopped meanwhile');
    return state;
  }

  private find(endpoint: Endpoint): LocalNode | LocalBroker | undefined {
    const state = this.now();
    return brokerNamed(state, endpoint) ?? state.nodes.find(({ id }) => id === endpoint);
  }

  signal(endpoint: Endpoint, signal: NodeJS.Signals): boolean {
    const found = this.find(endpoint);
    return found !== undefined && this.ports.processes.signal(found, signal);
  }

  conditionOf(endpoint: Endpoint): 'running' | 'stopped' | 'ended' {
    const found = this.find(endpoint);
    if (found === undefined || !this.ports.processes.isRunning(found)) return 'ended';
    return isPaused(found) ? 'stopped' : 'running';
  }

  async start(endpoint: Endpoint): Promise<void> {
    if (this.conditionOf(endpoint) !== 'ended') return;
    const { stateDirectory, ports } = this;
    const state = this.now();
    const broker = brokerNamed(state, endpoint);
    if (broker === undefined) {
      startNode(stateDirectory, state, endpoint, ports.processes);
      return;
    }
    const { brokers } = startBroker(stateDirectory, state, broker, ports.processes);
    await untilAccepts(stateDirectory, brokers.find(({ name }) => name === endpoint) as LocalBroker, ports);
  }
}

/** How often the log of a process says it. */
function countIn(logPath: string, pattern: RegExp): number {
  try {
    return readFileSync(logPath, 'utf8').match(pattern)?.length ?? 0;
  } catch {
    // It has logged nothing.
    return 0;
  }
}

function dropsOf(stateDirectory: string, id: string): ReturnType<FaultGround['dropsOf']> {
  const broker = logPathOf(stateDirectory, brokerOf(id));
  return {
    slow: countIn(broker, /cid:\d+ - .*Slow Consumer Detected/g),
    stale: countIn(broker, /cid:\d+ - .*Stale Connection/g),
    givenUp: countIn(logPathOf(stateDirectory, id), /"msg":"lost NATS"/g),
  };
}

export function localFaultGround(stateDirectory: string, state: LocalState, ports: LocalPorts): FaultGround {
  const { topology } = state;
  return {
    nodes: memberIds(stateDirectory, state.configPath),
    control: topology === undefined ? undefined : connectFaultControl(topology.socketPath),
    processes: new LocalFaultProcesses(stateDirectory, ports),
    setNodeFaults: (id, faults) => writeNodeFaults(faultFileOf(stateDirectory, id), faults),
    nodeFaultsSeen: (id) => readNodeFaultsSeen(faultFileOf(stateDirectory, id)),
    dropsOf: (id) => dropsOf(stateDirectory, id),
    ledger: ledgerOf(stateDirectory),
    nowMs: () => ports.clock.nowMs(),
    pause: (ms) => pause(ports.clock, ms),
  };
}
