/**
 * A story told step by step in the simulated world: a cluster, clients, and faults at exact moments. The checks of
 * `checks.ts` run after every event; at the end all faults are taken away, and the cluster must come back, hold the same
 * bytes everywhere, and have answered linearizably.
 *
 * `scenario(options, body)` is the implementation of one test: it tells the story under a few seeds, and when one fails
 * it says which, with the last lines of what happened.
 */

import type { ExecutionContext } from 'ava';
import { nodeId, type ShardId } from '../../src/base/index.js';
import type { OperationRecord } from '../../src/checker/index.js';
import type { Group } from '../../src/host/group.js';
import type { HostLimits } from '../../src/host/options.js';
import { foundingMap } from '../../src/meta/index.js';
import type { RaftOptions } from '../../src/raft/index.js';
import { arcAt, initHash, ringHash } from '../../src/ring/index.js';
import type { ClusterMap } from '../../src/wire/index.js';
import { usualSettings, usualTimings, withoutSystem } from '../support/maps.js';
import {
  assertLinearizable,
  compareStates,
  describeNodes,
  engineDelayMs,
  hasConverged,
  restoreMembership,
} from './agreement.js';
import { Checks, Violation } from './checks.js';
import { Life } from './life.js';
import { Network } from './network.js';
import { ScenarioClient, scenarioBucket } from './scenario-client.js';
import { type NodeSettings, SimNode } from './sim-node.js';
import { Traffic } from './traffic.js';
import { Workload, type WorkloadOptions } from './workload.js';
import { World } from './world.js';

export type ScenarioOptions = {
  readonly nodes?: number;
  readonly shards?: number;
  readonly raft?: Partial<Omit<RaftOptions, 'replicaId'>>;
  readonly limits?: Partial<HostLimits>;
  readonly segmentBytes?: number;
  /** Of each operation, with all its retries. */
  readonly timeoutMs?: number;
  readonly seeds?: readonly number[];
};

/** As a node is configured by default, but for sizes. */
export const usualRaft: NodeSettings['raft'] = {
  electionTimeoutMs: 1000,
  heartbeatIntervalMs: 50,
  voteHoldMs: 200,
  leaseMs: 150,
  maxAppendBytes: 40_000,
  maxInflightAppends: 64,
  maxUncommittedBytes: 1_000_000,
  quiesceAfterMs: 1e9,
};

export const usualLimits: HostLimits = {
  maxKeyBytes: 4096,
  maxValueBytes: 32_768,
  maxInflightOperations: 1000,
  maxPendingWriteBytes: 4_000_000,
  retainedLogBytes: 1_000_000,
  trailingLogBytes: 0,
  trimEveryBytes: 10_000_000,
  packEveryBytes: 1_000_000,
  diskStallMs: 2000,
};

/** How long a cluster may take to come back once nothing is wrong. */
const recoveryMs = 30_000;
const shownLines = 40;

export class Scenario {
  readonly world: World;
  readonly network: Network;
  readonly traffic: Traffic;
  readonly checks: Checks;
  readonly map: ClusterMap;
  readonly nodes: readonly SimNode[];
  readonly shards: number;
  /** What happened, a line an event. */
  readonly lines: string[] = [];
  /** The client everything is asked through, unless a story needs several. */
  readonly client: ScenarioClient;
  private readonly clients: ScenarioClient[] = [];
  private readonly workloads: Workload[] = [];
  private stamp = 0;
  private readonly marks: { readonly text: string; readonly action: (node: SimNode) => void }[] = [];

  constructor(
    readonly seed: number,
    private readonly options: ScenarioOptions,
  ) {
    const world = new World(seed);
    this.world = world;
    this.network = new Network(world);
    this.traffic = new Traffic(this.network);
    this.checks = new Checks(
      (value) => world.note(value),
      () => {},
    );
    const { nodes = 3, shards = 1 } = options;
    this.shards = shards;
    const ids = Array.from({ length: nodes }, (_, at) => nodeId(`n${at + 1}`));
    this.map = withoutSystem(
      foundingMap({
        cluster: 'sim',
        shards,
        replication: nodes,
        nodes: ids.map((id) => ({ id, zone: 'z', weight: 1 })),
        buckets: [{ name: scenarioBucket, id: 1 }],
        management: usualSettings,
        raft: usualTimings,
      }),
    );
    const settings: NodeSettings = {
      raft: { ...usualRaft, ...options.raft },
      limits: { ...usualLimits, ...options.limits },
      segmentBytes: options.segmentBytes ?? 256 * 1024,
      cacheBytes: 100_000,
    };
    const trace = (node: string, what: string, fields: Readonly<Record<string, unknown>> = {}): void =>
      this.trace(node, what, fields);
    const parts = { world, network: this.network, checks: this.checks, map: this.map, settings, trace };
    this.nodes = ids.map((id) => new SimNode(id, parts));
    world.afterEvent = (process) => {
      const node = this.nodes.find(({ id }) => id === process);
      if (node?.host !== undefined) this.checks.observe(node.id, node.host);
    };
    this.client = this.newClient('c1');
  }

  private trace(name: string, what: string, fields: Readonly<Record<string, unknown>>): void {
    this.lines.push(`${this.world.nowMs.toFixed(2).padStart(9)} ${name.padEnd(5)} ${what} ${JSON.stringify(fields)}`);
    const node = this.nodes.find(({ id }) => id === name);
    for (const mark of [...this.marks]) {
      if (!what.includes(mark.text) || node === undefined) continue;
      this.marks.splice(this.marks.indexOf(mark), 1);
      this.world.at(0, () => mark.action(node));
    }
  }

  /** Every node runs, every shard is led by its preferred node, and the client is connected. */
  async begin(): Promise<void> {
    for (const node of this.nodes) node.start();
    await this.until(() => this.shardIds.every((shardId) => this.isSettled(shardId)), 10_000, 'the first leaders');
    await this.wait(this.client.connect());
  }

  private isSettled(shardId: ShardId): boolean {
    const leader = this.leaderOf(shardId);
    return leader !== undefined && leader.id === this.map.shards.find(({ id }) => id === shardId)?.replicas[0]?.nodeId;
  }

  get shardIds(): readonly ShardId[] {
    return this.map.shards.map(({ id }) => id);
  }

  /** The only shard, where there is one. */
  get shard(): ShardId {
    return this.shardIds[0] as ShardId;
  }

  /** A key of that shard; different for every `number`. */
  keyOf(shardId: ShardId, number = 0): string {
    const starts = this.map.shards.map(({ arcStart }) => arcStart);
    for (let at = 0, found = 0; ; at++) {
      const key = `key-${at}`;
      if (this.map.shards[arcAt(starts, ringHash(Buffer.from(key)))]?.id !== shardId) continue;
      if (found++ === number) return key;
    }
  }

  groupOf(node: SimNode, shardId: ShardId): Group | undefined {
    for (const group of node.host?.replicas() ?? []) if (group.shardId === shardId) return group;
    return undefined;
  }

  /** This node's replica, which must be there. */
  group(node: SimNode, shardId: ShardId): Group {
    const group = this.groupOf(node, shardId);
    if (group === undefined) throw new Error(`${node.id} holds no replica of shard ${shardId}`);
    return group;
  }

  /** The leader of the latest term, once it may commit: everything of earlier terms is decided. */
  leaderOf(shardId: ShardId): SimNode | undefined {
    let leader: SimNode | undefined;
    let term = 0;
    for (const node of this.nodes) {
      const raft = this.groupOf(node, shardId)?.raft;
      if (raft === undefined || !raft.isLeader || raft.currentTerm <= term) continue;
      term = raft.currentTerm;
      leader = raft.term(raft.commitIndex) === term ? node : undefined;
    }
    return leader;
  }

  leader(shardId: ShardId = this.shard): SimNode {
    const leader = this.leaderOf(shardId);
    if (leader === undefined) throw new Error(`nobody leads shard ${shardId}`);
    return leader;
  }

  /** The other nodes, in the order of their names. */
  followers(shardId: ShardId = this.shard): readonly SimNode[] {
    const leader = this.leader(shardId);
    return this.nodes.filter((node) => node !== leader);
  }

  follower(shardId: ShardId = this.shard): SimNode {
    return this.followers(shardId)[0] as SimNode;
  }

  run(ms: number): Promise<void> {
    return this.world.runUntil(this.world.nowMs + ms);
  }

  /** Runs until the condition holds; returns the milliseconds that took. */
  async until(condition: () => boolean, maxMs: number, what: string): Promise<number> {
    const startMs = this.world.nowMs;
    await this.world.runUntil(startMs + maxMs, condition);
    if (condition()) return this.world.nowMs - startMs;
    throw new Violation('liveness', `not within ${maxMs} ms: ${what}; ${describeNodes(this.nodes)}`);
  }

  /** Runs until the promise is settled. */
  async wait<T>(promise: Promise<T>, maxMs = 60_000): Promise<T> {
    let isSettled = false;
    const settled = (): void => {
      isSettled = true;
    };
    promise.then(settled, settled);
    await this.until(() => isSettled, maxMs, 'an operation is answered');
    return promise;
  }

  /** Writes and waits; returns the milliseconds that took. */
  async put(key: string, value: string): Promise<number> {
    const startMs = this.world.nowMs;
    await this.wait(this.client.put(key, value));
    return this.world.nowMs - startMs;
  }

  get(key: string, consistency?: 'linearizable' | 'lease'): Promise<string | null> {
    return this.wait(this.client.get(key, consistency));
  }

  /** Fills a shard: `count` values of `bytes` each, one after another, so that each has an entry of its own. */
  async fill(count: number, bytes: number, name = 'filler', shardId: ShardId = this.shard): Promise<void> {
    for (let n = 0; n < count; n++) {
      await this.put(this.keyOf(shardId, n + 10), `${name}-${n}-`.padEnd(bytes, 'x'));
    }
  }

  newClient(name: string): ScenarioClient {
    const { world, network } = this;
    const nextStamp = (): number => this.stamp++;
    const { timeoutMs = 10_000 } = this.options;
    const client = new ScenarioClient({ world, network, name, number: this.clients.length + 1, timeoutMs, nextStamp });
    this.clients.push(client);
    return client;
  }

  /** Many operations at random, until `finish`. */
  startWorkload(options: Partial<WorkloadOptions> = {}): Workload {
    const number = 100 + this.workloads.length;
    const life = new Life(`w${number}`, this.world, { rate: 1, wallOffsetMs: 0 });
    const bus = this.network.connect(life.name, life);
    const usual = {
      cluster: 'sim',
      bucket: scenarioBucket,
      keys: 6,
      concurrency: 2,
      thinkMs: 20,
      leaseShare: 0.3,
      quorumShare: 0.2,
      oneShare: 0.1,
      largeShare: 0.1,
    };
    const all = { ...usual, timeoutMs: 3000, ...options };
    const workload = new Workload(number, this.world, life, bus, all, () => this.stamp++);
    this.workloads.push(workload);
    workload.start();
    return workload;
  }

  private get everyone(): readonly string[] {
    const workloads = this.workloads.map((_, at) => `w${100 + at}`);
    return [...this.nodes.map(({ id }) => id as string), ...this.clients.map(({ name }) => name), ...workloads];
  }

  /** Nothing passes between the two sides; the servers notice after a while, or never. */
  cut(one: readonly string[], other: readonly string[], noticedAfterMs = Number.POSITIVE_INFINITY): void {
    this.trace('fault', `cut ${one.join(' ')} from ${other.join(' ')}`, { noticedAfterMs });
    for (const a of one) {
      for (const b of other) {
        this.network.cut(a, b, noticedAfterMs);
        this.network.cut(b, a, noticedAfterMs);
      }
    }
  }

  /** Cuts a side off from everyone else. */
  isolate(side: readonly string[], noticedAfterMs?: number): void {
    const rest = this.everyone.filter((name) => !side.includes(name));
    this.cut(side, rest, noticedAfterMs);
  }

  mend(): void {
    this.trace('fault', 'all links mended', {});
    this.network.mendAll();
  }

  /** The log's disk of a node answers no write for that long. */
  hang(node: SimNode, forMs: number): void {
    this.trace('fault', `the disk of ${node.id} hangs`, { forMs });
    node.machine.weather.hangsUntilMs = this.world.nowMs + forMs;
  }

  /** How often something was logged. */
  logged(text: string): number {
    return this.lines.filter((line) => line.includes(text)).length;
  }

  /** The first time a node says this, it happens to that node, as an event of its own. */
  when(text: string, action: (node: SimNode) => void): void {
    this.marks.push({ text, action });
  }

  get history(): readonly OperationRecord[] {
    return [...this.clients.flatMap(({ history }) => history), ...this.workloads.flatMap(({ history }) => history)];
  }

  /** Nothing is wrong any more: everything comes back, agrees, and was answered linearizably. */
  async finish(): Promise<void> {
    this.trace('fault', 'all faults end', {});
    this.traffic.rules.clear();
    this.marks.length = 0;
    this.network.mendAll();
    Object.assign(this.network.weather, { loss: 0, duplication: 0, reorder: 0, jitterMs: 0 });
    for (const node of this.nodes) {
      Object.assign(node.machine.weather, { slowMs: 0.5, isFull: false, hangsUntilMs: 0, failNext: false });
      node.life?.resume();
      node.start();
    }
    for (const workload of this.workloads) workload.stop();
    const restore = (): void => {
      restoreMembership(this.nodes);
      this.world.at(200, restore);
    };
    restore();
    const isOver = (): boolean => this.workloads.every(({ isIdle }) => isIdle) && hasConverged(this.nodes);
    await this.until(isOver, recoveryMs, 'the cluster comes back and agrees');
    const keys = new Set(this.history.map(({ key }) => key));
    for (const key of keys) await this.get(key);
    await this.until(isOver, recoveryMs, 'the cluster agrees');
    // What was applied reaches the engine.
    await this.run(engineDelayMs);
    compareStates(this.nodes);
    assertLinearizable(this.history);
  }
}

const usualSeeds = [1, 2, 3];

/** One test: the story under a few seeds, each to a good end. */
export const scenario =
  (options: ScenarioOptions, body: (t: ExecutionContext, s: Scenario) => Promise<void>) =>
  async (t: ExecutionContext): Promise<void> => {
    await initHash();
    for (const seed of options.seeds ?? usualSeeds) {
      const s = new Scenario(seed, options);
      try {
        await s.begin();
        await body(t, s);
        await s.finish();
      } catch (error) {
        t.log(`seed ${seed}; the last of what happened:\n${s.lines.slice(-shownLines).join('\n')}`);
        throw error;
      }
    }
    t.pass();
  };
