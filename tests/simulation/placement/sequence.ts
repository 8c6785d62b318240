/**
 * One cluster through its life, planned step by step, each plan from where the one before led: founded, a node joins,
 * one leaves, a whole zone leaves, weights change, nodes come and go at random. Every step is checked.
 */
import { type NodeId, nodeId, type ShardId } from '../../../src/base/index.js';
import {
  type PlacedShard,
  type PlacementNode,
  type PlacementPlan,
  place,
  planPlacement,
  ringSize,
  spreadLeaders,
} from '../../../src/ring/index.js';
import { fewestMoves } from '../../support/exact-plan.js';
import {
  breachesOf,
  type Figures,
  figuresOf,
  leaderBreaches,
  leaderFigures,
  spreadOf,
  zoneViolationsOf,
} from './checks.js';

export type Case = {
  readonly nodes: number;
  readonly shards: number;
  readonly zones: number;
  readonly weights: 'equal' | 'mixed';
  readonly seed: number;
};

export const stepNames = [
  'founding',
  'first plan',
  'from nothing',
  'node joins',
  'node leaves',
  'zone leaves',
  'weights change',
  'random join',
  'random leave',
] as const;
export type StepName = (typeof stepNames)[number];

export type Step = Figures & {
  readonly name: StepName;
  readonly nodes: number;
  readonly planMs: number;
  readonly leadersMs: number;
  readonly leaderRange: number;
  readonly leaderFurthest: number;
  readonly breaches: readonly string[];
};

export const replication = 3;
const randomSteps = 10;
/** Steps of a case, at most. */
export const stepCount = 7 + randomSteps;
const mixedWeights = [1, 2, 4];
const changedPart = 0.1;
/** More than the ideal that a node that joins or leaves may move. */
const mostMoved = 1.1;
/** Shards times nodes up to which the oracle is asked. */
const mostCellsExact = 100_000;
/** The second plans that some checks need are made up to so many shards. */
const mostShardsReordered = 5000;

/** Ids beyond those of a real cluster's shards, which end at 65,535: the planner does not mind. */
const arcs = (count: number): readonly Omit<PlacedShard, 'replicas'>[] =>
  Array.from({ length: count }, (_, at) => ({
    shardId: (at + 1) as ShardId,
    start: Math.floor((at * ringSize) / count),
    end: Math.floor(((at + 1) * ringSize) / count),
  }));

/** Mulberry32: small, and the same everywhere. */
function randomFrom(seed: number): (below: number) => number {
  let state = seed >>> 0;
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 0x1_0000_0000) * below);
  };
}

/** Processor time, of all threads: what else the machine does counts little. */
type Timed<T> = { readonly value: T; readonly ms: number };

function timed<T>(work: () => T): Timed<T> {
  const before = process.cpuUsage();
  const value = work();
  const { user, system } = process.cpuUsage(before);
  return { value, ms: (user + system) / 1000 };
}

class Life {
  private readonly random: (below: number) => number;
  private members: readonly PlacementNode[];
  private shards: readonly PlacedShard[];
  private made = 0;

  constructor(private readonly given: Case) {
    this.random = randomFrom(given.seed);
    this.members = Array.from({ length: given.nodes }, () => this.newNode());
    this.shards = arcs(given.shards).map((arc) => ({ ...arc, replicas: [] }));
  }

  /** In the zones in turn. */
  private newNode(): PlacementNode {
    const at = this.made++;
    const weight = this.given.weights === 'equal' ? 1 : (mixedWeights[this.random(mixedWeights.length)] as number);
    return { id: nodeId(`n${at + 1}`), zone: `z${(at % this.given.zones) + 1}`, weight };
  }

  *steps(): Generator<Step> {
    const empty = this.shards;
    yield this.found();
    yield this.plan('first plan', this.members);
    yield this.inspect('from nothing', empty, this.members, planned(empty, this.members));
    yield this.plan('node joins', [...this.members, this.newNode()]);
    yield this.plan('node leaves', this.without(this.pick()));
    const zone = this.pick().zone;
    const others = this.members.filter((node) => node.zone !== zone);
    if (others.length >= replication) yield this.plan('zone leaves', others);
    yield this.plan(
      'weights change',
      this.members.map((node) => (this.random(1 / changedPart) === 0 ? { ...node, weight: node.weight * 2 } : node)),
    );
    for (let at = 0; at < randomSteps; at++) {
      if (this.random(2) === 0) yield this.plan('random join', [...this.members, this.newNode()]);
      else if (this.members.length > replication) yield this.plan('random leave', this.without(this.pick()));
    }
  }

  private pick(): PlacementNode {
    return this.members[this.random(this.members.length)] as PlacementNode;
  }

  private without(node: PlacementNode): readonly PlacementNode[] {
    return this.members.filter((one) => one !== node);
  }

  /** The founding placement knows other bounds, without a lower one: its spread is only told. */
  private found(): Step {
    const placed = timed(() => place(this.shards, this.members, replication));
    this.shards = this.shards.map((arc, at) => ({ ...arc, replicas: placed.value.replicas[at] as readonly NodeId[] }));
    const { replicasPerNode } = planPlacement(this.shards, this.members, replication);
    const zoneViolations = zoneViolationsOf(this.shards, this.members, replication);
    const leaders = leaderFigures(
      new Map(this.shards.map(({ shardId, replicas }) => [shardId, replicas[0] as NodeId])),
      this.members,
    );
    return {
      name: 'founding',
      nodes: this.members.length,
      moved: 0,
      ideal: 0,
      ...spreadOf(this.shards, new Map(replicasPerNode.map(({ id, fair }) => [id, fair]))),
      zoneViolations,
      planMs: placed.ms,
      leadersMs: 0,
      leaderRange: leaders.range,
      leaderFurthest: leaders.furthest,
      breaches: zoneViolations === 0 ? [] : [`${zoneViolations} shards are founded in too few zones`],
    };
  }

  private plan(name: StepName, nodes: readonly PlacementNode[]): Step {
    const before = this.shards;
    const plan = planned(before, nodes);
    const leaders = timed(() => spreadLeaders(plan.value.target, nodes));
    this.members = nodes;
    this.shards = plan.value.target.map((shard) => preferring(shard, leaders.value.get(shard.shardId) as NodeId));
    return this.inspect(name, before, nodes, plan, leaders);
  }

  private inspect(
    name: StepName,
    before: readonly PlacedShard[],
    nodes: readonly PlacementNode[],
    { value: plan, ms: planMs }: Timed<PlacementPlan>,
    leaders = timed(() => spreadLeaders(plan.target, nodes)),
  ): Step {
    const figures = figuresOf(plan, nodes, replication);
    const { range, furthest } = leaderFigures(leaders.value, nodes);
    const breaches = [
      ...breachesOf(plan, before, nodes, replication),
      ...leaderBreaches(leaders.value, plan.target, nodes),
    ];
    if (/join|node leaves|random/.test(name)) breaches.push(...needlessMoves(figures, plan, before, nodes));
    const again = planPlacement(plan.target, nodes, replication).moves.length;
    if (again > 0) breaches.push(`planned again from the target, ${again} replicas move`);
    if (before.length <= mostShardsReordered) {
      const other = planPlacement([...before].reverse(), [...nodes].reverse(), replication);
      if (JSON.stringify(other) !== JSON.stringify(plan)) breaches.push('given in another order, the plan is another');
    }
    const timings = { planMs, leadersMs: leaders.ms, leaderRange: range, leaderFurthest: furthest };
    return { name, nodes: nodes.length, ...figures, ...timings, breaches };
  }
}

/** One node more or less moves little more than the ideal; or else, where that can be found out, than it must. */
function needlessMoves(
  { moved, ideal }: Figures,
  plan: PlacementPlan,
  before: readonly PlacedShard[],
  nodes: readonly PlacementNode[],
): readonly string[] {
  if (moved <= Math.ceil(mostMoved * ideal)) return [];
  const isSmall = before.length * nodes.length <= mostCellsExact;
  if (isSmall && moved <= fewestMoves(plan, before, nodes, replication)) return [];
  return [`${moved} replicas move, ${ideal} are the ideal`];
}

const planned = (shards: readonly PlacedShard[], nodes: readonly PlacementNode[]): Timed<PlacementPlan> =>
  timed(() => planPlacement(shards, nodes, replication));

const preferring = (shard: PlacedShard, leader: NodeId): PlacedShard => {
  if (shard.replicas[0] === leader) return shard;
  return { ...shard, replicas: [leader, ...shard.replicas.filter((id) => id !== leader)] };
};

/** Needs `initHash()` before. */
export const runCase = (given: Case): Generator<Step> => new Life(given).steps();
