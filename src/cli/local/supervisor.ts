/**
 * A cluster on this machine: one nats-server and the nodes of a configuration, as processes of their own that outlive
 * the command that started them.
 *
 * Invariants: 1. `cluster.json` names every process that was started, before anything waits for it. 2. A process is
 * signalled only when its id still belongs to it.
 */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { isRingraftError, pause, RingraftError } from '../../base/index.js';
import type { RingraftClient } from '../../client/index.js';
import { type ClusterConfig, loadConfig } from '../../config/index.js';
import { fileNames } from '../secure/directory.js';
import { planBrokerCluster } from './broker-cluster.js';
import { accepts, findNatsServer, freePorts, startBroker, untilAccepts } from './brokers.js';
import { mapWithLeaders } from './leaders.js';
import { forgetMembership } from './membership.js';
import { isClusterRunning, logPathOf, logTail, memberIds, startNode } from './nodes.js';
import { type LocalPorts, systemPorts, untilStopped } from './processes.js';
import { type Backend, isPaused, type LocalState, readState, removeState, serverText, writeState } from './state.js';
import { type BrokerPlan, endTopology, planTopology, startFaultServer, untilShaped } from './topology.js';

const readyTimeoutMs = 60_000;
const stopTimeoutMs = 15_000;

export type StartOptions = {
  readonly configPath: string;
  readonly stateDirectory: string;
  /** 0: any free one. */
  readonly port: number;
  readonly nodes?: number | undefined;
  readonly shards?: number | undefined;
  /** Deletes the data of an earlier cluster first. */
  readonly fresh: boolean;
  /** Written by `kvctl init --secure`; the configuration is the one in it. */
  readonly secureDirectory?: string | undefined;
  /** A broker for each node, joined by links that can be disturbed; undefined: `brokers` for all. */
  readonly backend?: Backend | undefined;
  /** More than one are a cluster of their own, on ports that are free. Default: 1. */
  readonly brokers?: number | undefined;
};

export type Connect = (state: LocalState, timeoutMs: number) => Promise<RingraftClient>;

const portOf = ([server = '']: readonly string[]): number => Number(new URL(server).port);

/** Of the configuration, unless so many are asked for instead. */
const nodesOf = ({ configPath, nodes }: StartOptions): readonly string[] =>
  nodes === undefined
    ? loadConfig(configPath).nodes.map(({ id }) => id)
    : Array.from({ length: nodes }, (_, at) => `n${at + 1}`);

/** The only one. CONFLICT when something listens at its port. */
async function oneBroker(
  { port: asked, secureDirectory }: StartOptions,
  natsServer: string,
  given: readonly string[],
): Promise<BrokerPlan> {
  const [free = 0] = asked === 0 && secureDirectory === undefined ? await freePorts(1) : [];
  const port = asked || free || portOf(given);
  if (await accepts('127.0.0.1', port))
    throw new RingraftError('CONFLICT', `something listens on port ${port} already`);
  const configured = secureDirectory === undefined ? [] : ['-c', join(secureDirectory, fileNames.server)];
  return {
    name: 'nats-server',
    url: `${secureDirectory === undefined ? 'nats' : 'tls'}://127.0.0.1:${port}`,
    command: [natsServer, '-a', '127.0.0.1', '-p', String(port), ...configured],
  };
}

/** Those that all nodes share. */
const sharedBrokers = async (
  options: StartOptions,
  natsServer: string,
  given: readonly string[],
): Promise<readonly BrokerPlan[]> =>
  options.brokers === undefined || options.brokers === 1
    ? [await oneBroker(options, natsServer, given)]
    : planBrokerCluster(options.stateDirectory, options.brokers, natsServer);

/** The configuration the nodes run with: the user's, with what belongs to this machine put in. */
function writeEffectiveConfig(
  options: StartOptions,
  servers: readonly string[],
): { path: string; config: ClusterConfig } {
  const input = JSON.parse(readFileSync(options.configPath, 'utf8')) as Record<string, unknown>;
  const access = options.secureDirectory === undefined ? {} : loadConfig(options.configPath).nats;
  input.nats = { ...access, servers };
  input.dataDirectory = join(options.stateDirectory, 'data');
  delete input.$schema;
  if (options.shards !== undefined) input.shards = options.shards;
  if (options.nodes !== undefined) {
    input.nodes = nodesOf(options).map((id, at) => ({ id, zone: `z${at + 1}` }));
    input.replication = options.nodes < 3 ? 1 : 3;
  }
  const path = join(options.stateDirectory, 'cluster.config.json');
  writeFileSync(path, `${JSON.stringify(input, null, 2)}\n`);
  return { path, config: loadConfig(path) };
}

/** Starts it all; returns once every process runs (not yet: serves). CONFLICT when one runs already. */
export async function startLocalCluster(
  options: StartOptions,
  env: NodeJS.ProcessEnv,
  ports: LocalPorts = systemPorts,
): Promise<LocalState> {
  const { stateDirectory } = options;
  const { processes } = ports;
  const before = readState(stateDirectory);
  if (before !== undefined && isClusterRunning(before, processes)) {
    throw new RingraftError('CONFLICT', `a local cluster runs already, at ${serverText(before)}`, {
      fields: { natsUrl: serverText(before) },
    });
  }
  if (before !== undefined) await stopLocalCluster(stateDirectory, ports);
  const { nats: given } = loadConfig(options.configPath);
  if (options.fresh) {
    rmSync(join(stateDirectory, 'data'), { recursive: true, force: true });
    forgetMembership(stateDirectory);
  }
  mkdirSync(join(stateDirectory, 'logs'), { recursive: true });
  const { secureDirectory } = options;
  const natsServer = findNatsServer(env);
  const plan =
    options.backend === undefined
      ? { brokers: await sharedBrokers(options, natsServer, given.servers), topology: undefined }
      : await planTopology(stateDirectory, nodesOf(options), natsServer, options.backend);
  const servers = plan.brokers.map(({ url }) => url);
  const { path, config } = writeEffectiveConfig(options, servers);
  let state: LocalState = {
    cluster: config.cluster,
    configPath: path,
    secureDirectory,
    topology: plan.topology,
    brokers: [],
    nodes: [],
    settings: [],
    startedAtMs: Date.now(),
  };
  if (plan.topology !== undefined) {
    // Recorded before it is made: what is left of it after a crash can be found.
    writeState(stateDirectory, state);
    const topology = await startFaultServer(stateDirectory, plan.topology, ports);
    state = { ...state, topology };
    writeState(stateDirectory, state);
    await untilShaped(stateDirectory, topology, ports);
  }
  for (const broker of plan.brokers) state = startBroker(stateDirectory, state, broker, processes);
  for (const broker of state.brokers) await untilAccepts(stateDirectory, broker, ports);
  for (const id of memberIds(stateDirectory, path)) state = startNode(stateDirectory, state, id, processes);
  return state;
}

/**
 * Waits until every node answers, the cluster is founded, and every shard has a leader. UNREACHABLE, with the log of what
 * died, otherwise.
 */
export async function untilReady(
  stateDirectory: string,
  state: LocalState,
  connect: Connect,
  { processes, clock }: LocalPorts = systemPorts,
): Promise<void> {
  const deadlineMs = clock.nowMs() + readyTimeoutMs;
  let problem = 'no node answered';
  while (clock.nowMs() < deadlineMs) {
    const dead = state.nodes.find((node) => !processes.isRunning(node));
    if (dead !== undefined) {
      const tail = logTail(logPathOf(stateDirectory, dead.id));
      throw new RingraftError('UNREACHABLE', `node ${dead.id} stopped. The end of its log:\n${tail}`);
    }
    try {
      const client = await connect(state, 2000);
      try {
        for (const { id } of state.nodes) await client.nodeStatus(id, 1000);
        const { map, leaders } = await mapWithLeaders(client, 2000);
        const without = leaders.filter((leader) => leader === null).length;
        const isFounded = map.epoch > 0;
        if (without === 0 && isFounded) return;
        problem = isFounded ? `${without} shards have no leader` : 'not every node has begun';
      } finally {
        await client.close();
      }
    } catch (error) {
      if (!isRingraftError(error)) throw error;
      problem = error.message;
    }
    await pause(clock, 50);
  }
  throw new RingraftError('UNREACHABLE', `the cluster is not ready after ${readyTimeoutMs / 1000} s: ${problem}`);
}

/** Stops nodes, then nats-server; kills what does not stop in time. How many processes were stopped. */
export async function stopLocalCluster(stateDirectory: string, ports: LocalPorts = systemPorts): Promise<number> {
  const state = readState(stateDirectory);
  if (state === undefined) return 0;
  const { processes } = ports;
  let stopped = 0;
  for (const group of [state.nodes, state.brokers]) {
    stopped += group.filter((target) => processes.signal(target, 'SIGTERM')).length;
    // Whoever was paused hears it only now.
    for (const target of group) if (isPaused(target)) processes.signal(target, 'SIGCONT');
    if (await untilStopped(ports, group, stopTimeoutMs)) continue;
    for (const target of group) processes.signal(target, 'SIGKILL');
    await untilStopped(ports, group, stopTimeoutMs);
  }
  await endTopology(state, ports);
  rmSync(join(stateDirectory, 'faults'), { recursive: true, force: true });
  removeState(stateDirectory);
  return stopped;
}
