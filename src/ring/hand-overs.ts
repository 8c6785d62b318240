/**
 * The cheapest chains of hand-overs that bring one replica from where it is too many to where it is missing. A step
 * `a -> b` hands one shard from a to b; its cost is 1 when that makes the shard leave where it is at present, -1 when
 * it brings it back, else 0. The search goes over nodes; shards are looked at through the lists of the nodes.
 *
 * 1. A chain leaves every shard with as many copies, on distinct nodes, in its zones.
 * 2. No cycle of hand-overs has a negative cost: chains are followed in order of their cost, cheapest first. That is
 *    what makes the end the cheapest (successive shortest paths).
 * 3. While chains of one cost are followed, those that remain go through nodes at their surveyed distances only, and
 *    a node that led to no end leads to none later. So between two surveys no node is searched twice in vain.
 */
import { assert } from '../base/index.js';
import { type Holdings, none } from './holdings.js';
import { ZoneLists } from './zone-lists.js';

type Step = { readonly shard: number; readonly from: number; readonly to: number };

/** A chain begins at a node that gives one replica away, or at a shard that lacks a copy. */
export type Start = { readonly node: number } | { readonly shard: number };

/** What chains cost before any of that cost is followed. */
export type Survey = {
  /** Of the cheapest chain to an end; `unreachable` when there is none. */
  readonly cost: number;
  /** Of the cheapest chain to each node. */
  readonly distances: Int32Array;
};

export const unreachable = 0x7fff_ffff;

export class HandOvers {
  /** Cost of the cheapest chain to each node found so far, and its last step. */
  private readonly label: Int32Array;
  private readonly parent: Int32Array;
  private readonly shardHanded: Int32Array;
  private readonly isQueued: Uint8Array;
  private readonly queue: number[] = [];
  /** Nodes labelled by the present search. */
  private readonly touched: number[] = [];
  /** Nodes worth a label, for shards that leave their place and for those that have left it before. */
  private readonly leaving: ZoneLists;
  private readonly wandering: ZoneLists;
  /** Whether a label is worth having. */
  private isWanted: (node: number, label: number) => boolean = () => false;
  private isEnd: (node: number) => boolean = () => false;
  private end = none;

  /** With `isFree` all steps cost nothing. */
  constructor(
    private readonly holdings: Holdings,
    private readonly isFree = false,
  ) {
    const { nodeCount, zoneOf } = holdings;
    this.label = new Int32Array(nodeCount).fill(unreachable);
    this.parent = new Int32Array(nodeCount);
    this.shardHanded = new Int32Array(nodeCount);
    this.isQueued = new Uint8Array(nodeCount);
    this.leaving = new ZoneLists(zoneOf);
    this.wandering = new ZoneLists(zoneOf);
  }

  /** Forgets which nodes led to no end. */
  forget(): void {
    this.label.fill(unreachable);
  }

  /** Whether a search that failed has been at the node. */
  isInVain(node: number): boolean {
    return this.label[node] !== unreachable;
  }

  /** How far all nodes and the nearest end are from `starts`. Forgets. */
  survey(starts: Iterable<Start>, isEnd: (node: number) => boolean): Survey {
    this.forget();
    this.begin(
      (node, label) => label < (this.label[node] as number),
      () => false,
    );
    for (const start of starts) this.seed(start);
    while (this.queue.length > 0) this.expandNext();
    const distances = this.label.slice();
    this.forget();
    return {
      cost: distances.reduce((best, label, node) => (isEnd(node) ? Math.min(best, label) : best), unreachable),
      distances,
    };
  }

  /** Follows a cheapest chain from `start` to one of the ends; false when there is none of the survey's cost. */
  follow(start: Start, isEnd: (node: number) => boolean, { cost, distances }: Survey): boolean {
    this.begin(
      (node, label) => this.label[node] === unreachable && label === distances[node],
      (node) => distances[node] === cost && isEnd(node),
    );
    this.seed(start);
    while (this.end === none && this.queue.length > 0) this.expandNext();
    if (this.end === none) return false;
    this.apply(this.steps(this.end));
    for (const node of this.touched) this.label[node] = unreachable;
    return true;
  }

  private begin(isWanted: (node: number, label: number) => boolean, isEnd: (node: number) => boolean): void {
    this.isWanted = isWanted;
    this.isEnd = isEnd;
    this.end = none;
    this.touched.length = 0;
    for (const node of this.queue) this.isQueued[node] = 0;
    this.queue.length = 0;
  }

  private get stepCost(): number {
    return this.isFree ? 0 : 1;
  }

  private seed(start: Start): void {
    if ('node' in start) {
      this.offer(start.node, 0, none, none);
      return;
    }
    this.leaving.fill((node) => this.isWanted(node, this.stepCost));
    this.relax(start.shard, none, 0, this.leaving);
  }

  private offer(to: number, label: number, from: number, shard: number): void {
    if (!this.isWanted(to, label)) return;
    this.touched.push(to);
    this.label[to] = label;
    this.parent[to] = from;
    this.shardHanded[to] = shard;
    if (shard !== none && this.end === none && this.isEnd(to)) this.end = to;
    if (this.isQueued[to] === 1) return;
    this.isQueued[to] = 1;
    this.queue.push(to);
  }

  private expandNext(): void {
    const from = this.queue.shift() as number;
    this.isQueued[from] = 0;
    const label = this.label[from] as number;
    assert(label >= -this.holdings.nodeCount, 'a cycle of hand-overs has a negative cost');
    let isWanderingFilled = false;
    this.leaving.fill((node) => this.isWanted(node, label + this.stepCost));
    for (let at = this.holdings.firstOf(from); at !== none && this.end === none; at = this.holdings.following(at)) {
      const shard = this.holdings.shardOf(at);
      if (this.isFree || this.holdings.costOf(at) === 0) {
        this.relax(shard, from, label, this.leaving);
        continue;
      }
      if (!isWanderingFilled) this.wandering.fill((node) => this.isWanted(node, label));
      isWanderingFilled = true;
      this.relax(shard, from, label - 1, this.wandering);
    }
  }

  /** Labels the nodes `from` can hand the shard to; `base` is what it costs to come to a node where the shard is now. */
  private relax(shard: number, from: number, base: number, nodes: ZoneLists): void {
    const { present, allowed } = this.holdings.problem;
    for (const to of allowed?.[shard] ?? (present[shard] as readonly number[])) {
      const label = base + (this.isFree || allowed === undefined ? 0 : this.holdings.cost(shard, to));
      if (this.isWanted(to, label) && this.holdings.fits(shard, to, from)) this.offer(to, label, from, shard);
    }
    if (allowed !== undefined || nodes.isEmpty) return;
    const label = base + this.stepCost;
    const mayShare = this.holdings.mayShare(shard, from);
    nodes.drain((zone) => {
      if (!this.holdings.usesZone(shard, zone, from)) return (to) => this.accept(to, label, from, shard);
      if (!mayShare) return undefined;
      return (to) => !this.holdings.isHeld(shard, to) && this.accept(to, label, from, shard);
    });
  }

  private accept(to: number, label: number, from: number, shard: number): boolean {
    this.offer(to, label, from, shard);
    return true;
  }

  private steps(end: number): readonly Step[] {
    const steps: Step[] = [];
    for (let to = end; ; ) {
      const [shard, from] = [this.shardHanded[to] as number, this.parent[to] as number];
      if (shard === none) break;
      steps.push({ shard, from, to });
      if (from === none) break;
      to = from;
    }
    return steps.reverse();
  }

  /**
   * Two steps with one shard that could not go together do not occur: then the shard could also go at once from where
   * it first leaves to where it last comes, at no higher cost, and the search, which goes step by step, took that.
   */
  private apply(steps: readonly Step[]): void {
    for (const { shard, from } of steps) if (from !== none) this.holdings.take(shard, from);
    for (const { shard, to } of steps) this.holdings.put(shard, to);
    for (const { shard } of steps) assert(this.holdings.isSpread(shard), () => `the shard at ${shard} left its zones`);
  }
}
