/**
 * The oracle of placement: what `src/ring/assignment.ts` does, done over tables of shards by nodes, exact in every cost
 * and without short cuts. Far too slow and large for real clusters. A minimum-cost flow from shards through zones to
 * nodes, solved by successive shortest paths.
 *
 * What is cheapest, each before all that follow:
 * 1. every node within its limits, every zone too (soft here: a caller that asks for the impossible gets the nearest);
 * 2. fewest shards placed where they are not at present;
 * 3. loads near the fair ones;
 * 4. nodes early in the shard's order of preference.
 *
 * Why paths over nodes alone are enough: a step `a -> b` hands one shard from a to b, the cheapest that may. A shortest
 * path with the fewest steps never uses a shard twice in a way that interferes, because the two uses have a shortcut.
 *
 * Invariant: between steps no cycle of hand-overs has a negative cost, so shortest paths exist and the end is optimal.
 */
import { assert } from '../../src/base/index.js';

export type NodeLimits = { readonly least: number; readonly most: number; readonly fair: number };

/** Tables are indexed by `shard * nodeCount + node`. */
export type AssignmentProblem = {
  readonly shardCount: number;
  /** Zone of each node, numbered from 0. */
  readonly zoneOf: readonly number[];
  readonly limits: readonly NodeLimits[];
  /** Nodes each shard is to be on. */
  readonly copies: number;
  /** 1 where the shard is now. */
  readonly present: Uint8Array;
  /** 0 where the shard must not be; without it, it may be anywhere. */
  readonly allowed?: Uint8Array;
  /** Place of the node in the shard's order of preference, from 0. */
  readonly rank: Int32Array;
};

const ratioScale = 256;
const ratioMost = 1024;
const distanceMost = 16;
const unreachable = Number.POSITIVE_INFINITY;

class Assignment {
  private readonly nodeCount: number;
  private readonly zoneCount: number;
  private readonly isZoneShared: boolean;
  readonly held: Uint8Array;
  private readonly inZone: Uint8Array;
  private readonly copiesOf: Uint8Array;
  private readonly load: number[];
  private readonly moveCost: number;
  private readonly breachCost: number;
  /** Cheapest hand-over from a to b, at `a * nodeCount + b`, and the shard it hands over. */
  private readonly stepCost: Float64Array;
  private readonly stepShard: Int32Array;
  private readonly distance: Float64Array;
  private readonly steps: Int32Array;
  private readonly parent: Int32Array;

  constructor(private readonly problem: AssignmentProblem) {
    const { shardCount, zoneOf, copies } = problem;
    this.nodeCount = zoneOf.length;
    this.zoneCount = Math.max(...zoneOf) + 1;
    this.isZoneShared = this.zoneCount < copies;
    this.held = new Uint8Array(shardCount * this.nodeCount);
    this.inZone = new Uint8Array(shardCount * this.zoneCount);
    this.copiesOf = new Uint8Array(shardCount);
    this.load = zoneOf.map(() => 0);
    // Each level outweighs all that the levels below it can add up to.
    this.moveCost = shardCount * copies * this.nodeCount * (ratioMost + 1) + 1;
    this.breachCost = 2 * this.moveCost * (shardCount * copies + 1);
    assert(Number.isSafeInteger(this.breachCost * distanceMost * 4), 'too many shards and nodes to weigh exactly');
    this.stepCost = new Float64Array(this.nodeCount ** 2);
    this.stepShard = new Int32Array(this.nodeCount ** 2);
    this.distance = new Float64Array(this.nodeCount);
    this.steps = new Int32Array(this.nodeCount);
    this.parent = new Int32Array(this.nodeCount);
  }

  solve(): Uint8Array {
    this.keepPresent();
    for (let from = 0; from < this.nodeCount; from++) {
      for (let to = 0; to < this.nodeCount; to++) this.findStep(from, to);
    }
    while (this.relieve());
    for (let shard = 0; shard < this.problem.shardCount; shard++) {
      while ((this.copiesOf[shard] as number) < this.problem.copies) this.fill(shard);
    }
    return this.held;
  }

  /** Begins with all that is placed now and breaks neither the number of copies nor the zone rule. */
  private keepPresent(): void {
    const { shardCount, present, copies, zoneOf, allowed } = this.problem;
    for (let shard = 0; shard < shardCount; shard++) {
      const first = shard * this.nodeCount;
      const nodes = zoneOf.map((_, node) => node).filter((node) => present[first + node] === 1);
      const may = nodes.filter((node) => allowed?.[first + node] !== 0);
      const zones = new Set(may.map((node) => zoneOf[node] as number));
      const isSpread = may.length <= copies && zones.size === Math.min(may.length, this.zoneCount);
      for (const node of may) {
        if ((this.copiesOf[shard] as number) === copies) break;
        if (isSpread || this.zoneLoad(shard, node) === 0) this.put(shard, node);
      }
    }
  }

  private zoneAt(shard: number, node: number): number {
    return shard * this.zoneCount + (this.problem.zoneOf[node] as number);
  }

  private zoneLoad(shard: number, node: number): number {
    return this.inZone[this.zoneAt(shard, node)] as number;
  }

  private put(shard: number, node: number): void {
    this.held[shard * this.nodeCount + node] = 1;
    (this.inZone[this.zoneAt(shard, node)] as number)++;
    (this.copiesOf[shard] as number)++;
    (this.load[node] as number)++;
  }

  private take(shard: number, node: number): void {
    this.held[shard * this.nodeCount + node] = 0;
    (this.inZone[this.zoneAt(shard, node)] as number)--;
    (this.copiesOf[shard] as number)--;
    (this.load[node] as number)--;
  }

  /** Of the shard being on the node. */
  private placeCost(shard: number, node: number): number {
    const at = shard * this.nodeCount + node;
    return this.problem.present[at] === 1 ? 0 : this.moveCost + (this.problem.rank[at] as number);
  }

  private mayTake(shard: number, node: number): boolean {
    const at = shard * this.nodeCount + node;
    return this.held[at] === 0 && this.problem.allowed?.[at] !== 0;
  }

  /** Of `load` becoming one more; never falls with the load. */
  private loadCost(node: number, load: number): number {
    const { least, most, fair } = this.problem.limits[node] as NodeLimits;
    const ratio = Math.min(ratioMost, Math.round((ratioScale * (load + 0.5)) / Math.max(fair, 1e-3)));
    const near = ratio * this.nodeCount;
    if (load < least) return near - this.breachCost * Math.min(distanceMost, least - load);
    return load < most ? near : near + this.breachCost * Math.min(distanceMost, load - most + 1);
  }

  /** Of the shard going from one node to another; unreachable where it may not. */
  private handOverCost(shard: number, from: number, to: number): number {
    if (this.held[shard * this.nodeCount + from] === 0 || !this.mayTake(shard, to)) return unreachable;
    const cost = this.placeCost(shard, to) - this.placeCost(shard, from);
    if (this.problem.zoneOf[from] === this.problem.zoneOf[to]) return cost;
    const entered = this.enterCost(shard, to);
    if (entered === unreachable || !this.isZoneShared) return cost + entered;
    return cost + entered + (this.zoneLoad(shard, from) === 1 ? this.breachCost : 0);
  }

  private enterCost(shard: number, node: number): number {
    const isFirst = this.zoneLoad(shard, node) === 0;
    if (this.isZoneShared) return isFirst ? -this.breachCost : 0;
    return isFirst ? 0 : unreachable;
  }

  private offer(from: number, to: number, shard: number): void {
    const at = from * this.nodeCount + to;
    const cost = this.handOverCost(shard, from, to);
    if (cost >= (this.stepCost[at] as number)) return;
    this.stepCost[at] = cost;
    this.stepShard[at] = shard;
  }

  private findStep(from: number, to: number): void {
    const at = from * this.nodeCount + to;
    this.stepCost[at] = unreachable;
    this.stepShard[at] = -1;
    if (from === to) return;
    for (let shard = 0; shard < this.problem.shardCount; shard++) this.offer(from, to, shard);
  }

  private updateSteps(changed: ReadonlySet<number>): void {
    for (let from = 0; from < this.nodeCount; from++) {
      for (let to = 0; to < this.nodeCount; to++) {
        if (from === to) continue;
        if (changed.has(this.stepShard[from * this.nodeCount + to] as number)) this.findStep(from, to);
        else for (const shard of changed) this.offer(from, to, shard);
      }
    }
  }

  /** Takes one replica from where it costs most to where it costs least, while that pays. */
  private relieve(): boolean {
    for (let node = 0; node < this.nodeCount; node++) {
      const load = this.load[node] as number;
      this.begin(node, load === 0 ? unreachable : -this.loadCost(node, load - 1));
    }
    const [end, cost] = this.shortest();
    if (end < 0 || cost >= 0) return false;
    this.follow(end, new Set());
    return true;
  }

  /** Gives the shard one node more, others making room where that is cheaper. */
  private fill(shard: number): void {
    for (let node = 0; node < this.nodeCount; node++) {
      const mayTake = this.mayTake(shard, node);
      this.begin(node, mayTake ? this.placeCost(shard, node) + this.enterCost(shard, node) : unreachable);
    }
    const [end] = this.shortest();
    assert(end >= 0, () => `there is no node left for the shard at ${shard}`);
    const changed = new Set<number>([shard]);
    const start = this.follow(end, changed, false);
    this.put(shard, start);
    this.updateSteps(changed);
  }

  private begin(node: number, cost: number): void {
    this.distance[node] = cost;
    this.steps[node] = 0;
    this.parent[node] = -1;
  }

  /** Bellman-Ford from what `begin` set: the best last node, and the cost of the whole with its load there. */
  private shortest(): readonly [number, number] {
    for (let round = 0, hasChanged = true; hasChanged; round++) {
      assert(round <= this.nodeCount, 'a cycle of hand-overs has a negative cost');
      hasChanged = false;
      for (let from = 0; from < this.nodeCount; from++) {
        if (this.distance[from] === unreachable) continue;
        for (let to = 0; to < this.nodeCount; to++) hasChanged = this.relax(from, to) || hasChanged;
      }
    }
    let best: readonly [number, number] = [-1, unreachable];
    for (let node = 0; node < this.nodeCount; node++) {
      const cost = (this.distance[node] as number) + this.loadCost(node, this.load[node] as number);
      if (cost < best[1]) best = [node, cost];
    }
    return best;
  }

  private relax(from: number, to: number): boolean {
    const cost = (this.distance[from] as number) + (this.stepCost[from * this.nodeCount + to] as number);
    const steps = (this.steps[from] as number) + 1;
    const known = this.distance[to] as number;
    if (cost > known || cost === unreachable || (cost === known && steps >= (this.steps[to] as number))) return false;
    this.distance[to] = cost;
    this.steps[to] = steps;
    this.parent[to] = from;
    return true;
  }

  /** Hands over along the path that ends at `end`; returns where it begins. */
  private follow(end: number, changed: Set<number>, isWhole = true): number {
    let node = end;
    for (let from = this.parent[node] as number; from >= 0; from = this.parent[node] as number) {
      const shard = this.stepShard[from * this.nodeCount + node] as number;
      this.take(shard, from);
      this.put(shard, node);
      changed.add(shard);
      node = from;
    }
    if (isWhole) this.updateSteps(changed);
    return node;
  }
}

/** 1 where a shard should be, in the form of `present`. */
export const assign = (problem: AssignmentProblem): Uint8Array => new Assignment(problem).solve();
