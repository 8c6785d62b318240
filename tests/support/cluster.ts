/**
 * A real cluster for system tests: one nats-server, N kvd processes, temporary directories, free loopback ports.
 * Everything it starts it stops, by process id.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { connectClient, type RingraftClient } from '../../src/client/index.js';
import { initHash } from '../../src/ring/index.js';
import { connectNats } from '../../src/transport/index.js';
import type { ClusterMapAnswer } from '../../src/wire/index.js';
import { type NatsServer, startNatsServer } from './nats-server.js';

const distribution = join(dirname(fileURLToPath(import.meta.url)), '..', '..');
export const kvdPath = join(distribution, 'bin', 'kvd.js');
export const kvctlPath = join(distribution, 'bin', 'kvctl.js');

export type RunResult = { readonly code: number | null; readonly stdout: Buffer; readonly stderr: string };

/** Runs one of our programs to its end. */
export function runProgram(
  path: string,
  args: readonly string[],
  options: { readonly input?: string | Buffer; readonly env?: Record<string, string>; readonly cwd?: string } = {},
): Promise<RunResult> {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, [path, ...args], {
      stdio: ['pipe', 'pipe', 'pipe'],
      env: { ...process.env, ...options.env },
      ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    });
    const stdout: Buffer[] = [];
    let stderr = '';
    child.stdout.on('data', (bytes: Buffer) => stdout.push(bytes));
    child.stderr.on('data', (bytes: Buffer) => {
      stderr += bytes.toString();
    });
    child.stdin.on('error', () => {});
    child.stdin.end(options.input ?? '');
    child.on('close', (code) => resolve({ code, stdout: Buffer.concat(stdout), stderr }));
  });
}

export type NodeProcess = {
  readonly child: ChildProcess;
  readonly log: string[];
  readonly exited: Promise<number | null>;
};

export type TestClusterOptions = {
  readonly nodes?: number;
  readonly shards?: number;
  readonly settings?: Readonly<Record<string, unknown>>;
  /** Of the nodes, beside that of this process. */
  readonly environment?: Readonly<Record<string, string>>;
};

export class TestCluster {
  readonly directory = mkdtempSync(join(tmpdir(), 'ringraft test '));
  readonly configPath = join(this.directory, 'cluster.config.json');
  readonly nodeIds: readonly string[];
  private readonly processes = new Map<string, NodeProcess>();
  /** Zones of the nodes that are in no configuration. */
  private readonly joined = new Map<string, string>();
  private readonly clients: RingraftClient[] = [];

  private constructor(
    readonly nats: NatsServer,
    private readonly options: TestClusterOptions,
  ) {
    this.nodeIds = Array.from({ length: options.nodes ?? 3 }, (_, at) => `n${at + 1}`);
    writeFileSync(
      this.configPath,
      JSON.stringify({
        cluster: 'test',
        nats: { servers: [nats.url] },
        shards: options.shards ?? 8,
        replication: Math.min(3, this.nodeIds.length),
        nodes: this.nodeIds.map((id, at) => ({ id, zone: `z${at + 1}` })),
        buckets: [
          { name: 'default', id: 1 },
          { name: 'other', id: 2 },
        ],
        dataDirectory: 'data',
        ...options.settings,
      }),
    );
  }

  static async start(options: TestClusterOptions = {}): Promise<TestCluster> {
    const cluster = await TestCluster.create(options);
    for (const id of cluster.nodeIds) cluster.startNode(id);
    await cluster.untilLed();
    return cluster;
  }

  /** The server and the configuration, no node yet. */
  static async create(options: TestClusterOptions = {}): Promise<TestCluster> {
    await initHash();
    return new TestCluster(await startNatsServer(), options);
  }

  /** From here on a node of this name joins when it is started, and comes back the same way. */
  joins(id: string, zone: string): void {
    this.joined.set(id, zone);
  }

  dataDirectoryOf(id: string): string {
    return join(this.directory, 'data', id);
  }

  private originOf(id: string): readonly string[] {
    const zone = this.joined.get(id);
    if (zone === undefined) return ['--config', this.configPath];
    const { nats } = this;
    return ['--join', '--cluster', 'test', '--nats', nats.url, '--zone', zone, '--data', this.dataDirectoryOf(id)];
  }

  startNode(id: string, extra: readonly string[] = []): NodeProcess {
    return this.startProcess(id, ['--node', id, ...this.originOf(id), ...extra]);
  }

  /** A node that is in no configuration, and has none. */
  joinNode(id: string, extra: readonly string[] = []): NodeProcess {
    const data = join(this.directory, 'data', id);
    const what = ['--join', '--cluster', 'test', '--node', id];
    return this.startProcess(id, [...what, '--nats', this.nats.url, '--data', data, ...extra]);
  }

  private startProcess(id: string, args: readonly string[]): NodeProcess {
    const env = { ...process.env, ...this.options.environment };
    const all = [env.RINGRAFT_KVD ?? kvdPath, ...args, '--log-format', 'json'];
    const child = spawn(process.execPath, all, { stdio: ['ignore', 'pipe', 'pipe'], env });
    const log: string[] = [];
    child.stdout.on('data', (bytes: Buffer) => log.push(bytes.toString()));
    child.stderr.on('data', (bytes: Buffer) => log.push(bytes.toString()));
    const exited = new Promise<number | null>((resolve) => child.on('close', (code) => resolve(code)));
    const node = { child, log, exited };
    this.processes.set(id, node);
    return node;
  }

  /** Of the process that was started last under this name; undefined once it has ended. */
  pidOf(id: string): number | undefined {
    const child = this.processes.get(id)?.child;
    return child === undefined || child.exitCode !== null || child.signalCode !== null ? undefined : child.pid;
  }

  logOf(id: string): string {
    return this.processes.get(id)?.log.join('') ?? '';
  }

  /** Sends the signal and waits for the process to end; its exit code. */
  async signal(id: string, signal: NodeJS.Signals): Promise<number | null> {
    const node = this.processes.get(id);
    if (node === undefined) throw new Error(`no such node: ${id}`);
    node.child.kill(signal);
    return node.exited;
  }

  async client(timeoutMs = 10_000): Promise<RingraftClient> {
    const bus = await connectNats({ servers: [this.nats.url], name: 'test' }, ['client']);
    const client = await connectClient(bus, { cluster: 'test', timeoutMs, ownsBus: true });
    this.clients.push(client);
    return client;
  }

  /** Waits until some client sees a leader for every shard; fails with the nodes' logs after a while. */
  async untilLed(isEnough: (answer: ClusterMapAnswer) => boolean = allLed): Promise<ClusterMapAnswer> {
    const deadline = Date.now() + 30_000;
    let last: unknown;
    while (Date.now() < deadline) {
      let client: RingraftClient | undefined;
      try {
        const bus = await connectNats({ servers: [this.nats.url], name: 'probe' }, ['client']);
        client = await connectClient(bus, { cluster: 'test', timeoutMs: 2000, ownsBus: true });
        const answer = await client.map();
        if (isEnough(answer)) return answer;
      } catch (error) {
        last = error;
      } finally {
        await client?.close();
      }
      await sleep(50);
    }
    throw new Error(
      `the cluster did not come up: ${String(last)}\n${this.nodeIds.map((id) => this.logOf(id)).join('')}`,
    );
  }

  kvctl(args: readonly string[], options: { readonly input?: string | Buffer } = {}): Promise<RunResult> {
    return runProgram(kvctlPath, ['--config', this.configPath, '--server', this.nats.url, ...args], {
      ...options,
      env: { NO_COLOR: '1' },
    });
  }

  async stop(keepDirectory = false): Promise<void> {
    for (const client of this.clients) await client.close();
    for (const { child } of this.processes.values()) if (child.exitCode === null) child.kill('SIGKILL');
    await Promise.all([...this.processes.values()].map(({ exited }) => exited));
    await this.nats.stop();
    if (!keepDirectory) rmSync(this.directory, { recursive: true, force: true });
  }
}

export const allLed = ({ leaders }: ClusterMapAnswer): boolean => leaders.every((leader) => leader !== null);
