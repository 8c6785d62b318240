/**
 * Which nodes hold which shard while a plan is made. Plain, mutable typed arrays: a plan of 100,000 shards touches them
 * hundreds of millions of times, and a table of shards by nodes would take hundreds of megabytes.
 *
 * 1. A shard is held by at most `copies` nodes, all distinct.
 * 2. Of the nodes that hold a shard at most `copies - zones` (at least 0) share their zone with an earlier one. So
 *    zones are distinct where there are enough; else a shard with all its copies is in every zone.
 * 3. Every holding is in the list of its node, so that what a node holds is found without looking at all shards.
 */
import { assert } from '../base/index.js';

export type NodeLimits = {
  readonly least: number;
  readonly most: number;
  readonly fair: number;
  /** What the node holds besides: it counts as load and stays. */
  readonly fixed: number;
};

/** Shards and nodes are numbered from 0. */
export type AssignmentProblem = {
  readonly shardCount: number;
  /** Zone of each node, numbered from 0. */
  readonly zoneOf: readonly number[];
  readonly limits: readonly NodeLimits[];
  /** Nodes each shard is to be on. */
  readonly copies: number;
  /** Where each shard is now; the first one is kept where that may be. */
  readonly present: readonly (readonly number[])[];
  /** Where each shard may be; without it, anywhere. */
  readonly allowed?: readonly (readonly number[])[];
  /** The first few nodes of the shard's walk that `accept`; without it no node is nearer than another. */
  readonly walk?: (shard: number, accept: (node: number) => boolean) => number | undefined;
};

/** No node, or no holding. */
export const none = -1;

export class Holdings {
  readonly nodeCount: number;
  readonly load: Int32Array;
  readonly copies: number;
  readonly zoneOf: Int32Array;
  private readonly mostShared: number;
  private readonly copiesOf: Uint8Array;
  /** The node of holding `shard * copies + slot`, and the holding's neighbours in the list of that node. */
  private readonly nodeOf: Int32Array;
  private readonly next: Int32Array;
  private readonly previous: Int32Array;
  private readonly head: Int32Array;
  /** 1 for a holding that is none at present. */
  private readonly isNew: Uint8Array;

  constructor(readonly problem: AssignmentProblem) {
    const { shardCount, zoneOf, copies, limits, present } = problem;
    this.nodeCount = zoneOf.length;
    this.copies = copies;
    this.zoneOf = Int32Array.from(zoneOf);
    this.mostShared = Math.max(0, copies - new Set(zoneOf).size);
    this.load = Int32Array.from(limits, ({ fixed }) => fixed);
    this.copiesOf = new Uint8Array(shardCount);
    this.nodeOf = new Int32Array(shardCount * copies).fill(none);
    this.next = new Int32Array(shardCount * copies).fill(none);
    this.previous = new Int32Array(shardCount * copies).fill(none);
    this.head = new Int32Array(this.nodeCount).fill(none);
    this.isNew = new Uint8Array(shardCount * copies);
    const isChoice = present.map((nodes) => nodes.length > copies);
    // Backwards, because a list grows at its head.
    for (let shard = shardCount - 1; shard >= 0; shard--) if (!isChoice[shard]) this.keep(shard);
    for (let shard = shardCount - 1; shard >= 0; shard--) if (isChoice[shard]) this.keep(shard);
  }

  /** Keeps what may stay: the first replica, then those on nodes with the lowest load for their share. */
  private keep(shard: number): void {
    const nodes = this.problem.present[shard] as readonly number[];
    const [first = none] = nodes;
    const ordered = nodes.length <= this.copies ? nodes : [first, ...this.byShare(nodes.slice(1))];
    for (const node of ordered) {
      if (this.lacks(shard) > 0 && this.fits(shard, node, none)) this.put(shard, node);
    }
  }

  /** Load against the fair one. */
  share(node: number): number {
    return (this.load[node] as number) / Math.max((this.problem.limits[node] as NodeLimits).fair, 1e-3);
  }

  private byShare(nodes: readonly number[]): readonly number[] {
    return [...nodes].sort((a, b) => this.share(a) - this.share(b) || a - b);
  }

  /** Copies the shard has not got yet. */
  lacks(shard: number): number {
    return this.copies - (this.copiesOf[shard] as number);
  }

  /** Whether the shard may go to a node, leaving another if `from` is one. */
  fits(shard: number, to: number, from: number): boolean {
    if (this.isHeld(shard, to)) return false;
    return !this.usesZone(shard, this.zoneOf[to] as number, from) || this.mayShare(shard, from);
  }

  /** Whether the shard is in the zone, by another node than `except`. */
  usesZone(shard: number, zone: number, except: number): boolean {
    const first = shard * this.copies;
    return this.isZoneIn(first, first + this.copies, zone, except);
  }

  /** Whether a zone of the shard may hold one more of it, once `except` holds it no more. */
  mayShare(shard: number, except: number): boolean {
    if (this.mostShared === 0) return false;
    const first = shard * this.copies;
    let shared = 0;
    for (let at = first; at < first + this.copies; at++) {
      const node = this.nodeOf[at] as number;
      if (node === none || node === except) continue;
      if (this.isZoneIn(first, at, this.zoneOf[node] as number, except)) shared++;
    }
    return shared < this.mostShared;
  }

  private isZoneIn(first: number, end: number, zone: number, except: number): boolean {
    for (let at = first; at < end; at++) {
      const node = this.nodeOf[at] as number;
      if (node !== none && node !== except && this.zoneOf[node] === zone) return true;
    }
    return false;
  }

  /** Whether the zones of the shard keep rule 2. */
  isSpread(shard: number): boolean {
    const zones = this.nodesOf(shard).map((node) => this.zoneOf[node] as number);
    return zones.length - new Set(zones).size <= this.mostShared;
  }

  nodesOf(shard: number): readonly number[] {
    const first = shard * this.copies;
    const nodes: number[] = [];
    for (let at = first; at < first + this.copies; at++) {
      if (this.nodeOf[at] !== none) nodes.push(this.nodeOf[at] as number);
    }
    return nodes;
  }

  isHeld(shard: number, node: number): boolean {
    return this.holding(shard, node) !== none;
  }

  private holding(shard: number, node: number): number {
    const first = shard * this.copies;
    for (let at = first; at < first + this.copies; at++) if (this.nodeOf[at] === node) return at;
    return none;
  }

  /** 0 where the shard is now, else 1: the replicas that move are what a plan costs. */
  cost(shard: number, node: number): number {
    return (this.problem.present[shard] as readonly number[]).includes(node) ? 0 : 1;
  }

  put(shard: number, node: number): void {
    const at = this.holding(shard, none);
    assert(at !== none, () => `the shard at ${shard} has all its copies`);
    const next = this.head[node] as number;
    this.nodeOf[at] = node;
    this.isNew[at] = this.cost(shard, node);
    this.next[at] = next;
    this.previous[at] = none;
    if (next !== none) this.previous[next] = at;
    this.head[node] = at;
    (this.copiesOf[shard] as number)++;
    (this.load[node] as number)++;
  }

  take(shard: number, node: number): void {
    const at = this.holding(shard, node);
    assert(at !== none, () => `the shard at ${shard} is not on the node at ${node}`);
    const [next, previous] = [this.next[at] as number, this.previous[at] as number];
    if (previous === none) this.head[node] = next;
    else this.next[previous] = next;
    if (next !== none) this.previous[next] = previous;
    this.nodeOf[at] = none;
    (this.copiesOf[shard] as number)--;
    (this.load[node] as number)--;
  }

  /** The holdings of a node one after another: the first one, and what follows one; `none` at the end. */
  firstOf(node: number): number {
    return this.head[node] as number;
  }

  following(holding: number): number {
    return this.next[holding] as number;
  }

  /** `cost` of the holding's shard on its node. */
  costOf(holding: number): number {
    return this.isNew[holding] as number;
  }

  shardOf(holding: number): number {
    return Math.floor(holding / this.copies);
  }
}
