/**
 * The cheapest change of "which shards on which nodes" that keeps every limit: a minimum-cost flow from shards through
 * zones to nodes. Pure, whole numbers only.
 *
 * What is cheapest, each before all that follow:
 * 1. every node within its limits (a caller that asks for the impossible gets the nearest), every shard in its zones;
 * 2. fewest shards placed where they are not at present;
 * 3. what is placed anew goes to nodes early in the shard's walk that are below their fair load, then to the node with
 *    the lowest load for its share. This one is a good choice, not the best there is.
 *
 * How it stays quick: all that may stay stays, and then one replica after another is brought from where it is too many
 * to where it is missing, by the cheapest chain of hand-overs. Nearly always that is a single step, and then the cost
 * known to be the least (1) is recognised without a search: `straight`. Searches do what is left (`HandOvers`).
 *
 * Invariant: within a stage the cost of the cheapest chain never falls; so a chain of the known least cost is cheapest.
 */
import { assert } from '../base/index.js';
import { HandOvers, type Start, type Survey, unreachable } from './hand-overs.js';
import { type AssignmentProblem, Holdings, type NodeLimits, none } from './holdings.js';
import { wholeUp } from './shares.js';
import { ZoneLists } from './zone-lists.js';

/** From nodes with more than `high`, and shards that lack a copy if those are asked for, to nodes with less than `low`. */
type Kind = { readonly takesLacking: boolean; readonly high: Int32Array; readonly low: Int32Array };

class Assignment {
  private readonly holdings: Holdings;
  private readonly handOvers: HandOvers;
  private readonly least: Int32Array;
  private readonly most: Int32Array;
  private readonly fairUp: Int32Array;
  private readonly room: ZoneLists;
  /** Shards that lack copies. */
  private lacking: readonly number[];

  constructor(private readonly problem: AssignmentProblem) {
    this.holdings = new Holdings(problem);
    this.handOvers = new HandOvers(this.holdings);
    const of = (value: (limits: NodeLimits) => number): Int32Array => Int32Array.from(problem.limits, value);
    this.least = of(({ least }) => least);
    this.most = of(({ most }) => most);
    this.fairUp = of(({ least, most, fair }) => Math.min(most, Math.max(least, wholeUp(fair))));
    this.room = new ZoneLists(this.holdings.zoneOf);
    this.lacking = Array.from({ length: problem.shardCount }, (_, shard) => shard);
  }

  solve(): readonly (readonly number[])[] {
    const { shardCount, present } = this.problem;
    const { least, most } = this;
    this.updateLacking();
    const isAllKept = present.every((nodes, shard) => nodes.length === this.holdings.nodesOf(shard).length);
    this.stage([{ takesLacking: true, high: most, low: least }], isAllKept);
    this.stage(
      [
        { takesLacking: true, high: most, low: most },
        { takesLacking: false, high: least, low: least },
      ],
      false,
    );
    // What was moved early on may have become needless: it goes back.
    this.stage([{ takesLacking: false, high: least, low: most }], false, 0);
    this.placeAnyhow();
    this.evenOut();
    return Array.from({ length: shardCount }, (_, shard) => this.holdings.nodesOf(shard));
  }

  private updateLacking(): void {
    this.lacking = this.lacking.filter((shard) => this.holdings.lacks(shard) > 0);
  }

  /** Follows chains of these kinds, all of the least cost before any of a higher one, while it is below `end`. */
  private stage(kinds: readonly Kind[], isStraightCheapest: boolean, end = unreachable): void {
    if (isStraightCheapest) for (const kind of kinds) this.straight(kind);
    let last = -unreachable;
    for (;;) {
      const surveys = kinds.map((kind) => this.survey(kind));
      const cost = Math.min(...surveys.map((survey) => survey.cost));
      if (cost >= end) return;
      assert(cost > last, 'a chain of hand-overs was overlooked, or has become cheaper');
      if (cost === 1) for (const kind of kinds) this.straight(kind);
      for (const [at, kind] of kinds.entries()) {
        const survey = surveys[at] as Survey;
        if (survey.cost === cost) this.followAll(kind, survey);
      }
      last = cost;
    }
  }

  private loadOf(node: number): number {
    return this.holdings.load[node] as number;
  }

  private nodesWhere(accept: (node: number) => boolean): number[] {
    return this.problem.zoneOf.map((_, node) => node).filter(accept);
  }

  private givers({ high }: Kind): number[] {
    return this.nodesWhere((node) => this.loadOf(node) > (high[node] as number));
  }

  private takers({ low }: Kind): number[] {
    return this.nodesWhere((node) => this.loadOf(node) < (low[node] as number));
  }

  private survey(kind: Kind): Survey {
    const { low, takesLacking } = kind;
    if (this.takers(kind).length === 0) return { cost: unreachable, distances: low };
    const starts: Start[] = this.givers(kind).map((node) => ({ node }));
    if (takesLacking) for (const shard of this.lacking) starts.push({ shard });
    return this.handOvers.survey(starts, (node) => this.loadOf(node) < (low[node] as number));
  }

  private followAll(kind: Kind, survey: Survey): void {
    const { high, low } = kind;
    let missing = this.takers(kind).reduce((sum, node) => sum + (low[node] as number) - this.loadOf(node), 0);
    const isTaker = (node: number): boolean => this.loadOf(node) < (low[node] as number);
    this.handOvers.forget();
    const follow = (start: Start): boolean =>
      missing > 0 && this.handOvers.follow(start, isTaker, survey) && missing-- > 0;
    if (kind.takesLacking) {
      for (const shard of this.lacking) while (this.holdings.lacks(shard) > 0 && follow({ shard }));
      this.updateLacking();
    }
    for (const node of this.givers(kind)) while (this.loadOf(node) > (high[node] as number) && follow({ node }));
  }

  /** All chains of one step and of cost 1. */
  private straight(kind: Kind): void {
    if (kind.takesLacking) {
      const isToFill = kind.low === this.most;
      for (const low of isToFill ? [this.fairUp, kind.low] : [kind.low]) this.placeLacking(low);
    }
    const givers = this.givers(kind);
    if (this.problem.allowed !== undefined) for (const from of givers) this.giveFrom(from, kind);
    else for (const to of this.takers(kind)) this.drawTo(to, givers, kind);
  }

  /** Places shards that lack copies on nodes with less than `low`. */
  private placeLacking(low: Int32Array): void {
    const { walk, limits } = this.problem;
    const room = Int32Array.from(limits, (_, node) => (low[node] as number) - this.loadOf(node));
    this.room.fill((node) => (room[node] as number) > 0);
    for (const shard of this.lacking) {
      const isOpen = (node: number): boolean => (room[node] as number) > 0 && this.holdings.fits(shard, node, none);
      while (!this.room.isEmpty && this.holdings.lacks(shard) > 0) {
        const to = walk?.(shard, isOpen) ?? this.emptiest(shard, room);
        if (to === undefined) break;
        this.holdings.put(shard, to);
        (room[to] as number)--;
      }
    }
    this.updateLacking();
  }

  /** The node with the lowest load for its share that the shard may go to. */
  private emptiest(shard: number, room: Int32Array): number | undefined {
    let best: number | undefined;
    const consider = (node: number): void => {
      if (best !== undefined && this.holdings.share(node) >= this.holdings.share(best)) return;
      if (this.holdings.fits(shard, node, none)) best = node;
    };
    const allowed = this.problem.allowed?.[shard];
    for (const node of allowed ?? []) if ((room[node] as number) > 0) consider(node);
    if (allowed !== undefined) return best;
    const mayShare = this.holdings.mayShare(shard, none);
    this.room.drain((zone) => {
      if (!mayShare && this.holdings.usesZone(shard, zone, none)) return undefined;
      return (node) => {
        if ((room[node] as number) <= 0) return true;
        consider(node);
        return false;
      };
    });
    return best;
  }

  /** Relieves one node where each shard has few nodes to go to: trying those is quicker than trying all givers. */
  private giveFrom(from: number, { high, low }: Kind): void {
    let at = this.holdings.firstOf(from);
    while (at !== none && this.loadOf(from) > (high[from] as number)) {
      const holding = at;
      const shard = this.holdings.shardOf(holding);
      at = this.holdings.following(at);
      let best: number | undefined;
      for (const to of this.problem.allowed?.[shard] ?? []) {
        if (this.loadOf(to) >= (low[to] as number) || !this.isStraight(holding, from, to)) continue;
        if (best === undefined || this.holdings.share(to) < this.holdings.share(best)) best = to;
      }
      if (best !== undefined) this.handOver(shard, from, best);
    }
  }

  private handOver(shard: number, from: number, to: number): void {
    this.holdings.take(shard, from);
    this.holdings.put(shard, to);
  }

  /** Fills one node from the givers, the fullest one first. */
  private drawTo(to: number, givers: readonly number[], { high, low }: Kind): void {
    let open = givers.filter((node) => node !== to);
    // A shard that did not fit does not fit later either, while `to` alone gains: each list is gone through once.
    const reached = new Map(open.map((node) => [node, this.holdings.firstOf(node)]));
    while (this.loadOf(to) < (low[to] as number)) {
      open = open.filter((node) => this.loadOf(node) > (high[node] as number));
      const from = open.reduce<number | undefined>((fullest, node) => {
        return fullest === undefined || this.holdings.share(node) > this.holdings.share(fullest) ? node : fullest;
      }, undefined);
      if (from === undefined) return;
      let at = reached.get(from) as number;
      while (at !== none && !this.isStraight(at, from, to)) at = this.holdings.following(at);
      if (at === none) {
        open = open.filter((node) => node !== from);
        continue;
      }
      reached.set(from, this.holdings.following(at));
      this.handOver(this.holdings.shardOf(at), from, to);
    }
  }

  /** Whether to hand a holding over costs 1. */
  private isStraight(holding: number, from: number, to: number): boolean {
    const shard = this.holdings.shardOf(holding);
    if (this.holdings.costOf(holding) === 1 || this.holdings.cost(shard, to) === 0) return false;
    const allowed = this.problem.allowed?.[shard];
    return (allowed === undefined || allowed.includes(to)) && this.holdings.fits(shard, to, from);
  }

  /** What no limit leaves room for goes to the emptiest node. */
  private placeAnyhow(): void {
    if (this.lacking.length === 0) return;
    this.placeLacking(new Int32Array(this.holdings.nodeCount).fill(unreachable));
  }

  /**
   * Where limits cannot be met: brings loads as near to them as can be, the furthest node first. Nodes that a search in
   * vain has reached can give nothing to others, so each is searched in vain once.
   */
  private evenOut(): void {
    if (this.nodesWhere((node) => this.excess(node) !== 0).length === 0) return;
    const handOvers = new HandOvers(this.holdings, true);
    const anywhere: Survey = { cost: 0, distances: new Int32Array(this.holdings.nodeCount) };
    let open = this.nodesWhere(() => true);
    while (open.length > 0) {
      const from = open.reduce((worst, node) => (this.relief(node) > this.relief(worst) ? node : worst));
      const relief = this.relief(from);
      if (handOvers.follow({ node: from }, (node) => this.burden(node) < relief, anywhere)) continue;
      open = open.filter((node) => !handOvers.isInVain(node));
    }
  }

  /** Replicas above the limits, negative below, 0 within. */
  private excess(node: number): number {
    const load = this.loadOf(node);
    return Math.max(0, load - (this.most[node] as number)) + Math.min(0, load - (this.least[node] as number));
  }

  /** What one replica less is worth, and one more costs, by the square of the excess. */
  private relief(node: number): number {
    if (this.loadOf(node) <= (this.least[node] as number)) return 2 * this.excess(node) - 1;
    return Math.max(0, 2 * this.excess(node) - 1);
  }

  private burden(node: number): number {
    if (this.loadOf(node) >= (this.most[node] as number)) return 2 * this.excess(node) + 1;
    return Math.min(0, 2 * this.excess(node) + 1);
  }
}

/** The nodes of every shard. */
export const assign = (problem: AssignmentProblem): readonly (readonly number[])[] => new Assignment(problem).solve();
