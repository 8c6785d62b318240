/**
 * Which nodes hold which shard. Pure: the same input gives the same placement on every machine.
 *
 * 1. Each node stands on the ring at virtual points in proportion to its weight; a shard walks clockwise from the
 *    middle of its arc over distinct nodes (its preference list).
 * 2. Replicas of a shard are on distinct nodes, and in distinct zones while there are enough zones.
 * 3. Loads are bounded: no node holds more than ceil(1.1 * its fair share) replicas ("consistent hashing with bounded
 *    loads"), unless distinctness leaves no other choice.
 */
import { assert, lowerBound, type NodeId } from '../base/index.js';
import type { ShardArc } from './arcs.js';
import { ringHash, ringSize } from './hash.js';

export type PlacementNode = { readonly id: NodeId; readonly zone: string; readonly weight: number };

/** `replicas[i]` are the nodes of `arcs[i]`; the first is the preferred leader. */
export type Placement = { readonly replicas: readonly (readonly NodeId[])[] };

const pointsPerWeight = 64;
/** A node holds at most so many times its fair share. */
export const loadFactor = 1.1;

/** How many virtual points a node of that weight has. */
export const pointCount = (weight: number): number => Math.max(1, Math.round(weight * pointsPerWeight));

export type Point = { readonly position: number; readonly node: PlacementNode };

/** The virtual points of all nodes, clockwise. */
export function virtualPoints(nodes: readonly PlacementNode[]): readonly Point[] {
  const points: Point[] = [];
  for (const node of nodes) {
    const count = pointCount(node.weight);
    for (let at = 0; at < count; at++) points.push({ position: ringHash(Buffer.from(`${node.id}#${at}`)), node });
  }
  return points.sort((a, b) => a.position - b.position || (a.node.id < b.node.id ? -1 : 1));
}

/** Where a shard begins its walk. */
export const middleOf = ({ start, end }: Pick<ShardArc, 'start' | 'end'>): number =>
  Math.floor((start + end) / 2) % ringSize;

/** Where the walk from `position` begins among the points. */
function startAt(points: readonly Point[], position: number): number {
  const at = lowerBound(points, (point) => point.position < position);
  return at === points.length ? 0 : at;
}

/** The first node of the walk from `position` that is accepted, looking at `most` points. */
export function firstOnWalk(
  points: readonly Point[],
  position: number,
  accept: (node: PlacementNode) => boolean,
  most = points.length,
): PlacementNode | undefined {
  const start = startAt(points, position);
  for (let step = 0; step < Math.min(most, points.length); step++) {
    const { node } = points[(start + step) % points.length] as Point;
    if (accept(node)) return node;
  }
  return undefined;
}

/** Distinct nodes clockwise from `position`, the first `nodeCount` of them. */
export function preferenceList(
  points: readonly Point[],
  position: number,
  nodeCount: number,
): readonly PlacementNode[] {
  const seen = new Set<PlacementNode>();
  firstOnWalk(points, position, (node) => seen.size === nodeCount || seen.add(node).size === nodeCount);
  return [...seen];
}

/** Replicas and preferred leaders of each node, and in which zones a node has room. */
class Loads {
  private readonly bound: ReadonlyMap<PlacementNode, number>;
  private readonly load: Map<PlacementNode, number>;
  private readonly leaders: Map<PlacementNode, number>;
  readonly zoneCount: number;
  /** How many nodes of each zone have room; zones without are not here. */
  readonly roomy = new Map<string, number>();

  constructor(nodes: readonly PlacementNode[], replicas: number) {
    const totalWeight = nodes.reduce((sum, node) => sum + node.weight, 0);
    this.bound = new Map(nodes.map((node) => [node, Math.ceil((loadFactor * replicas * node.weight) / totalWeight)]));
    this.load = new Map(nodes.map((node) => [node, 0]));
    this.leaders = new Map(nodes.map((node) => [node, 0]));
    this.zoneCount = new Set(nodes.map(({ zone }) => zone)).size;
    for (const { zone } of nodes) this.roomy.set(zone, (this.roomy.get(zone) ?? 0) + 1);
  }

  hasRoom(node: PlacementNode): boolean {
    return (this.load.get(node) as number) < (this.bound.get(node) as number);
  }

  add(node: PlacementNode): void {
    const hadRoom = this.hasRoom(node);
    this.load.set(node, (this.load.get(node) as number) + 1);
    if (!hadRoom || this.hasRoom(node)) return;
    const left = (this.roomy.get(node.zone) as number) - 1;
    if (left > 0) this.roomy.set(node.zone, left);
    else this.roomy.delete(node.zone);
  }

  /** Leaders are spread by the same bound: the replica with the fewest for its weight. */
  addLeader(replicas: readonly PlacementNode[]): PlacementNode {
    const led = (node: PlacementNode): number => this.leaders.get(node) as number;
    const leader = replicas.reduce((best, node) => (led(node) / node.weight < led(best) / best.weight ? node : best));
    this.leaders.set(leader, led(leader) + 1);
    return leader;
  }
}

/** The nodes of the shard that walks from `position`. */
function choose(points: readonly Point[], position: number, replication: number, loads: Loads): PlacementNode[] {
  const chosen: PlacementNode[] = [];
  const zones = new Set<string>();
  // Whether a node can be found is asked first: a walk in vain goes all around the ring.
  const take = (isThereOne: () => boolean, accept: (node: PlacementNode) => boolean): void => {
    while (chosen.length < replication && isThereOne()) {
      const node = firstOnWalk(points, position, (each) => !chosen.includes(each) && accept(each)) as PlacementNode;
      chosen.push(node);
      zones.add(node.zone);
    }
  };
  const hasRoom = (node: PlacementNode): boolean => loads.hasRoom(node);
  take(
    () => [...loads.roomy.keys()].some((zone) => !zones.has(zone)),
    (node) => !zones.has(node.zone) && hasRoom(node),
  );
  take(
    () => zones.size < loads.zoneCount,
    (node) => !zones.has(node.zone),
  );
  take(() => [...loads.roomy.values()].reduce((sum, count) => sum + count, 0) > chosen.filter(hasRoom).length, hasRoom);
  take(
    () => true,
    () => true,
  );
  return chosen;
}

/** Places `replication` replicas of each arc. Throws when there are fewer nodes than that. */
export function place(arcs: readonly ShardArc[], nodes: readonly PlacementNode[], replication: number): Placement {
  assert(nodes.length >= replication, () => `${replication} replicas need as many nodes, there are ${nodes.length}`);
  const points = virtualPoints(nodes);
  const loads = new Loads(nodes, arcs.length * replication);
  const replicas = arcs.map((arc) => {
    const chosen = choose(points, middleOf(arc), replication, loads);
    for (const node of chosen) loads.add(node);
    const leader = loads.addLeader(chosen);
    return [leader, ...chosen.filter((node) => node !== leader)].map(({ id }) => id);
  });
  return { replicas };
}
