/** The nats-servers of a local cluster: where the program is, how one is started, when it serves. */
import { existsSync } from 'node:fs';
import { connect as connectSocket, createServer, type Server } from 'node:net';
import { delimiter, join } from 'node:path';
import { pause, RingraftError } from '../../base/index.js';
import { logPathOf, logTail } from './nodes.js';
import { type LocalPorts, type LocalProcesses, startCommand } from './processes.js';
import { type LocalBroker, type LocalState, writeState } from './state.js';

const acceptTimeoutMs = 10_000;
const acceptPollMs = 20;

type Environment = Readonly<Record<string, string | undefined>>;

/** Where a program is: also where packages put servers, which not everybody's PATH has. */
export function programPath(name: string, env: Environment): string | undefined {
  const places = [...(env.PATH ?? '').split(delimiter), '/usr/sbin', '/usr/local/bin', '/opt/homebrew/bin'];
  return places.map((place) => join(place, name)).find((path) => existsSync(path));
}

/** Path of nats-server; UNREACHABLE with what to do when there is none. */
export function findNatsServer(env: Environment): string {
  const found = env.NATS_SERVER ?? programPath('nats-server', env);
  if (found === undefined) {
    throw new RingraftError(
      'UNREACHABLE',
      'nats-server is not installed: run `npm start`, or install it from https://nats.io/download',
    );
  }
  return found;
}

/** So many different ports of the loopback interface on which nothing listens. */
export async function freePorts(count: number): Promise<readonly number[]> {
  const listening = (server: Server): Promise<number> =>
    new Promise((resolve, reject) => {
      server.on('error', reject);
      server.listen(0, '127.0.0.1', () => {
        const address = server.address();
        resolve(typeof address === 'object' && address !== null ? address.port : 0);
      });
    });
  const servers = Array.from({ length: count }, () => createServer());
  const ports = await Promise.all(servers.map(listening));
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}

export const accepts = (host: string, port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connectSocket(port, host);
    const settle = (open: boolean): void => {
      socket.destroy();
      resolve(open);
    };
    socket.on('connect', () => settle(true)).on('error', () => settle(false));
  });

/** Starts one (again) and remembers it. */
export function startBroker(
  stateDirectory: string,
  state: LocalState,
  broker: Omit<LocalBroker, 'pid' | 'startTime'>,
  processes: LocalProcesses,
): LocalState {
  const started = startCommand(processes, broker.command, logPathOf(stateDirectory, broker.name));
  const at = state.brokers.findIndex(({ name }) => name === broker.name);
  const next = { ...broker, ...started };
  const brokers = at < 0 ? [...state.brokers, next] : state.brokers.with(at, next);
  const changed = { ...state, brokers };
  writeState(stateDirectory, changed);
  return changed;
}

/** UNREACHABLE, with the end of its log, when it does not listen in time. */
export async function untilAccepts(
  stateDirectory: string,
  broker: LocalBroker,
  { processes, clock }: LocalPorts,
): Promise<void> {
  const { hostname, port } = new URL(broker.url);
  const deadlineMs = clock.nowMs() + acceptTimeoutMs;
  while (!(await accepts(hostname, Number(port)))) {
    if (!processes.isRunning(broker) || clock.nowMs() > deadlineMs) {
      const tail = logTail(logPathOf(stateDirectory, broker.name));
      throw new RingraftError('UNREACHABLE', `${broker.name} did not start:\n${tail}`);
    }
    await pause(clock, acceptPollMs);
  }
}
