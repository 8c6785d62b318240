/**
 * A local cluster without processes: its state file and configuration are real, in a directory of its own; its processes
 * are numbers, and its client answers for those that run.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { nodeId, RingraftError, shardId } from '../../src/base/index.js';
import type { LocalProcesses } from '../../src/cli/index.js';
import { readMembership } from '../../src/cli/local/membership.js';
import { type LocalState, readState, writeState } from '../../src/cli/local/state.js';
import type { ManagerAnswer, ManagerRequest, NodeStatus } from '../../src/wire/index.js';
import { FakeClient, hastyClock, kvctl, type Ran, type RunOptions } from './fake-client.js';
import { aClusterMap, aMapShard } from './maps.js';
import { aNode, aShard } from './statuses.js';
import { aNodeView, aView } from './views.js';

const founding = ['n1', 'n2', 'n3'];
const natsUrl = 'nats://127.0.0.1:4999';

export class FakeLocal {
  readonly directory = mkdtempSync(join(tmpdir(), 'ringraft-local-'));
  readonly client = new FakeClient();
  /** Command lines, in order, without what every node has. */
  readonly started: string[][] = [];
  readonly signals: string[] = [];
  /** How often a process that was told to stop is still found running. */
  looksToStop = 0;
  /** Whether a started process stays. */
  staysUp: (id: string) => boolean = () => true;
  /** What a test changes of a replica's status. */
  shardOf: (id: string) => Parameters<typeof aShard>[0] = () => ({});
  /** The process that a node's status names. */
  pidTold: (id: string, pid: number) => number = (_id, pid) => pid;
  members = [...founding];
  private readonly running = new Map<number, { id: string; looksLeft: number | undefined }>();
  private nextPid = 1000;

  constructor() {
    const configuration = {
      cluster: 'test',
      nats: { servers: [natsUrl] },
      shards: 1,
      nodes: founding.map((id) => ({ id })),
    };
    writeFileSync(this.configPath, JSON.stringify(configuration));
    for (const id of founding) mkdirSync(join(this.directory, 'data', id), { recursive: true });
    const brokers = [{ name: 'nats-server', url: natsUrl, command: ['nats-server'], ...this.spawn('nats-server') }];
    const nodes = founding.map((id) => ({ id, ...this.spawn(id) }));
    const state: LocalState = {
      cluster: 'test',
      configPath: this.configPath,
      brokers,
      nodes,
      settings: [],
      startedAtMs: 0,
    };
    writeState(this.directory, state);
    this.client.statusOf = (id) => this.statusOf(id);
    this.client.onManage = (request) => this.answer(request);
    Object.defineProperty(this.client, 'clusterMap', { get: () => this.mapAnswer() });
  }

  get configPath(): string {
    return join(this.directory, 'cluster.config.json');
  }

  remove(): void {
    rmSync(this.directory, { recursive: true, force: true });
  }

  readonly processes: LocalProcesses = {
    start: (_command, args) => {
      const id = args[args.indexOf('--node') + 1] as string;
      this.started.push(args.slice(1).map((arg) => arg.replace(this.directory, 'DIR')));
      mkdirSync(join(this.directory, 'data', id), { recursive: true });
      const target = this.spawn(id);
      if (!this.staysUp(id)) this.running.delete(target.pid);
      else if (readMembership(this.directory).added.some((node) => node.id === id)) this.join(id);
      return target;
    },
    isRunning: ({ pid }) => {
      const found = this.running.get(pid);
      if (found?.looksLeft !== undefined && found.looksLeft-- <= 0) this.running.delete(pid);
      return this.running.has(pid);
    },
    signal: ({ pid }, signal) => {
      const found = this.running.get(pid);
      if (found === undefined) return false;
      this.signals.push(`${signal} ${found.id}`);
      if (signal === 'SIGKILL') this.running.delete(pid);
      else found.looksLeft = this.looksToStop;
      return true;
    },
  };

  /** Ends without being asked. */
  kill(id: string): void {
    for (const [pid, { id: its }] of this.running) if (its === id) this.running.delete(pid);
  }

  runs(id: string): boolean {
    return [...this.running.values()].some((found) => found.id === id);
  }

  get recorded(): LocalState {
    return readState(this.directory) as LocalState;
  }

  run(argv: readonly string[], options: RunOptions = {}): Promise<Ran> {
    const { client, processes } = this;
    const where = ['--config', this.configPath, '--state-dir', this.directory];
    return kvctl([...argv, ...where], { client, processes, clock: hastyClock(), ...options });
  }

  private spawn(id: string): { readonly pid: number; readonly startTime: undefined } {
    const pid = this.nextPid++;
    this.running.set(pid, { id, looksLeft: undefined });
    return { pid, startTime: undefined };
  }

  private join(id: string): void {
    if (!this.members.includes(id)) this.members.push(id);
  }

  private pidOf(id: string): number | undefined {
    return [...this.running].find(([, found]) => found.id === id && found.looksLeft === undefined)?.[0];
  }

  /** The first of the founding nodes that runs leads shard 7. */
  private get leader(): string | undefined {
    return founding.find((id) => this.pidOf(id) !== undefined);
  }

  private mapAnswer() {
    const shard = aMapShard({ id: shardId(7), arcStart: 0, arcEnd: 2 ** 32 }, founding.map(nodeId));
    const map = aClusterMap(this.members.map(nodeId), [shard]);
    return { map, leaders: [this.leader === undefined ? null : nodeId(this.leader)] };
  }

  private statusOf(id: string): NodeStatus {
    const running = this.pidOf(id);
    if (running === undefined) throw new RingraftError('UNREACHABLE', 'nobody listens');
    const pid = this.pidTold(id, running);
    if (!founding.includes(id)) return aNode(id, [], { pid });
    const leaderNode = nodeId(this.leader as string);
    const role = this.leader === id ? ('leader' as const) : ('follower' as const);
    return aNode(id, [aShard({ role, leaderNode, ...this.shardOf(id) })], { pid });
  }

  private answer({ op }: ManagerRequest): ManagerAnswer {
    if (op !== 'view') return { done: true, epoch: 43 };
    const nodes = this.members.map((id) =>
      aNodeView(id, { liveness: this.pidOf(id) === undefined ? 'left' : 'alive' }),
    );
    return { view: aView(nodes) };
  }
}
