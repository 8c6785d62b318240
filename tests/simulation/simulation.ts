/**
 * One run from one seed: a cluster of real nodes in a simulated world, clients, faults, and all checks. First faults
 * under load; then everything is put right, and the cluster must come back and agree.
 */

import { crc32 } from 'node:zlib';
import { isRingraftError, messageOf, nodeId } from '../../src/base/index.js';
import type { OperationRecord } from '../../src/checker/index.js';
import { foundingMap } from '../../src/meta/index.js';
import { initHash } from '../../src/ring/index.js';
import { usualSettings, usualTimings, withoutSystem } from '../support/maps.js';
import {
  assertLinearizable,
  checkLeases,
  compareStates,
  describeNodes,
  engineDelayMs,
  hasConverged,
  isWhole,
  restoreMembership,
} from './agreement.js';
import { Checks, Violation } from './checks.js';
import { drawFaults, type Fault, type FaultKind, faultKinds } from './faults.js';
import { Injection } from './injection.js';
import { Life } from './life.js';
import { Network } from './network.js';
import { retention, trimming } from './retention.js';
import { SimNode } from './sim-node.js';
import { Workload } from './workload.js';
import { World } from './world.js';

export type RunOptions = {
  readonly kinds?: readonly FaultKind[];
  /** Instead of those the seed would draw. */
  readonly faults?: readonly Fault[];
  /** Called with every line of what happens. */
  readonly onTrace?: (line: string) => void;
};

export type RunResult = {
  readonly seed: number;
  readonly failure: { readonly check: string; readonly message: string } | undefined;
  readonly faults: readonly Fault[];
  readonly injected: Readonly<Record<string, number>>;
  readonly operations: {
    readonly ok: number;
    readonly refused: number;
    readonly failed: number;
    readonly unknown: number;
    readonly proven: number;
    readonly aged: number;
  };
  readonly checked: number;
  readonly elections: number;
  readonly snapshots: number;
  readonly configurations: number;
  readonly repairs: number;
  /** Of the cluster map, where the cluster manages itself. */
  readonly mapChanges: number;
  readonly events: number;
  readonly virtualMs: number;
  readonly digest: string;
  readonly history: readonly OperationRecord[];
};

const bucket = { name: 'default', id: 1 };
/** Clocks may drift by 10 % either way: every lease is shorter than the hold by more than that. */
export const drawnTimings = [
  { electionTimeoutMs: 1000, heartbeatIntervalMs: 50, voteHoldMs: 150, leaseMs: 110 },
  { electionTimeoutMs: 400, heartbeatIntervalMs: 90, voteHoldMs: 200, leaseMs: 150 },
  { electionTimeoutMs: 600, heartbeatIntervalMs: 250, voteHoldMs: 600, leaseMs: 450 },
] as const;
/** How long the cluster may take to come back and agree once nothing is wrong any more. */
const recoveryMs = 30_000;

export async function runSeed(seed: number, options: RunOptions = {}): Promise<RunResult> {
  await initHash();
  return new Simulation(seed, options).run();
}

class Simulation {
  private readonly world: World;
  private readonly network: Network;
  private readonly checks: Checks;
  private readonly nodes: readonly SimNode[];
  private readonly workloads: Workload[] = [];
  private readonly injection: Injection;
  private readonly faults: readonly Fault[];
  private readonly faultsEndMs: number;
  private stamp = 0;

  constructor(
    private readonly seed: number,
    private readonly options: RunOptions,
  ) {
    const world = new World(seed);
    this.world = world;
    this.network = new Network(world);
    this.checks = new Checks(
      (value) => world.note(value),
      (node, shardId, term) => {
        checkLeases(this.nodes, node, shardId, term);
        this.injection.onElection(node);
      },
    );
    const replication = world.chance(0.8) ? 3 : 5;
    const ids = Array.from({ length: replication }, (_, at) => nodeId(`n${at + 1}`));
    const shards = world.pick([1, 1, 2, 3]);
    const map = withoutSystem(
      foundingMap({
        cluster: 'sim',
        shards,
        replication,
        nodes: ids.map((id) => ({ id, zone: 'z', weight: 1 })),
        buckets: [bucket],
        management: usualSettings,
        raft: usualTimings,
      }),
    );
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
        ...retention(world.pick([0, 1000, 20_000])),
        ...trimming(world.pick([2000, 20_000, 200_000])),
        diskStallMs: world.pick([300, 2000]),
      },
      segmentBytes: world.pick([16 * 1024, 64 * 1024]),
      cacheBytes: world.pick([2000, 100_000]),
    };
    const trace = (node: string, what: string, fields: Readonly<Record<string, unknown>> = {}): void =>
      this.trace(node, what, fields);
    const parts = { world, network: this.network, checks: this.checks, map, settings, trace };
    this.nodes = ids.map((id) => new SimNode(id, parts));
    const clients = Array.from({ length: world.between(1, 3) }, (_, at) => `c${at + 1}`);
    this.faultsEndMs = world.pick([2000, 4000, 6000]);
    const thinkMs = world.pick([30, 80, 200]);
    const leaseShare = world.pick([0, 0.3, 1]);
    const quorumShare = world.pick([0, 0.3, 1]);
    const oneShare = world.pick([0, 0.2]);
    const largeShare = world.pick([0.1, 0.7]);
    clients.forEach((name, at) => {
      const life = new Life(name, world, { rate: 1, wallOffsetMs: 0 });
      const workload = new Workload(
        at + 1,
        world,
        life,
        this.network.connect(name, life),
        {
          cluster: 'sim',
          bucket: bucket.name,
          keys: world.pick([1, 3, 8]),
          concurrency: world.between(1, 3),
          thinkMs,
          leaseShare,
          quorumShare,
          oneShare,
          largeShare,
          timeoutMs: world.pick([300, 1000, 3000]),
        },
        () => this.stamp++,
      );
      this.workloads.push(workload);
    });
    this.injection = new Injection({
      world,
      network: this.network,
      nodes: this.nodes,
      clients,
      trace,
      mayLose: () => this.isSpare,
      onLost: (node) => void this.lost.add(node),
      changeMembership: (fault) => this.changeMembership(fault),
    });
    const kinds = options.kinds ?? faultKinds;
    const drawn = drawFaults(world, {
      untilMs: this.faultsEndMs,
      most: world.pick([2, 6, 16]),
      nodes: replication,
      // Few kinds of trouble often find what many of them hide.
      kinds: world.chance(0.5) ? kinds : kinds.filter(() => world.chance(0.3)),
    });
    this.faults = options.faults ?? drawn;
    world.afterEvent = (process) => this.afterEvent(process);
  }

  private afterEvent(process: string | undefined): void {
    if (process === undefined) return;
    const node = this.nodes.find(({ id }) => id === process);
    if (node?.host !== undefined) this.checks.observe(process, node.host);
  }

  private trace(node: string, what: string, fields: Readonly<Record<string, unknown>>): void {
    this.world.note(crc32(node + what));
    this.options.onTrace?.(
      `${this.world.nowMs.toFixed(2).padStart(9)} ${node.padEnd(5)} ${what} ${JSON.stringify(fields)}`,
    );
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

  async run(): Promise<RunResult> {
    let failure: RunResult['failure'];
    const error = await this.findFailure();
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
    return {
      seed: this.seed,
      failure,
      faults: this.faults,
      injected: Object.fromEntries(this.injection.injected),
      operations: counts,
      checked: this.history.length,
      elections: this.checks.elections,
      snapshots: this.snapshots,
      configurations: this.checks.configurations,
      repairs: this.nodes.reduce((sum, node) => sum + (node.host?.status.counters.replicasRebuilt ?? 0), 0),
      mapChanges: 0,
      events: this.world.events,
      virtualMs: Math.round(this.world.nowMs),
      digest: this.world.digest,
      history: this.history,
    };
  }

  private get history(): OperationRecord[] {
    return this.workloads.flatMap((workload) => workload.history);
  }

  private get snapshots(): number {
    return this.nodes.reduce((sum, node) => sum + (node.host?.status.counters.snapshotsInstalled ?? 0), 0);
  }

  /** Nodes whose replicas may have to be replaced, and have not all been yet. */
  private readonly lost = new Set<SimNode>();

  /**
   * Every node holds a voting replica of every shard, and nothing is changing: one of them may lose its own, or become
   * a learner. A second loss could leave a shard without a majority for ever.
   */
  private get isSpare(): boolean {
    for (const other of this.lost) if (isWhole(other)) this.lost.delete(other);
    return this.lost.size === 0 && this.nodes.every((node) => isWhole(node));
  }

  private changeMembership({ nodes, strength }: Fault): boolean {
    const groups = this.nodes.flatMap((node) => [...(node.host?.replicas() ?? [])].map((group) => ({ node, group })));
    if (strength < 0.5) {
      // A replica is given up and comes back under a new id.
      const node = this.nodes[nodes[0] as number] as SimNode;
      const mine = groups.filter((one) => one.node === node);
      if (mine.length === 0 || node.life?.isPaused !== false || !this.isSpare) return false;
      const { group } = mine[Math.floor(strength * 2 * mine.length)] as (typeof mine)[number];
      this.lost.add(node);
      node.life?.run(() => {
        try {
          node.host?.rebuildReplica(group.shardId, 'asked for');
        } catch (error) {
          // Refused: by the time a paused node runs again, the membership may be changing.
          if (!isRingraftError(error)) throw error;
        }
      });
      return true;
    }
    // A voter becomes a learner, or a learner a voter.
    const led = groups.filter(({ node, group }) => group.raft.isLeader && node.life?.isPaused === false);
    if (led.length === 0) return false;
    const { node, group } = led[Math.floor((strength - 0.5) * 2 * led.length)] as (typeof led)[number];
    const { voters, learners } = group.raft.configuration;
    const learner = learners[0];
    const target =
      learner === undefined
        ? { voters: voters.slice(1), learners: voters.slice(0, 1) }
        : { voters: [...voters, learner], learners: learners.slice(1) };
    if (learner === undefined && !this.isSpare) return false;
    if (learner !== undefined && group.voterOn(group.nodes.get(learner) ?? node.id) !== 0) return false;
    let begun = false;
    node.life?.run(() => {
      begun = typeof group.raft.proposeConfiguration(target) !== 'string';
      if (begun) node.host?.wake(group);
    });
    return begun;
  }

  private async underFaults(): Promise<void> {
    for (const node of this.nodes) node.start();
    for (const workload of this.workloads) workload.start();
    this.injection.plan(this.faults);
    await this.world.runUntil(this.faultsEndMs);
  }

  /** Faults stop; the cluster must come back, answer, and agree in every byte. */
  private async recover(): Promise<void> {
    const { world } = this;
    this.trace('fault', 'all faults end', {});
    this.injection.heal();
    const endMs = world.nowMs + recoveryMs;
    await world.runUntil(world.nowMs + 500);
    for (const workload of this.workloads) workload.stop();
    await world.runUntil(endMs, () => this.workloads.every((workload) => workload.isIdle));
    let readsLeft = this.workloads.length;
    for (const workload of this.workloads) {
      workload.readAll().then(
        () => {
          readsLeft--;
        },
        (error: unknown) => world.fail(new Violation('liveness', `a client cannot read: ${messageOf(error)}`)),
      );
    }
    const isSettled = (): boolean => readsLeft === 0 && hasConverged(this.nodes);
    const restore = (): void => {
      restoreMembership(this.nodes);
      world.at(200, restore);
    };
    restore();
    await world.runUntil(endMs, isSettled);
    if (!isSettled())
      throw new Violation(
        'liveness',
        `not converged ${recoveryMs} ms after the last fault: ${describeNodes(this.nodes)}`,
      );
    // What was applied reaches the engine. A write that nobody waits for any more may still arrive: then again, to its end.
    let compared: string;
    do {
      compared = describeNodes(this.nodes);
      await world.runUntil(world.nowMs + engineDelayMs);
    } while ((!hasConverged(this.nodes) || describeNodes(this.nodes) !== compared) && world.nowMs < endMs);
    compareStates(this.nodes);
  }
}
