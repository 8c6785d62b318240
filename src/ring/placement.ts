/**
 * Which nodes hold which shard. Pure: the same input gives the same placement on every machine.
 *
 * 1. Each node stands on the ring at virtual points in proportion to its weight; a shard walks clockwise from the
 *    middle of its arc over distinct nodes (its preference list).
 * 2. Replicas of a shard are on distinct nodes, and in distinct zones while there are enough zones.
 * 3. Loads are bounded: no node holds more than ceil(1.1 * its fair share) replicas ("consistent hashing with bounded
 *    loads"), unless distinctness leaves no other choice.
 */
import { assert, type NodeId } from '../base/index.js';
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

/** Distinct nodes clockwise from `position`. */
export function preferenceList(
  points: readonly Point[],
  position: number,
  nodeCount: number,
): readonly PlacementNode[] {
  const seen = new Set<PlacementNode>();
  let start = points.findIndex((point) => point.position >= position);
  if (start < 0) start = 0;
  for (let step = 0; step < points.length && seen.size < nodeCount; step++) {
    seen.add((points[(start + step) % points.length] as Point).node);
  }
  return [...seen];
}

/** Places `replication` replicas of each arc. Throws when there are fewer nodes than that. */
export function place(arcs: readonly ShardArc[], nodes: readonly PlacementNode[], replication: number): Placement {
  assert(nodes.length >= replication, () => `${replication} replicas need as many nodes, there are ${nodes.length}`);
  const points = virtualPoints(nodes);
  const totalWeight = nodes.reduce((sum, node) => sum + node.weight, 0);
  const bound = new Map(
    nodes.map((node) => [node, Math.ceil((loadFactor * arcs.length * replication * node.weight) / totalWeight)]),
  );
  const load = new Map(nodes.map((node) => [node, 0]));
  const leaders = new Map(nodes.map((node) => [node, 0]));
  const loadOf = (node: PlacementNode): number => load.get(node) as number;
  const hasRoom = (node: PlacementNode): boolean => loadOf(node) < (bound.get(node) as number);

  const replicas = arcs.map((arc) => {
    const preference = preferenceList(points, middleOf(arc), nodes.length);
    const chosen: PlacementNode[] = [];
    const zones = new Set<string>();
    const take = (accept: (node: PlacementNode) => boolean): void => {
      for (const node of preference) {
        if (chosen.length === replication) return;
        if (chosen.includes(node) || !accept(node)) continue;
        chosen.push(node);
        zones.add(node.zone);
      }
    };
    take((node) => !zones.has(node.zone) && hasRoom(node));
    take((node) => !zones.has(node.zone));
    take(hasRoom);
    take(() => true);
    for (const node of chosen) load.set(node, loadOf(node) + 1);
    // Leaders are spread by the same bound: the preferred leader is the replica with the fewest for its weight.
    const leader = chosen.reduce((best, node) =>
      (leaders.get(node) as number) / node.weight < (leaders.get(best) as number) / best.weight ? node : best,
    );
    leaders.set(leader, (leaders.get(leader) as number) + 1);
    return [leader, ...chosen.filter((node) => node !== leader)].map((node) => node.id);
  });
  return { replicas };
}
