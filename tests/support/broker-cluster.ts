/** Three real brokers and the fault server that shapes the links between them, as processes that end with the test. */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import {
  brokerConfig,
  brokerOf,
  commandPrefix,
  connectFaultControl,
  type FaultControl,
  type FaultPlan,
  type FaultServerConfig,
  type NetnsPlan,
  type NetnsServerConfig,
  type ProxyServerConfig,
  type Reach,
} from '../../src/faults/index.js';
import { findNatsBinary, freePort } from './nats-server.js';

export const nodes = ['n1', 'n2', 'n3'];
const probeMs = 400;
const serverPath = fileURLToPath(new URL('../../src/faults/main.js', import.meta.url));

/** Waits for a fact; one that never comes true ends with the time-out of the file. */
export async function until<T>(look: () => Promise<T>, isDone: (seen: T) => boolean): Promise<T> {
  for (;;) {
    const seen = await look();
    if (isDone(seen)) return seen;
    await sleep(20);
  }
}

export async function timed(work: () => Promise<unknown>): Promise<number> {
  const startedMs = performance.now();
  await work();
  return Math.round(performance.now() - startedMs);
}

/** `from>to` of what was not heard. */
export const unheard = (reach: readonly Reach[]): string[] =>
  reach
    .filter(({ reached }) => !reached)
    .map(({ from, to }) => `${from}>${to}`)
    .sort();

/** What a plan cuts, in the same words. */
export const planned = ({ effects }: FaultPlan): string[] => effects.map(({ from, to }) => `${from}>${to}`).sort();

const pairs = [
  [0, 1],
  [0, 2],
  [1, 2],
] as const;

async function freePorts(count: number): Promise<readonly number[]> {
  const found = new Set<number>();
  while (found.size < count) found.add(await freePort());
  return [...found];
}

type Route = { readonly port: number; readonly did_solicit: boolean };

export class BrokerCluster<Config extends FaultServerConfig> {
  readonly control: FaultControl;
  private readonly brokers: { readonly command: readonly string[]; child: ChildProcess }[] = [];

  private constructor(
    private readonly directory: string,
    readonly config: Config,
    private readonly server: ChildProcess,
    private readonly monitorPorts: readonly number[],
  ) {
    this.control = connectFaultControl(config.controlSocket);
  }

  static async proxied(): Promise<BrokerCluster<ProxyServerConfig>> {
    const ports = await freePorts(15);
    const port = (kind: number, at: number): number => ports[kind * 3 + at] as number;
    const directory = mkdtempSync(join(tmpdir(), 'ringraft-links-'));
    const config: ProxyServerConfig = {
      backEnd: 'proxy',
      controlSocket: join(directory, 'faults.sock'),
      hosts: nodes.map((node, at) => ({ node, address: '127.0.0.1', clientPort: port(0, at) })),
      pairs: pairs.map(([from, to], at) => ({
        from: brokerOf(nodes[from] as string),
        to: brokerOf(nodes[to] as string),
        listenPort: port(1, at),
        targetPort: port(2, to),
      })),
      nodes: nodes.map((node, at) => ({ node, listenPort: port(3, at), targetPort: port(0, at) })),
    };
    const cluster = await BrokerCluster.serve(directory, config, ports.slice(12));
    nodes.forEach((node, at) => {
      const own = config.pairs.filter(({ from }) => from === brokerOf(node));
      cluster.startBroker(
        at,
        port(2, at),
        own.map(({ listenPort }) => `127.0.0.1:${listenPort}`),
      );
    });
    return cluster;
  }

  /** Each host in its namespace of the plan, which is there. */
  static async inNamespaces(netns: NetnsPlan): Promise<BrokerCluster<NetnsServerConfig>> {
    const [clientPort, routePort, monitorPort] = [4222, 6222, 8222];
    const directory = mkdtempSync(join(tmpdir(), 'ringraft-netns-'));
    const config: NetnsServerConfig = {
      backEnd: 'netns',
      controlSocket: join(directory, 'faults.sock'),
      hosts: netns.hosts.map(({ node, address }) => ({ node, address, clientPort })),
      netns,
    };
    const ports = nodes.map(() => monitorPort);
    const cluster = await BrokerCluster.serve(directory, config, ports);
    nodes.forEach((node, at) => {
      const later = netns.hosts.slice(at + 1).map(({ address }) => `${address}:${routePort}`);
      cluster.startBroker(at, routePort, later, commandPrefix(netns, node));
    });
    return cluster;
  }

  private static async serve<C extends FaultServerConfig>(
    directory: string,
    config: C,
    monitorPorts: readonly number[],
  ): Promise<BrokerCluster<C>> {
    const configPath = join(directory, 'faults.json');
    writeFileSync(configPath, JSON.stringify(config));
    const server = spawn(process.execPath, ['--enable-source-maps', serverPath, configPath], {
      stdio: ['ignore', 'ignore', 'inherit'],
    });
    const cluster = new BrokerCluster(directory, config, server, monitorPorts);
    await until(
      () => cluster.control.list().catch(() => undefined),
      (list) => list !== undefined || server.exitCode !== null,
    );
    return cluster;
  }

  private startBroker(at: number, routePort: number, routes: readonly string[], prefix: readonly string[] = []): void {
    const { node, address, clientPort } = this.config.hosts[at] as FaultServerConfig['hosts'][number];
    const text = brokerConfig({
      name: brokerOf(node),
      clusterName: 'links',
      host: address,
      clientPort,
      routePort,
      routes,
      writeDeadlineMs: 2000,
      maxPendingBytes: 8 * 1024 * 1024,
    });
    const path = join(this.directory, `${node}.conf`);
    writeFileSync(path, text);
    const flags = ['-c', path, '-m', String(this.monitorPorts[at]), '-l', join(this.directory, `${node}.log`)];
    const command = [...prefix, findNatsBinary(), ...flags];
    this.brokers.push({ command, child: launch(command) });
  }

  /** Kills a broker and starts it again. */
  async restartBroker(at: number): Promise<void> {
    const broker = this.brokers[at];
    if (broker === undefined) return;
    await stop(broker.child, 'SIGKILL');
    broker.child = launch(broker.command);
  }

  probe(): Promise<readonly Reach[]> {
    return this.control.probe(probeMs);
  }

  /** How long it took. */
  untilWhole(): Promise<number> {
    return timed(() =>
      until(
        () => this.probe(),
        (reach) => unheard(reach).length === 0,
      ),
    );
  }

  /** The ports that routes were dialled at, by all brokers. */
  async dialledPorts(): Promise<readonly number[]> {
    const found = await Promise.all(
      this.config.hosts.map(async ({ address }, at) => {
        const response = await fetch(`http://${address}:${this.monitorPorts[at]}/routez`);
        const { routes } = (await response.json()) as { readonly routes: readonly Route[] };
        return routes.filter((route) => route.did_solicit).map(({ port }) => port);
      }),
    );
    return found.flat().sort();
  }

  /** The exit code. */
  stopServer(): Promise<number | null> {
    return stop(this.server, 'SIGTERM');
  }

  async stop(): Promise<void> {
    await Promise.all(
      [this.server, ...this.brokers.map((broker) => broker.child)].map((child) => stop(child, 'SIGKILL')),
    );
    rmSync(this.directory, { recursive: true, force: true });
  }
}

const launch = ([program = '', ...args]: readonly string[]): ChildProcess => spawn(program, args, { stdio: 'ignore' });

async function stop(child: ChildProcess, signal: NodeJS.Signals): Promise<number | null> {
  if (child.exitCode !== null || child.signalCode !== null) return child.exitCode;
  const closed = new Promise<void>((resolve) => child.once('close', () => resolve()));
  child.kill(signal);
  await closed;
  return child.exitCode;
}
