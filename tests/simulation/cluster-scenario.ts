/**
 * A story about a cluster that manages itself, as `scenario.ts` tells those of bare hosts: nodes found it, join, leave,
 * die and come back, while clients work. The checks of `checks.ts` and `cluster-checks.ts` run after every event; at the
 * end everything is put right, and the cluster must come to rest, agree, and have answered linearizably.
 */
import type { ExecutionContext } from 'ava';
import type { ShardId } from '../../src/base/index.js';
import type { OperationRecord } from '../../src/checker/index.js';
import { allShards } from '../../src/host/index.js';
import { isMoving } from '../../src/meta/planning.js';
import { initHash } from '../../src/ring/index.js';
import type { ClusterMap, ClusterSettings, ManagerAnswer, ManagerRequest, MapChange } from '../../src/wire/index.js';
import { assertLinearizable, engineDelayMs } from './agreement.js';
import { Violation } from './checks.js';
import { Life } from './life.js';
import { usualLimits, usualRaft } from './scenario.js';
import { ScenarioClient, scenarioBucket } from './scenario-client.js';
import { SimCluster } from './sim-cluster.js';
import type { NodeSettings, SimNode } from './sim-node.js';
import { Workload, type WorkloadOptions } from './workload.js';
import { World } from './world.js';

export type ClusterScenarioOptions = {
  readonly founders?: number;
  readonly spares?: number;
  readonly shards?: number;
  readonly management?: Partial<ClusterSettings>;
  readonly limits?: Partial<NodeSettings['limits']>;
  readonly seeds?: readonly number[];
};

/** How long a cluster may take to come to rest once nothing is wrong. */
const recoveryMs = 60_000;
const shownLines = 60;

export class ClusterScenario {
  readonly world: World;
  readonly cluster: SimCluster;
  readonly lines: string[] = [];
  readonly client: ScenarioClient;
  readonly workloads: Workload[] = [];
  private stamp = 0;
  private readonly marks: { readonly text: string; readonly action: (node: SimNode) => void }[] = [];
  private readonly changeMarks: {
    readonly isIt: (change: MapChange, map: ClusterMap) => boolean;
    readonly action: () => void;
  }[] = [];

  constructor(
    readonly seed: number,
    { founders = 3, spares = 0, shards = 4, management = {}, limits = {} }: ClusterScenarioOptions,
  ) {
    const world = new World(seed);
    this.world = world;
    const settings = {
      raft: usualRaft,
      limits: { ...usualLimits, ...limits },
      segmentBytes: 256 * 1024,
      cacheBytes: 100_000,
    };
    const options = { founders, spares, shards, replication: 3, settings };
    this.cluster = new SimCluster(
      world,
      { ...options, management: { downAfterMs: 4000, ...management } },
      (node, what, fields = {}) => this.trace(node, what, fields),
    );
    this.cluster.onChange = (change, map) => {
      for (const mark of [...this.changeMarks]) {
        if (!mark.isIt(change, map)) continue;
        this.changeMarks.splice(this.changeMarks.indexOf(mark), 1);
        world.at(0, mark.action);
      }
    };
    const nextStamp = (): number => this.stamp++;
    const { network } = this.cluster;
    this.client = new ScenarioClient({ world, network, name: 'c1', number: 1, timeoutMs: 20_000, nextStamp });
  }

  trace(name: string, what: string, fields: Readonly<Record<string, unknown>> = {}): void {
    this.lines.push(`${this.world.nowMs.toFixed(2).padStart(9)} ${name.padEnd(5)} ${what} ${JSON.stringify(fields)}`);
    const node = this.cluster?.nodes.find(({ id }) => id === name);
    for (const mark of [...this.marks]) {
      if (!what.includes(mark.text) || node === undefined) continue;
      this.marks.splice(this.marks.indexOf(mark), 1);
      this.world.at(0, () => mark.action(node));
    }
  }

  /** The first time a node says this, it happens to that node, as an event of its own. */
  when(text: string, action: (node: SimNode) => void): void {
    this.marks.push({ text, action });
  }

  /** The first change of the map that is of this kind. */
  whenChanged(kind: MapChange['kind'], action: () => void): void {
    this.changeMarks.push({ isIt: (change) => change.kind === kind, action });
  }

  logged(text: string): number {
    return this.lines.filter((line) => line.includes(text)).length;
  }

  changesOf(kind: MapChange['kind']): readonly MapChange[] {
    return this.cluster.truth.changes.filter((change) => change.kind === kind);
  }

  get map(): ClusterMap {
    return this.cluster.map;
  }

  node(id: string): SimNode {
    return this.cluster.node(id);
  }

  /** The cluster is founded and at rest, and the client is connected. */
  async begin(): Promise<void> {
    for (const node of this.cluster.founders) node.start();
    await this.rest('the cluster is founded', 20_000);
    await this.wait(this.client.connect());
  }

  run(ms: number): Promise<void> {
    return this.world.runUntil(this.world.nowMs + ms);
  }

  async until(condition: () => boolean, maxMs: number, what: string): Promise<number> {
    const startMs = this.world.nowMs;
    await this.world.runUntil(startMs + maxMs, condition);
    if (condition()) return this.world.nowMs - startMs;
    const left = this.cluster.whatIsLeft() ?? 'the cluster is at rest';
    throw new Violation('liveness', `not within ${maxMs} ms: ${what}; ${left}${this.cluster.describe()}`);
  }

  async wait<T>(promise: Promise<T>, maxMs = 60_000): Promise<T> {
    let isSettled = false;
    const settled = (): void => {
      isSettled = true;
    };
    promise.then(settled, settled);
    await this.until(() => isSettled, maxMs, 'an operation is answered');
    return promise;
  }

  /** Nothing is left to be done. `isEnough`: and this holds. */
  rest(what: string, maxMs = recoveryMs, isEnough: () => boolean = () => true): Promise<number> {
    let nextLookMs = 0;
    let isOver = false;
    const look = (): boolean => {
      if (this.world.nowMs < nextLookMs) return isOver;
      nextLookMs = this.world.nowMs + 20;
      isOver = isEnough() && this.cluster.whatIsLeft() === undefined;
      return isOver;
    };
    return this.until(look, maxMs, what);
  }

  /** An order, or a question, to the manager; waits for its answer. */
  ask(request: ManagerRequest, timeoutMs = 20_000): Promise<ManagerAnswer> {
    return this.wait(this.client.raw.manage(request, timeoutMs));
  }

  /** Begun, and left to itself. */
  order(request: ManagerRequest): void {
    this.client.raw.manage(request, 20_000).catch(() => {});
  }

  async put(key: string, value: string): Promise<void> {
    await this.wait(this.client.put(key, value));
  }

  get(key: string): Promise<string | null> {
    return this.wait(this.client.get(key));
  }

  /** Some data in every shard. */
  async fill(count = 40, bytes = 100): Promise<void> {
    for (let n = 0; n < count; n++) await this.put(`data-${n}`, `${n}-`.padEnd(bytes, 'x'));
  }

  async expectFilled(t: ExecutionContext, count = 40, bytes = 100): Promise<void> {
    for (let n = 0; n < count; n++) t.is(await this.get(`data-${n}`), `${n}-`.padEnd(bytes, 'x'));
  }

  startWorkload(options: Partial<WorkloadOptions> = {}): Workload {
    const number = 100 + this.workloads.length;
    const life = new Life(`w${number}`, this.world, { rate: 1, wallOffsetMs: 0 });
    const bus = this.cluster.network.connect(life.name, life);
    const usual = { cluster: 'sim', bucket: scenarioBucket, keys: 12, concurrency: 2, thinkMs: 30 };
    const all = {
      ...usual,
      leaseShare: 0.3,
      quorumShare: 0.2,
      oneShare: 0.1,
      largeShare: 0.1,
      timeoutMs: 5000,
      ...options,
    };
    const workload = new Workload(number, this.world, life, bus, all, () => this.stamp++);
    this.workloads.push(workload);
    workload.start();
    return workload;
  }

  /** Nothing passes between these and everybody else. */
  isolate(side: readonly string[], noticedAfterMs = Number.POSITIVE_INFINITY): void {
    this.trace('fault', `${side} cut off`);
    const others = ['c1', ...this.workloads.map((_, at) => `w${100 + at}`), ...this.cluster.nodes.map(({ id }) => id)];
    for (const one of side) {
      for (const other of others) {
        if (side.includes(other)) continue;
        this.cluster.network.cut(one, other, noticedAfterMs);
        this.cluster.network.cut(other, one, noticedAfterMs);
      }
    }
  }

  mend(): void {
    this.trace('fault', 'all links mended');
    this.cluster.network.mendAll();
  }

  movingShards(): readonly ShardId[] {
    return allShards(this.map)
      .filter(isMoving)
      .map(({ id }) => id);
  }

  private get history(): readonly OperationRecord[] {
    return [...this.client.history, ...this.workloads.flatMap(({ history }) => history)];
  }

  /** Nothing is wrong any more: what is not dead for good comes back, and the cluster comes to rest and agrees. */
  async finish(): Promise<void> {
    this.trace('fault', 'all faults end');
    this.marks.length = 0;
    const { cluster, world } = this;
    cluster.network.watch = () => true;
    cluster.network.mendAll();
    for (const node of cluster.members) {
      node.life?.resume();
      node.start();
    }
    for (const workload of this.workloads) workload.stop();
    await this.until(() => this.workloads.every(({ isIdle }) => isIdle), recoveryMs, 'clients are answered');
    await this.rest('the cluster comes to rest');
    for (const key of new Set(this.history.map((record) => record.key))) await this.get(key);
    await this.rest('the cluster agrees');
    // What was applied reaches the engine.
    await world.runUntil(world.nowMs + engineDelayMs);
    cluster.compareStates();
    assertLinearizable(this.history);
  }
}

const usualSeeds = [1, 2];

/** One test: the story under a few seeds, each to a good end. */
export const clusterScenario =
  (options: ClusterScenarioOptions, body: (t: ExecutionContext, s: ClusterScenario) => Promise<void>) =>
  async (t: ExecutionContext): Promise<void> => {
    await initHash();
    for (const seed of options.seeds ?? usualSeeds) {
      const s = new ClusterScenario(seed, options);
      try {
        await body(t, s);
        await s.finish();
      } catch (error) {
        t.log(`seed ${seed}; the last of what happened:\n${s.lines.slice(-shownLines).join('\n')}`);
        throw error;
      }
    }
    t.pass();
  };
