/**
 * What happens to the nodes of a churn run: they join, are drained, taken back, taken out for good, killed, restarted, and
 * die. Never more than two are away at a time, nearly always one at most, so that there is a majority to go on.
 *
 * Invariant: a node that was taken out for good is never started again.
 */
import { rmSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { isRingraftError, type Random, randomBetween } from '../../src/base/index.js';
import type { RingraftClient } from '../../src/client/index.js';
import type { ClusterView, ManagerRequest } from '../../src/wire/index.js';
import type { Violations } from '../crash/violations.js';
import type { MeasuredCluster } from './measured-cluster.js';
import { viewOf } from './placement.js';

const mostNodes = 6;
const absenceMs = [300, 12_000] as const;
const pauseMs = [1500, 7000] as const;
const orderTimeoutMs = 20_000;
const decommissionEveryMs = 500;

export type Deed = 'kill' | 'killTwo' | 'restart' | 'join' | 'drain' | 'recommission' | 'decommission' | 'death';

/** How likely each is, where it is possible. */
const weights: Readonly<Record<Deed, number>> = {
  kill: 30,
  killTwo: 4,
  restart: 15,
  join: 18,
  drain: 12,
  recommission: 10,
  decommission: 10,
  death: 6,
};

export class ChurnNodes {
  readonly deeds: Record<Deed, number> = {
    kill: 0,
    killTwo: 0,
    restart: 0,
    join: 0,
    drain: 0,
    recommission: 0,
    decommission: 0,
    death: 0,
  };
  /** Orders that the manager refused, since the cluster had changed meanwhile. */
  refused = 0;
  private readonly away = new Set<string>();
  /** On their way out for good, and those that are out. */
  private readonly leaving = new Set<string>();
  private readonly tasks = new Set<Promise<void>>();
  private running = true;
  private joined = 0;

  constructor(
    private readonly measured: MeasuredCluster,
    private readonly client: RingraftClient,
    private readonly random: Random,
    private readonly violations: Violations,
    private readonly say: (text: string) => void,
  ) {}

  /** One deed after another until the time is up. */
  async run(untilMs: number): Promise<void> {
    while (performance.now() < untilMs && !this.measured.isGivenUp) {
      await sleep(Math.min(this.between(pauseMs), Math.max(1, untilMs - performance.now())));
      await this.unlessManagerIsAway(async () => {
        const view = await viewOf(this.client);
        const deed = this.choose(view);
        if (deed === undefined) return;
        this.deeds[deed]++;
        await this.perform(deed, view);
      });
    }
  }

  /** Everybody who is away comes back, and what was begun is ended. */
  async settle(): Promise<void> {
    this.running = false;
    while (this.tasks.size > 0) await Promise.all(this.tasks);
  }

  private between([least, most]: readonly [number, number]): number {
    return randomBetween(this.random, least, most);
  }

  /** A leader change, or an order that came too late: the next deed may fit again. */
  private async unlessManagerIsAway(work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      if (!isRingraftError(error)) throw error;
      this.refused++;
    }
  }

  /** Nodes with a process that is meant to stay. */
  private get present(): readonly string[] {
    return this.measured.nodeIds.filter((id) => !this.away.has(id) && !this.leaving.has(id));
  }

  /** Nodes that take part, and are there. */
  private working({ nodes }: ClusterView): readonly string[] {
    const { present } = this;
    return nodes
      .filter(({ id, condition, liveness }) => condition === 'up' && liveness === 'alive' && present.includes(id))
      .map(({ id }) => id);
  }

  private outOfWork({ nodes }: ClusterView): readonly string[] {
    return nodes
      .filter(({ id, condition }) => (condition === 'drained' || condition === 'draining') && !this.leaving.has(id))
      .map(({ id }) => id);
  }

  private choose(view: ClusterView): Deed | undefined {
    const working = this.working(view).length;
    const isWhole = this.away.size === 0 && view.nodes.every(({ condition }) => condition !== 'down');
    const isSettled = isWhole && view.moves.length === 0 && view.waitingMoves === 0;
    const possible: Readonly<Record<Deed, boolean>> = {
      kill: this.away.size === 0,
      killTwo: isWhole && working >= 5,
      restart: this.away.size === 0,
      join: view.nodes.length < mostNodes,
      drain: working >= 4,
      recommission: this.outOfWork(view).length > 0,
      decommission: working >= 4 && this.leaving.size === 0,
      death: isSettled && working >= 5 && this.leaving.size === 0,
    };
    const choices = (Object.keys(weights) as Deed[]).filter((deed) => possible[deed]);
    let left = randomBetween(
      this.random,
      1,
      Math.max(
        1,
        choices.reduce((sum, deed) => sum + weights[deed], 0),
      ),
    );
    return choices.find((deed) => {
      left -= weights[deed];
      return left <= 0;
    });
  }

  private pick(from: readonly string[]): string | undefined {
    return from.length === 0 ? undefined : from[randomBetween(this.random, 0, from.length - 1)];
  }

  private async perform(deed: Deed, view: ClusterView): Promise<void> {
    switch (deed) {
      case 'join':
        this.join(view);
        return;
      case 'kill':
        this.kill(this.pick(this.present));
        return;
      case 'killTwo': {
        const first = this.pick(this.present);
        this.kill(first);
        this.kill(this.pick(this.present.filter((id) => id !== first)));
        return;
      }
      case 'restart':
        this.restart(this.pick(this.present));
        return;
      case 'drain':
        await this.order('drain', this.pick(this.working(view)));
        return;
      case 'recommission':
        await this.order('recommission', this.pick(this.outOfWork(view)));
        return;
      case 'decommission':
        this.decommission(this.pick([...this.outOfWork(view), ...this.working(view)]), false);
        return;
      case 'death':
        this.decommission(this.pick(this.working(view)), true);
    }
  }

  private begin(work: () => Promise<void>): void {
    const task = work()
      .catch((error: unknown) => {
        if (!this.measured.isGivenUp) this.violations.add(`the run itself failed: ${String(error)}`);
      })
      .finally(() => this.tasks.delete(task));
    this.tasks.add(task);
  }

  private async order(op: 'drain' | 'recommission', node: string | undefined): Promise<void> {
    if (node === undefined) return;
    this.say(`${op} ${node}`);
    await this.client.manage({ op, node } as ManagerRequest, orderTimeoutMs);
  }

  private join(view: ClusterView): void {
    const id = `j${++this.joined}`;
    this.say(`${id} joins ${view.nodes.length} nodes`);
    // Zones come before even loads, which are checked at the end: nobody shares one.
    this.measured.join(id, `z-${id}`);
  }

  private kill(node: string | undefined): void {
    if (node === undefined) return;
    const forMs = this.between(absenceMs);
    this.say(`SIGKILL of ${node} for ${forMs} ms`);
    this.away.add(node);
    this.measured.kill(node);
    this.begin(async () => {
      await this.measured.untilEnded(node);
      await this.rest(forMs);
      this.measured.start(node);
      this.away.delete(node);
    });
  }

  private restart(node: string | undefined): void {
    if (node === undefined) return;
    this.say(`restart of ${node}`);
    this.away.add(node);
    this.begin(async () => {
      await this.measured.stopCleanly(node);
      this.measured.start(node);
      this.away.delete(node);
    });
  }

  /** Cut short at the end of the run. */
  private async rest(ms: number): Promise<void> {
    const untilMs = performance.now() + ms;
    while (this.running && performance.now() < untilMs) await sleep(Math.min(100, untilMs - performance.now()));
  }

  /** Out for good; `dies`: it is killed first, and the others do without what it holds. */
  private decommission(node: string | undefined, dies: boolean): void {
    if (node === undefined) return;
    this.say(`${dies ? 'SIGKILL for good of' : 'decommission of'} ${node}`);
    this.leaving.add(node);
    this.begin(async () => {
      if (dies) {
        this.measured.kill(node);
        await this.measured.untilEnded(node);
      }
      while (!this.measured.isGivenUp && !(await this.isOut(node))) await sleep(decommissionEveryMs);
      if (!dies) await this.measured.stopCleanly(node);
      this.measured.forget(node);
      rmSync(this.measured.cluster.dataDirectoryOf(node), { recursive: true, force: true });
      this.say(`${node} is out`);
    });
  }

  private async isOut(node: string): Promise<boolean> {
    try {
      const answer = await this.client.manage({ op: 'decommission', node }, orderTimeoutMs);
      return 'done' in answer;
    } catch (error) {
      if (!isRingraftError(error)) throw error;
      return false;
    }
  }
}
