/**
 * The nodes of a crash run: kills them with SIGKILL, starts them again, and notices one that ends by itself.
 *
 * Invariant: a node that ends without having been killed refused to start or failed: both are violations.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { isRingraftError, type Random, randomBetween } from '../../src/base/index.js';
import type { RingraftClient } from '../../src/client/index.js';
import type { NodeProcess, TestCluster } from '../support/cluster.js';
import type { Violations } from './violations.js';

const pollIntervalMs = 500;
const pollTimeoutMs = 2000;
const keptLogBytes = 3000;
const longAbsenceMs = [8000, 12_000] as const;

/** Counters of a node's status that are added up over all its lives. */
const summed = ['logTrims', 'snapshotsSent', 'snapshotsInstalled'] as const;
export type Sums = Record<(typeof summed)[number] | 'segments', number>;
type Life = { readonly node: NodeProcess; readonly startedMs: number; seen: Sums; isExpectedToEnd: boolean };

export class Nodes {
  kills = 0;
  starts = 0;
  refused = 0;
  /** Events in which two, and in which all nodes were killed at once. */
  readonly together = { two: 0, all: 0 };
  private readonly lives = new Map<string, Life>();
  private readonly ended: Sums = { logTrims: 0, snapshotsSent: 0, snapshotsInstalled: 0, segments: 0 };
  private readonly restarts = new Set<Promise<void>>();
  private polling = true;

  constructor(
    private readonly cluster: TestCluster,
    private readonly random: Random,
    private readonly violations: Violations,
  ) {}

  start(id: string): void {
    if (this.isAbandoned) return;
    const node = this.cluster.startNode(id);
    const seen = { logTrims: 0, snapshotsSent: 0, snapshotsInstalled: 0, segments: 0 };
    const life: Life = { node, startedMs: performance.now(), seen, isExpectedToEnd: false };
    this.lives.set(id, life);
    this.starts++;
    void node.exited.then((code) => {
      for (const name of Object.keys(this.ended) as (keyof Sums)[]) this.ended[name] += life.seen[name];
      if (this.lives.get(id) === life) this.lives.delete(id);
      if (life.isExpectedToEnd) return;
      this.refused++;
      this.violations.add(`${id} ended by itself (exit code ${code}):\n${node.log.join('').slice(-keptLogBytes)}`);
    });
  }

  get running(): readonly string[] {
    return [...this.lives].filter(([, { isExpectedToEnd }]) => !isExpectedToEnd).map(([id]) => id);
  }

  /** Kills up to `most` running nodes at one moment and starts each again after a random while of its own. */
  killSome(most: number): void {
    this.kill(this.pick(most, 3), [0, 1000]);
  }

  /** Kills one node and lets the others go on without it until they have dropped the log it lacks. */
  async killForLong(): Promise<void> {
    this.kill(this.pick(1, 1), longAbsenceMs);
    await this.untilRestarted();
  }

  private kill(victims: readonly (readonly [string, Life])[], absenceMs: readonly [number, number]): void {
    if (victims.length === 2) this.together.two++;
    if (victims.length === this.cluster.nodeIds.length) this.together.all++;
    for (const [, life] of victims) {
      life.isExpectedToEnd = true;
      life.node.child.kill('SIGKILL');
      this.kills++;
    }
    for (const [id, life] of victims) {
      const restart = life.node.exited
        .then(() => this.rest(randomBetween(this.random, ...absenceMs)))
        .then(() => this.start(id));
      this.restarts.add(restart);
      void restart.finally(() => this.restarts.delete(restart));
    }
  }

  private pick(most: number, mostAtOnce: number): readonly [string, Life][] {
    const candidates = [...this.lives].filter(([, { isExpectedToEnd }]) => !isExpectedToEnd);
    const share = randomBetween(this.random, 1, 100);
    const wanted = Math.min(most, mostAtOnce, share <= 70 ? 1 : share <= 85 ? 2 : 3);
    while (candidates.length > wanted) candidates.splice(randomBetween(this.random, 0, candidates.length - 1), 1);
    return candidates;
  }

  /** Cut short when the run is given up. */
  private async rest(ms: number): Promise<void> {
    const untilMs = performance.now() + ms;
    while (this.polling && performance.now() < untilMs) await sleep(Math.min(100, untilMs - performance.now()));
  }

  async untilRestarted(): Promise<void> {
    while (this.restarts.size > 0) await Promise.all(this.restarts);
  }

  /** Asks the nodes for their counters until `stopAll`. */
  async poll(client: RingraftClient): Promise<void> {
    while (this.polling) {
      await Promise.all(
        [...this.lives].map(async ([id, life]) => {
          try {
            const { pid, counters, wal } = await client.nodeStatus(id, pollTimeoutMs);
            if (pid !== life.node.child.pid) return;
            for (const name of summed) life.seen[name] = counters[name] ?? 0;
            life.seen.segments = Math.max(life.seen.segments, wal.segments);
          } catch (error) {
            if (!isRingraftError(error)) throw error;
          }
        }),
      );
      await sleep(pollIntervalMs);
    }
  }

  get sums(): Sums {
    const sums = { ...this.ended };
    for (const { seen } of this.lives.values()) for (const name of summed) sums[name] += seen[name];
    return sums;
  }

  /** SIGTERM to all, one after another: the data directories are theirs no longer. */
  async stopAll(): Promise<void> {
    this.polling = false;
    for (const [id, life] of [...this.lives]) {
      life.isExpectedToEnd = true;
      const code = await this.cluster.signal(id, 'SIGTERM');
      if (code !== 0) this.violations.add(`${id} did not stop cleanly (exit code ${code})`);
    }
  }

  get isAbandoned(): boolean {
    return !this.polling;
  }

  /** No restart and no complaint from here on. */
  abandon(): void {
    this.polling = false;
    for (const life of this.lives.values()) life.isExpectedToEnd = true;
  }
}
