/**
 * A nats-server for each node, joined by links that can be disturbed: on one machine, what a cluster on several is to a
 * network. Links run through the fault server, a process of its own, or through network namespaces that it rules.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { isRingraftError, packageRoot, pause, RingraftError, systemRandom } from '../../base/index.js';
import {
  addressOf,
  brokerConfig,
  brokerOf,
  commandPrefix,
  connectFaultControl,
  type FaultHost,
  type FaultServerConfig,
  prepareNetns,
  setUpNetns,
  tearDownNetns,
} from '../../faults/index.js';
import { freePorts } from './brokers.js';
import { logPathOf, logTail } from './nodes.js';
import { type LocalPorts, startCommand, untilStopped } from './processes.js';
import type { Backend, LocalBroker, LocalState, LocalTopology } from './state.js';

const listenTimeoutMs = 10_000;
const stopTimeoutMs = 5000;
const pollMs = 20;
const loopback = '127.0.0.1';
const faultServerName = 'faults';

/** A subscriber that does not take what it is sent for so long is dropped. */
const writeDeadlineMs = 1000;
/** The same, by bytes: two of the largest messages. */
const maxPendingBytes = 2 * 1024 * 1024;
/** In namespaces of their own all hosts use the same. */
const netnsPorts = { clientPort: 4222, routePort: 6222 } as const;

const faultServerPath = join(packageRoot(), 'dist', 'src', 'faults', 'main.js');

export type BrokerPlan = Omit<LocalBroker, 'pid' | 'startTime'>;

export type TopologyPlan = {
  readonly brokers: readonly BrokerPlan[];
  readonly topology: LocalTopology;
};

type Host = FaultHost & {
  readonly routePort: number;
  /** Of the later hosts, as this one reaches them. */
  readonly routes: readonly string[];
  /** Where its node reaches its broker. */
  readonly nodeUrl: string;
  readonly prefix: readonly string[];
};

type Ground = { readonly hosts: readonly Host[]; readonly config: FaultServerConfig };

/** Ports and configurations: all that there must be before anything is started. */
export async function planTopology(
  stateDirectory: string,
  nodes: readonly string[],
  natsServer: string,
  backend: Backend,
): Promise<TopologyPlan> {
  const directory = join(stateDirectory, 'brokers');
  mkdirSync(directory, { recursive: true });
  // A path of a socket may have about a hundred characters: the rest of it is not ours to choose.
  const controlSocket = join(directory, 'faults.sock');
  const { hosts, config } =
    backend === 'proxy' ? await proxyGround(nodes, controlSocket) : await netnsGround(nodes, controlSocket);
  const configPath = join(directory, 'faults.json');
  writeFileSync(configPath, `${JSON.stringify(config, null, 2)}\n`);
  const brokers = hosts.map((host) => {
    const name = brokerOf(host.node);
    const path = join(directory, `${name}.conf`);
    const { address, clientPort, routePort, routes } = host;
    const limits = { writeDeadlineMs, maxPendingBytes };
    const text = brokerConfig({
      name,
      clusterName: 'ringraft',
      host: address,
      clientPort,
      routePort,
      routes,
      ...limits,
    });
    writeFileSync(path, text);
    return { name, url: `nats://${address}:${clientPort}`, command: [...host.prefix, natsServer, '-c', path] };
  });
  const topology: LocalTopology = {
    backend,
    faultServer: undefined,
    command: [process.execPath, '--enable-source-maps', faultServerPath, configPath],
    socketPath: controlSocket,
    nodeUrls: Object.fromEntries(hosts.map(({ node, nodeUrl }) => [node, nodeUrl])),
    prefixes: Object.fromEntries(hosts.map(({ node, prefix }) => [node, prefix])),
    netns: config.backEnd === 'netns' ? config.netns : undefined,
  };
  return { brokers, topology };
}

/** Every pair of brokers, and every node and its broker, through a proxy. */
async function proxyGround(nodes: readonly string[], controlSocket: string): Promise<Ground> {
  const pairCount = (nodes.length * (nodes.length - 1)) / 2;
  const ports = [...(await freePorts(3 * nodes.length + pairCount))];
  const next = (): number => ports.pop() as number;
  const places = nodes.map((node) => ({ node, address: loopback, clientPort: next(), routePort: next() }));
  const links = places.map(({ node, clientPort }) => ({ node, listenPort: next(), targetPort: clientPort }));
  const pairs = places.flatMap((from, at) =>
    places.slice(at + 1).map((to) => ({
      from: brokerOf(from.node),
      to: brokerOf(to.node),
      listenPort: next(),
      targetPort: to.routePort,
    })),
  );
  const hosts = places.map((place, at) => ({
    ...place,
    routes: pairs.filter(({ from }) => from === brokerOf(place.node)).map((pair) => `${loopback}:${pair.listenPort}`),
    nodeUrl: `nats://${loopback}:${links[at]?.listenPort}`,
    prefix: [],
  }));
  return { hosts, config: { backEnd: 'proxy', controlSocket, hosts: places, pairs, nodes: links } };
}

/** Every host in a namespace of its own. */
async function netnsGround(nodes: readonly string[], controlSocket: string): Promise<Ground> {
  const netns = await prepareNetns(nodes, systemRandom);
  const places = nodes.map((node) => ({ node, address: addressOf(netns, node), ...netnsPorts }));
  const hosts = places.map((place, at) => ({
    ...place,
    routes: places.slice(at + 1).map(({ address, routePort }) => `${address}:${routePort}`),
    nodeUrl: `nats://${place.address}:${place.clientPort}`,
    prefix: commandPrefix(netns, place.node),
  }));
  return { hosts, config: { backEnd: 'netns', controlSocket, hosts: places, netns } };
}

/** Before the brokers, whose routes run through it. Resolves at once: `untilShaped` waits. */
export async function startFaultServer(
  stateDirectory: string,
  topology: LocalTopology,
  { processes }: LocalPorts,
): Promise<LocalTopology> {
  if (topology.netns !== undefined) await setUpNetns(topology.netns);
  const started = startCommand(processes, topology.command, logPathOf(stateDirectory, faultServerName));
  return { ...topology, faultServer: started };
}

/** Until the fault server takes orders; the links are there then. */
export async function untilShaped(stateDirectory: string, topology: LocalTopology, ports: LocalPorts): Promise<void> {
  const { faultServer, socketPath } = topology;
  const { processes, clock } = ports;
  const control = connectFaultControl(socketPath);
  for (const deadlineMs = clock.nowMs() + listenTimeoutMs; ; await pause(clock, pollMs)) {
    try {
      await control.list();
      return;
    } catch (error) {
      if (!isRingraftError(error, 'UNREACHABLE')) throw error;
    }
    if (faultServer === undefined || !processes.isRunning(faultServer) || clock.nowMs() > deadlineMs) {
      const tail = logTail(logPathOf(stateDirectory, faultServerName));
      throw new RingraftError('UNREACHABLE', `the fault server did not start:\n${tail}`);
    }
  }
}

/** After everything else has ended. */
export async function endTopology({ topology }: LocalState, ports: LocalPorts): Promise<void> {
  if (topology === undefined) return;
  const { faultServer, netns } = topology;
  if (faultServer !== undefined && ports.processes.signal(faultServer, 'SIGTERM')) {
    if (!(await untilStopped(ports, [faultServer], stopTimeoutMs))) ports.processes.signal(faultServer, 'SIGKILL');
  }
  if (netns !== undefined) await tearDownNetns(netns);
}
