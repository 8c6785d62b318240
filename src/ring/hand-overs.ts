/**
 * The cheapest chain of hand-overs that brings one replica from where it is too many to where it is missing. A step
 * `a -> b` hands one shard from a to b; its cost is 1 when that makes the shard leave where it is at present, -1 when
 * it brings it back, else 0. The search goes over nodes; shards are looked at through the lists of the nodes.
 *
 * 1. A chain leaves every shard with as many copies, on distinct nodes, in its zones.
 * 2. No cycle of hand-overs has a negative cost: chains are followed in order of their cost, cheapest first. That is
 *    what makes the end the cheapest (successive shortest paths), and labels that only fall come to an end.
 * 3. What once failed within a limit fails again within it: distances to the ends never fall while chains are
 *    followed. So labels of searches that failed stay until `forget`, and no node is searched twice in vain.
 */
import { assert } from '../base/index.js';
import { type Holdings, none } from './holdings.js';
import { ZoneLists } from './zone-lists.js';

type Step = { readonly shard: number; readonly from: number; readonly to: number };

/** A search begins at a node that gives one replica away, or at a shard that lacks a copy. */
export type Start = { readonly node: number } | { readonly shard: number };

export const unlimited = 0x3fff_ffff;
const unlabelled = 0x7fff_ffff;
const closed = -unlabelled;

export class HandOvers {
  /** Cost of the cheapest chain to each node found so far, and its last step. */
  private readonly label: Int32Array;
  private readonly parent: Int32Array;
  private readonly shardHanded: Int32Array;
  private readonly isQueued: Uint8Array;
  private readonly queue: number[] = [];
  /** Nodes labelled by the present search and their labels before, in turn. */
  private readonly touched: number[] = [];
  /** Nodes that a shard which leaves its place, or one that has left it, reaches more cheaply than known. */
  private readonly leaving: ZoneLists;
  private readonly wandering: ZoneLists;
  private isEnd: (node: number) => boolean = () => false;
  private limit = unlimited;
  private end = none;

  /** With `isFree` all steps cost nothing, and a chain with the fewest steps is found. */
  constructor(
    private readonly holdings: Holdings,
    private readonly isFree = false,
  ) {
    const { nodeCount, zoneOf } = holdings;
    this.label = new Int32Array(nodeCount).fill(unlabelled);
    this.parent = new Int32Array(nodeCount);
    this.shardHanded = new Int32Array(nodeCount);
    this.isQueued = new Uint8Array(nodeCount);
    this.leaving = new ZoneLists(zoneOf);
    this.wandering = new ZoneLists(zoneOf);
  }

  /** Forgets what failed: before another limit, or other ends. */
  forget(): void {
    this.label.fill(unlabelled);
  }

  /** Bars all nodes that failed searches have reached. */
  closeReached(): void {
    for (const [node, label] of this.label.entries()) if (label !== unlabelled) this.label[node] = closed;
  }

  isClosed(node: number): boolean {
    return this.label[node] === closed;
  }

  /** Follows a chain from `start` to one of the ends, of cost `limit` at most; false when there is none. */
  follow(start: Start, isEnd: (node: number) => boolean, limit: number): boolean {
    this.begin(isEnd, limit);
    this.seed(start);
    while (this.end === none && this.queue.length > 0) this.expandNext();
    if (this.end === none) return false;
    this.apply(this.withoutDetours(this.steps(this.end)));
    while (this.touched.length > 0) {
      const before = this.touched.pop() as number;
      this.label[this.touched.pop() as number] = before;
    }
    return true;
  }

  /** Cost of the cheapest chain from any of `starts`; `unlimited` when there is none. Forgets. */
  distance(starts: Iterable<Start>, isEnd: (node: number) => boolean): number {
    this.forget();
    this.begin(isEnd, unlimited);
    for (const start of starts) this.seed(start);
    while (this.queue.length > 0) this.expandNext();
    let best = unlimited;
    for (const [node, label] of this.label.entries()) if (isEnd(node)) best = Math.min(best, label);
    this.forget();
    return best;
  }

  private begin(isEnd: (node: number) => boolean, limit: number): void {
    this.isEnd = isEnd;
    this.limit = limit;
    this.end = none;
    this.touched.length = 0;
    for (const node of this.queue) this.isQueued[node] = 0;
    this.queue.length = 0;
  }

  private seed(start: Start): void {
    if ('node' in start) {
      this.offer(start.node, 0, none, none);
      return;
    }
    this.leaving.fill(this.label, this.stepCost);
    this.relax(start.shard, none, 0, this.leaving);
  }

  private get stepCost(): number {
    return this.isFree ? 0 : 1;
  }

  private offer(to: number, label: number, from: number, shard: number): void {
    const before = this.label[to] as number;
    if (label >= before || label > this.limit) return;
    this.touched.push(to, before);
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
    let isWanderingFilled = false;
    this.leaving.fill(this.label, label + this.stepCost);
    for (let at = this.holdings.firstOf(from); at !== none; at = this.holdings.following(at)) {
      const shard = this.holdings.shardOf(at);
      if (this.isFree || this.holdings.cost(shard, from) === 0) {
        this.relax(shard, from, label, this.leaving);
        continue;
      }
      if (!isWanderingFilled) this.wandering.fill(this.label, label);
      isWanderingFilled = true;
      this.relax(shard, from, label - 1, this.wandering);
    }
  }

  /** Labels the nodes `from` can hand the shard to; `base` is what it costs to come to a node where the shard is now. */
  private relax(shard: number, from: number, base: number, nodes: ZoneLists): void {
    const { present, allowed } = this.holdings.problem;
    const options = allowed?.[shard] ?? (present[shard] as readonly number[]);
    for (const to of options) {
      const label = base + (this.isFree ? 0 : this.holdings.cost(shard, to));
      if (label < (this.label[to] as number) && this.holdings.fits(shard, to, from)) this.offer(to, label, from, shard);
    }
    const label = base + this.stepCost;
    if (allowed !== undefined || nodes.isEmpty || label > this.limit) return;
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
      assert(steps.length <= this.holdings.nodeCount, 'a cycle of hand-overs has a negative cost');
      if (from === none) break;
      to = from;
    }
    return steps.reverse();
  }

  /**
   * Two steps with one shard may not go together: the second was found as if the first had not been. But then the shard
   * can go at once from where it first leaves to where it last comes, and what lies between is a cycle.
   */
  private withoutDetours(steps: readonly Step[]): readonly Step[] {
    for (const [at, first] of steps.entries()) {
      for (let last = steps.length - 1; last > at; last--) {
        const { shard, to } = steps[last] as Step;
        if (shard !== first.shard || !this.holdings.fits(shard, to, first.from)) continue;
        const short = { shard, from: first.from, to };
        if (this.costOf([short]) > this.costOf(steps.slice(at, last + 1))) continue;
        return this.withoutDetours([...steps.slice(0, at), short, ...steps.slice(last + 1)]);
      }
    }
    return steps;
  }

  private costOf(steps: readonly Step[]): number {
    if (this.isFree) return 0;
    return steps.reduce((sum, { shard, from, to }) => {
      return sum + this.holdings.cost(shard, to) - (from === none ? 0 : this.holdings.cost(shard, from));
    }, 0);
  }

  private apply(steps: readonly Step[]): void {
    for (const { shard, from } of steps) if (from !== none) this.holdings.take(shard, from);
    for (const { shard, to } of steps) this.holdings.put(shard, to);
    for (const { shard } of steps) assert(this.holdings.isSpread(shard), () => `the shard at ${shard} left its zones`);
  }
}
