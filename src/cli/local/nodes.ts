/** Single nodes of a local cluster: with which flags they start, which of them should run. */
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { packageRoot } from '../../base/index.js';
import { loadConfig } from '../../config/index.js';
import { readMembership } from './membership.js';
import { type LocalProcesses, startCommand, systemProcesses } from './processes.js';
import { type LocalNode, type LocalState, readState, serverText, writeState } from './state.js';

/** RINGRAFT_KVD names another kvd, as NATS_SERVER names another nats-server. */
const kvdPath = (): string => process.env.RINGRAFT_KVD ?? join(packageRoot(), 'dist', 'bin', 'kvd.js');

export const logPathOf = (stateDirectory: string, name: string): string => join(stateDirectory, 'logs', `${name}.log`);

export const dataPathOf = (stateDirectory: string, id: string): string => join(stateDirectory, 'data', id);

export const logTail = (path: string): string =>
  existsSync(path) ? readFileSync(path, 'utf8').trimEnd().split('\n').slice(-5).join('\n') : '';

/** Where a node is told of faults to be made inside of it. */
export const faultFileOf = (stateDirectory: string, id: string): string => join(stateDirectory, 'faults', `${id}.json`);

/** With a broker of its own: where it is, and that the node takes faults. */
function topologyFlags(stateDirectory: string, { topology }: LocalState, id: string): readonly string[] {
  if (topology === undefined) return [];
  const url = topology.nodeUrls[id];
  return [...(url === undefined ? [] : ['--nats', url]), '--faults', faultFileOf(stateDirectory, id)];
}

/** A node of the configuration starts with it; one that was added asks the cluster to take it in. */
function flagsOf(stateDirectory: string, state: LocalState, id: string): readonly string[] {
  const faults = topologyFlags(stateDirectory, state, id);
  const ending = ['--data', dataPathOf(stateDirectory, id), '--log-format', 'json', ...faults];
  const added = readMembership(stateDirectory).added.find((node) => node.id === id);
  if (added === undefined) return ['--config', state.configPath, '--node', id, ...ending];
  // Who the node is to NATS stands in the file; what else it says of the cluster is not read by one that joins.
  const access = state.secureDirectory === undefined ? [] : ['--config', state.configPath];
  const cluster = ['--join', '--cluster', state.cluster, '--nats', serverText(state), ...access];
  return [...cluster, '--node', id, '--zone', added.zone, '--weight', String(added.weight), ...ending];
}

/** Starts one node (again) and remembers it. */
export function startNode(
  stateDirectory: string,
  state: LocalState,
  id: string,
  processes: LocalProcesses = systemProcesses,
): LocalState {
  mkdirSync(join(stateDirectory, 'logs'), { recursive: true });
  mkdirSync(dirname(faultFileOf(stateDirectory, id)), { recursive: true });
  const args = [kvdPath(), ...flagsOf(stateDirectory, state, id)];
  const prefix = state.topology?.prefixes[id] ?? [];
  const started = startCommand(processes, [...prefix, process.execPath, ...args], logPathOf(stateDirectory, id));
  const node: LocalNode = { id, ...started };
  const nodes = [...state.nodes.filter((other) => other.id !== id), node].sort(byName);
  const next = { ...state, nodes };
  writeState(stateDirectory, next);
  return next;
}

const byName = (a: LocalNode, b: LocalNode): number => a.id.localeCompare(b.id, 'en', { numeric: true });

export function forgetNode(stateDirectory: string, id: string): void {
  const state = readState(stateDirectory);
  if (state === undefined) return;
  writeState(stateDirectory, { ...state, nodes: state.nodes.filter((node) => node.id !== id) });
}

/** Nodes that belong to the cluster: those of the configuration that are still in it, and those that came with data. */
export function memberIds(stateDirectory: string, configPath: string): readonly string[] {
  const { added, removed } = readMembership(stateDirectory);
  const gone = new Set([...removed, ...added.map(({ id }) => id)]);
  const founding = loadConfig(configPath).nodes.filter(({ id }) => !gone.has(id));
  const joined = added.filter(({ id }) => existsSync(dataPathOf(stateDirectory, id)));
  return [...founding, ...joined].map(({ id }) => id);
}

export function isClusterRunning(state: LocalState, processes: LocalProcesses = systemProcesses): boolean {
  return (
    state.brokers.some((broker) => processes.isRunning(broker)) && state.nodes.some((node) => processes.isRunning(node))
  );
}

/** Starts what should run and does not, of a cluster that runs. undefined: none runs. */
export function startMissingNodes(
  stateDirectory: string,
  processes: LocalProcesses,
): { readonly state: LocalState; readonly started: readonly string[] } | undefined {
  let state = readState(stateDirectory);
  if (state === undefined || !isClusterRunning(state, processes)) return undefined;
  const nodes = state.nodes.filter((node) => processes.isRunning(node));
  const running = new Set(nodes.map(({ id }) => id));
  const started = memberIds(stateDirectory, state.configPath).filter((id) => !running.has(id));
  // Without those that ended and left for good.
  state = { ...state, nodes };
  for (const id of started) state = startNode(stateDirectory, state, id, processes);
  return { state, started };
}
