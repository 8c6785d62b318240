/**
 * One run from one seed of a cluster that manages itself: nodes join, leave, die and come back, shards are moved by
 * order, and everything of `simulation.ts` goes wrong as well, under load. Then all is put right, and the cluster must
 * come to rest, agree, and have answered linearizably.
 */
import { crc32 } from 'node:zlib';
import { messageOf } from '../../src/base/index.js';
import type { OperationRecord } from '../../src/checker/index.js';
import { allShards } from '../../src/host/index.js';
import { homesOf, isMoving, receivers } from '../../src/meta/planning.js';
import { initHash } from '../../src/ring/index.js';
import type { ManagerRequest } from '../../src/wire/index.js';
import { assertLinearizable, checkLeases, engineDelayMs, isWhole } from './agreement.js';
import { Violation } from './checks.js';
import { clusterKinds, drawFaults, type Fault, type FaultKind, faultKinds } from './faults.js';
import { Injection } from './injection.js';
import { Life } from './life.js';
import { retention, trimming } from './retention.js';
import { ScenarioClient } from './scenario-client.js';
import { clusterBucket, SimCluster } from './sim-cluster.js';
import type { SimNode } from './sim-node.js';
import { drawnTimings, type RunOptions, type RunResult } from './simulation.js';
import { Workload } from './workload.js';
import { World } from './world.js';

/** Members of a group are changed through the map alone. */
export const usualClusterKinds: readonly FaultKind[] = [
  ...faultKinds.filter((kind) => kind !== 'membership'),
  ...clusterKinds,
];

const isOrder = (kind: FaultKind): boolean => (clusterKinds as readonly FaultKind[]).includes(kind);
const recoveryMs = 120_000;
const orderTimeoutMs = 3000;

export async function runClusterSeed(seed: number, options: RunOptions = {}): Promise<RunResult> {
  await initHash();
  return new ClusterSimulation(seed, options).run();
}

class ClusterSimulation {
  private readonly world: World;
  private readonly cluster: SimCluster;
  private readonly workloads: Workload[] = [];
  private readonly administrator: ScenarioClient;
  private readonly injection: Injection;
  private readonly faults: readonly Fault[];
  private readonly faultsEndMs: number;
  /** Machines that hold less than they should for now: another one could be one too many. */
  private readonly lost = new Set<SimNode>();
  private elections = 0;
  private stamp = 0;
  private isOver = false;

  constructor(
    private readonly seed: number,
    private readonly options: RunOptions,
  ) {
    const world = new World(seed);
    this.world = world;
    const trace: ClusterSimulation['trace'] = (node, what, fields) => this.trace(node, what, fields);
    const settings = {
      raft: {
        ...world.pick(drawnTimings),
        maxAppendBytes: world.pick([300, 4000, 40_000]),
        maxInflightAppends: world.pick([1, 4, 64]),
        maxUncommittedBytes: 200_000,
        quiesceAfterMs: world.pick([100, 500, 1e9]),
      },
      limits: {
        maxKeyBytes: 4096,
        maxValueBytes: 8192,
        maxInflightOperations: 1000,
        maxPendingWriteBytes: 1_000_000,
        ...retention(world.pick([1000, 20_000])),
        ...trimming(world.pick([20_000, 200_000])),
        diskStallMs: world.pick([300, 2000]),
      },
      segmentBytes: world.pick([64 * 1024, 256 * 1024]),
      cacheBytes: world.pick([2000, 100_000]),
    };
    const founders = world.pick([3, 3, 4, 5]);
    const cluster = new SimCluster(
      world,
      {
        founders,
        spares: world.between(1, 3),
        shards: world.pick([2, 3, 5]),
        replication: 3,
        settings,
        management: { downAfterMs: world.pick([1500, 3000, 6000]), maxMoves: world.pick([1, 2, 4]) },
        gossip: { periodMs: world.pick([250, 500]), pingTimeoutMs: 100 },
      },
      trace,
    );
    this.cluster = cluster;
    for (const node of cluster.spares) node.isRetired = true;
    cluster.onElection = (node, shardId, term) => {
      this.elections++;
      checkLeases(cluster.nodes, node, shardId, term);
      this.injection.onElection(node);
    };
    const clients = Array.from({ length: world.between(1, 2) }, (_, at) => `c${at + 1}`);
    this.faultsEndMs = world.pick([5000, 10_000, 20_000]);
    const thinkMs = world.pick([60, 200, 500]);
    const nextStamp = (): number => this.stamp++;
    clients.forEach((name, at) => {
      const life = new Life(name, world, { rate: 1, wallOffsetMs: 0 });
      const bus = cluster.network.connect(name, life);
      const keys = world.pick([3, 8]);
      const usual = { cluster: 'sim', bucket: clusterBucket.name, keys, concurrency: world.between(1, 3), thinkMs };
      const workloadOptions = {
        ...usual,
        leaseShare: world.pick([0, 0.3, 1]),
        quorumShare: world.pick([0, 0.3]),
        oneShare: world.pick([0, 0.2]),
        largeShare: world.pick([0.1, 0.7]),
        timeoutMs: world.pick([1000, 3000]),
      };
      this.workloads.push(new Workload(at + 1, world, life, bus, workloadOptions, nextStamp));
    });
    this.administrator = new ScenarioClient({
      world,
      network: cluster.network,
      name: 'admin',
      number: 99,
      timeoutMs: orderTimeoutMs,
      nextStamp,
    });
    this.injection = new Injection({
      world,
      network: cluster.network,
      nodes: cluster.nodes,
      clients: [...clients, 'admin'],
      trace,
      mayLose: () => this.isSpare && cluster.whatIsLeft() === undefined,
      onLost: (node) => void this.lost.add(node),
      changeMembership: () => false,
      onCluster: (fault) => this.onCluster(fault),
    });
    const drawn = this.draw(options.kinds ?? usualClusterKinds);
    this.faults = options.faults ?? drawn;
  }

  private trace(node: string, what: string, fields: Readonly<Record<string, unknown>> = {}): void {
    const { world } = this;
    world.note(crc32(node + what));
    this.options.onTrace?.(`${world.nowMs.toFixed(2).padStart(9)} ${node.padEnd(5)} ${what} ${JSON.stringify(fields)}`);
  }

  private draw(kinds: readonly FaultKind[]): readonly Fault[] {
    const { world, cluster, faultsEndMs: untilMs } = this;
    const nodes = cluster.nodes.length;
    const some = (all: readonly FaultKind[]): readonly FaultKind[] =>
      world.chance(0.5) ? all : all.filter(() => world.chance(0.4));
    const orders = some(kinds.filter(isOrder));
    // A node without its disk numbers its lives by the wall clock: set back, it would not be listened to.
    const isTrouble = (kind: FaultKind): boolean =>
      !isOrder(kind) && !(kind === 'clock-jump' && orders.includes('lose-disk'));
    const troubles = some(kinds.filter(isTrouble));
    return [
      ...drawFaults(world, { untilMs, most: world.pick([3, 8, 16]), nodes, kinds: orders }),
      ...(world.chance(0.2)
        ? []
        : drawFaults(world, { untilMs, most: world.pick([2, 4, 10]), nodes, kinds: troubles })),
    ].sort((a, b) => a.atMs - b.atMs);
  }

  /** Whether another machine may lose what it holds. */
  private get isSpare(): boolean {
    const { cluster } = this;
    for (const node of this.lost) if (isWhole(node)) this.lost.delete(node);
    const isReplaced = (node: SimNode): boolean =>
      allShards(cluster.map).every((shard) => !homesOf(shard).includes(node.id) && !shard.leaving.includes(node.id));
    return cluster.truth.map !== undefined && this.lost.size === 0 && [...cluster.dead].every(isReplaced);
  }

  private order(request: ManagerRequest): void {
    if (!this.isConnected) return;
    this.administrator.raw.manage(request, orderTimeoutMs).catch(() => {});
  }

  private isConnected = false;

  private connect(): void {
    this.administrator.connect().then(
      () => {
        this.isConnected = true;
      },
      () => {
        if (!this.isOver) this.world.at(100, () => this.connect());
      },
    );
  }

  private onCluster(fault: Fault): (() => void) | undefined {
    const { cluster } = this;
    const { map } = cluster;
    const first = cluster.nodes[fault.nodes[0] as number] as SimNode;
    const isMember = map.nodes.some(({ id }) => id === first.id);
    const { id: node } = first;
    switch (fault.kind) {
      case 'join': {
        const spare = cluster.spares.find((one) => one.isRetired && one.starts === 0);
        if (spare === undefined) return undefined;
        spare.isRetired = false;
        spare.start();
        return () => {};
      }
      case 'drain':
      case 'recommission':
      case 'decommission':
        if (!isMember) return undefined;
        this.order({ op: fault.kind, node });
        return () => {
          // An administrator asks again.
          if (fault.strength < 0.5) this.order({ op: fault.kind as 'decommission', node });
        };
      case 'move':
      case 'cancel-move':
        return this.moveShard(fault);
      case 'set-moves':
        this.order({ op: 'settings', set: { maxMoves: 1 + Math.floor(fault.strength * 4) } });
        return () => {};
      case 'restart':
        if (first.host === undefined || first.life?.isPaused !== false) return undefined;
        void first.stop().catch((error: unknown) => this.world.fail(error));
        return () => {
          if (first.isUp) first.crash(false);
          first.start();
        };
      case 'die':
        return this.die(first, fault);
      case 'lose-disk':
        if (!this.isSpare || !first.isUp || !isMember || !cluster.truth.maySpare(first.id)) return undefined;
        if (first.isAheadOfClock(fault.forMs)) return undefined;
        first.crash(true);
        first.wipe();
        this.lost.add(first);
        return () => first.start();
      default:
        return undefined;
    }
  }

  private moveShard({ kind, nodes, strength }: Fault): (() => void) | undefined {
    const { cluster } = this;
    const all = allShards(cluster.map);
    if (kind === 'cancel-move') {
      const shard = all.find(isMoving);
      if (shard === undefined) return undefined;
      cluster.wasShardMoved = true;
      this.order({ op: 'cancelMove', shard: shard.id });
      return () => {};
    }
    const shard = all[Math.floor(strength * all.length)];
    if (shard === undefined) return undefined;
    const homes = homesOf(shard);
    const order = nodes.map((at) => cluster.nodes[at]?.id);
    const from = order.find((id) => id !== undefined && homes.includes(id));
    const to = receivers(cluster.map).find(({ id }) => !homes.includes(id))?.id;
    if (from === undefined || to === undefined) return undefined;
    cluster.wasShardMoved = true;
    this.order({ op: 'move', shard: shard.id, from, to });
    return () => {};
  }

  /** A machine that never comes back, or only when it is not needed any more. */
  private die(node: SimNode, { strength }: Fault): (() => void) | undefined {
    const { cluster } = this;
    if (!this.isSpare || !node.isUp || !cluster.truth.maySpare(node.id)) return undefined;
    const left = receivers(cluster.map).filter(({ id }) => id !== node.id && !cluster.dead.has(cluster.node(id)));
    if (left.length < cluster.map.replication) return undefined;
    cluster.kill(node, strength < 0.5);
    if (strength % 0.5 < 0.25) return () => {};
    this.world.at(8000 * strength, () => cluster.revive(node));
    return () => {};
  }

  async run(): Promise<RunResult> {
    const error = await this.findFailure();
    let failure: RunResult['failure'];
    if (error !== undefined) {
      const check = error instanceof Violation ? error.check : error instanceof Error ? error.name : 'error';
      failure = { check, message: messageOf(error) };
      this.options.onTrace?.(`FAILED ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
    }
    const counts = { ok: 0, refused: 0, failed: 0, unknown: 0, proven: 0, aged: 0 };
    for (const workload of this.workloads) {
      for (const name of ['ok', 'refused', 'failed', 'unknown', 'proven', 'aged'] as const)
        counts[name] += workload.counts[name];
    }
    const sum = (name: string): number =>
      this.cluster.nodes.reduce((total, { host }) => total + (host?.status.counters[name] ?? 0), 0);
    return {
      seed: this.seed,
      failure,
      faults: this.faults,
      injected: Object.fromEntries(this.injection.injected),
      operations: counts,
      checked: this.history.length,
      elections: this.elections,
      snapshots: sum('snapshotsInstalled'),
      configurations: this.cluster.checks.configurations,
      repairs: sum('replicasRebuilt'),
      mapChanges: this.cluster.truth.changes.length,
      events: this.world.events,
      virtualMs: Math.round(this.world.nowMs),
      digest: this.world.digest,
      history: this.history,
    };
  }

  /** The first thing that went wrong. A promise that was broken comes before a cluster that did not come back. */
  private async findFailure(): Promise<unknown> {
    let failure: unknown;
    try {
      await this.underFaults();
      await this.recover();
    } catch (error) {
      failure = error;
    }
    if (failure !== undefined && !(failure instanceof Violation && failure.check === 'liveness')) return failure;
    try {
      assertLinearizable(this.history);
    } catch (error) {
      return error;
    }
    return failure;
  }

  private get history(): OperationRecord[] {
    return this.workloads.flatMap((workload) => workload.history);
  }

  private async underFaults(): Promise<void> {
    const { world, cluster } = this;
    for (const node of cluster.founders) world.at(world.pick([0, 50, 4000]) * world.fraction(), () => node.start());
    for (const workload of this.workloads) workload.start();
    this.connect();
    this.injection.plan(this.faults);
    await world.runUntil(this.faultsEndMs);
  }

  /** Faults and orders stop; the cluster must come to rest, answer, and agree in every byte. */
  private async recover(): Promise<void> {
    const { world, cluster } = this;
    this.isOver = true;
    this.trace('fault', 'all faults end');
    this.injection.heal();
    const endMs = world.nowMs + recoveryMs;
    await this.until(() => this.workloads.every(({ isConnected }) => isConnected), endMs, 'clients find the cluster');
    await world.runUntil(world.nowMs + 500);
    for (const workload of this.workloads) workload.stop();
    await this.until(() => this.workloads.every(({ isIdle }) => isIdle), endMs, 'clients are answered');
    const makeRoom = (): void => {
      const { map } = cluster;
      // Some were being stopped when the faults ended.
      for (const node of cluster.nodes) node.start();
      if (receivers(map).length < map.replication) {
        for (const { id, condition } of map.nodes) {
          if (condition === 'draining' || condition === 'drained') this.order({ op: 'recommission', node: id });
        }
      }
      world.at(4000, makeRoom);
    };
    makeRoom();
    await this.until(() => cluster.whatIsLeft() === undefined, endMs, 'the cluster comes to rest');
    let readsLeft = this.workloads.length;
    for (const workload of this.workloads) {
      workload.readAll().then(
        () => {
          readsLeft--;
        },
        (error: unknown) => world.fail(new Violation('liveness', `a client cannot read: ${messageOf(error)}`)),
      );
    }
    await this.until(() => readsLeft === 0 && cluster.whatIsLeft() === undefined, endMs, 'clients read, and rest');
    // What was applied reaches the engine.
    await world.runUntil(world.nowMs + engineDelayMs);
    cluster.compareStates();
    this.checkLoads();
  }

  private async until(condition: () => boolean, endMs: number, what: string): Promise<void> {
    let nextLookMs = 0;
    let isMet = false;
    const look = (): boolean => {
      if (this.world.nowMs >= nextLookMs) {
        nextLookMs = this.world.nowMs + 50;
        isMet = condition();
      }
      return isMet;
    };
    await this.world.runUntil(endMs, look);
    if (condition()) return;
    const left = this.cluster.whatIsLeft() ?? 'the cluster is at rest';
    throw new Violation(
      'liveness',
      `${recoveryMs} ms after the last fault: ${what}; ${left}${this.cluster.describe()}`,
    );
  }

  private checkLoads(): void {
    const { loads, map, wasShardMoved } = this.cluster;
    if (wasShardMoved || loads.length < map.replication) return;
    const fair = (map.shards.length * map.replication) / loads.length;
    for (const { id, replicas } of loads) {
      if (replicas <= Math.ceil(1.1 * fair) && replicas >= Math.floor(0.9 * fair)) continue;
      throw new Violation('loads', `${id} has ${replicas} replicas, fair are ${fair}`);
    }
  }
}
