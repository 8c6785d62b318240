/**
 * A cluster on this machine: one nats-server and the nodes of a configuration, as processes of their own that outlive
 * the command that started them.
 *
 * Invariants: 1. `cluster.json` names every process that was started, before anything waits for it. 2. A process is
 * signalled only when its id still belongs to it.
 */
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect as connectSocket, createServer } from 'node:net';
import { delimiter, join } from 'node:path';
import { isRingraftError, RingraftError } from '../../base/index.js';
import type { RingraftClient } from '../../client/index.js';
import { type ClusterConfig, loadConfig } from '../../config/index.js';
import { fileNames } from '../secure/directory.js';
import { mapWithLeaders } from './leaders.js';
import { forgetMembership } from './membership.js';
import { isClusterRunning, logPathOf, logTail, memberIds, startNode } from './nodes.js';
import { type LocalPorts, sleep, systemPorts, untilStopped } from './processes.js';
import { type LocalState, readState, removeState, writeState } from './state.js';

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
};

export type Connect = (state: LocalState, timeoutMs: number) => Promise<RingraftClient>;

/** Path of nats-server; UNREACHABLE with what to do when there is none. */
export function findNatsServer(env: Readonly<Record<string, string | undefined>>): string {
  const places = [...(env.PATH ?? '').split(delimiter), '/usr/sbin', '/usr/local/bin', '/opt/homebrew/bin'];
  const found = env.NATS_SERVER ?? places.map((place) => join(place, 'nats-server')).find((path) => existsSync(path));
  if (found === undefined) {
    throw new RingraftError(
      'UNREACHABLE',
      'nats-server is not installed: run `npm start`, or install it from https://nats.io/download',
    );
  }
  return found;
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.on('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' && address !== null ? address.port : 0));
    });
  });
}

const portOf = ([server = '']: readonly string[]): number => Number(new URL(server).port);

const accepts = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connectSocket(port, '127.0.0.1');
    const settle = (open: boolean): void => {
      socket.destroy();
      resolve(open);
    };
    socket.on('connect', () => settle(true)).on('error', () => settle(false));
  });

/** The configuration the nodes run with: the user's, with what belongs to this machine put in. */
function writeEffectiveConfig(options: StartOptions, natsUrl: string): { path: string; config: ClusterConfig } {
  const input = JSON.parse(readFileSync(options.configPath, 'utf8')) as Record<string, unknown>;
  const access = options.secureDirectory === undefined ? {} : loadConfig(options.configPath).nats;
  input.nats = { ...access, servers: [natsUrl] };
  input.dataDirectory = join(options.stateDirectory, 'data');
  delete input.$schema;
  if (options.shards !== undefined) input.shards = options.shards;
  if (options.nodes !== undefined) {
    input.nodes = Array.from({ length: options.nodes }, (_, at) => ({ id: `n${at + 1}`, zone: `z${at + 1}` }));
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
  const { processes, clock } = ports;
  const before = readState(stateDirectory);
  if (before !== undefined && isClusterRunning(before, processes)) {
    throw new RingraftError('CONFLICT', `a local cluster runs already, at ${before.natsUrl}`, {
      fields: { natsUrl: before.natsUrl },
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
  const port = options.port || (secureDirectory === undefined ? await freePort() : portOf(given.servers));
  if (await accepts(port)) throw new RingraftError('CONFLICT', `something listens on port ${port} already`);
  const natsUrl = `${secureDirectory === undefined ? 'nats' : 'tls'}://127.0.0.1:${port}`;
  const { path, config } = writeEffectiveConfig(options, natsUrl);
  const natsLog = logPathOf(stateDirectory, 'nats-server');
  const natsConfig = secureDirectory === undefined ? [] : ['-c', join(secureDirectory, fileNames.server)];
  const natsFlags = ['-a', '127.0.0.1', '-p', String(port), ...natsConfig];
  const nats = processes.start(findNatsServer(env), natsFlags, natsLog);
  let state: LocalState = {
    cluster: config.cluster,
    configPath: path,
    natsUrl,
    secureDirectory,
    nats,
    nodes: [],
    settings: [],
    startedAtMs: Date.now(),
  };
  writeState(stateDirectory, state);
  for (const deadlineMs = clock.nowMs() + 10_000; !(await accepts(port)); await sleep(clock, 20)) {
    if (!processes.isRunning(nats) || clock.nowMs() > deadlineMs) {
      throw new RingraftError('UNREACHABLE', `nats-server did not start:\n${logTail(natsLog)}`);
    }
  }
  for (const id of memberIds(stateDirectory, path)) state = startNode(stateDirectory, state, id, processes);
  return state;
}

/** Waits until every node answers and every shard has a leader. UNREACHABLE, with the log of what died, otherwise. */
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
        const { leaders } = await mapWithLeaders(client, 2000);
        const without = leaders.filter((leader) => leader === null).length;
        if (without === 0) return;
        problem = `${without} shards have no leader`;
      } finally {
        await client.close();
      }
    } catch (error) {
      if (!isRingraftError(error)) throw error;
      problem = error.message;
    }
    await sleep(clock, 50);
  }
  throw new RingraftError('UNREACHABLE', `the cluster is not ready after ${readyTimeoutMs / 1000} s: ${problem}`);
}

/** Stops nodes, then nats-server; kills what does not stop in time. How many processes were stopped. */
export async function stopLocalCluster(stateDirectory: string, ports: LocalPorts = systemPorts): Promise<number> {
  const state = readState(stateDirectory);
  if (state === undefined) return 0;
  const { processes } = ports;
  let stopped = 0;
  for (const group of [state.nodes, [state.nats]]) {
    stopped += group.filter((target) => processes.signal(target, 'SIGTERM')).length;
    if (await untilStopped(ports, group, stopTimeoutMs)) continue;
    for (const target of group) processes.signal(target, 'SIGKILL');
    await untilStopped(ports, group, stopTimeoutMs);
  }
  removeState(stateDirectory);
  return stopped;
}
