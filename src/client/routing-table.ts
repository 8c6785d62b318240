/**
 * Which node to ask for which key: the cluster map, and what answers taught about leaders since.
 *
 * Invariants:
 * 1. A map replaces an older one whole; an older map (by epoch) never replaces a newer one.
 * 2. A leader learned from an answer is only displaced by an answer, or because nobody listens there.
 */
import { type BucketId, isNodeId, type NodeId, RingraftError, type ShardId } from '../base/index.js';
import { arcAt } from '../ring/index.js';
import { type ClusterMap, type ClusterMapAnswer, type MapBucket, nodeSubject } from '../wire/index.js';
import { NodeLink } from './node-link.js';

export type ShardRoute = {
  readonly id: ShardId;
  /** Where replicas should be, then where some may still be: until a move is done one of those may lead. */
  readonly replicas: readonly NodeLink[];
  leader: NodeLink | undefined;
  /** Round robin over replicas while no leader is known. */
  nextReplica: number;
};

/** The node to ask for some shards. */
export type NodeShards = { readonly link: NodeLink; readonly routes: readonly ShardRoute[] };

export class RoutingTable {
  private readonly links: NodeLink[] = [];
  private readonly linkOf = new Map<NodeId, NodeLink>();
  private clusterMap: ClusterMap;
  private arcStarts: readonly number[] = [];
  private routes: readonly ShardRoute[] = [];
  private buckets: ReadonlyMap<string, MapBucket> = new Map();
  private nextCover = 0;

  constructor(
    answer: ClusterMapAnswer,
    private readonly replySubject: (token: string) => string,
  ) {
    this.clusterMap = answer.map;
    this.install(answer.map);
    this.learnLeaders(answer, Number.NEGATIVE_INFINITY);
  }

  get map(): ClusterMap {
    return this.clusterMap;
  }

  get shards(): readonly ShardRoute[] {
    return this.routes;
  }

  update(answer: ClusterMapAnswer, nowMs: number): void {
    if (answer.map.epoch > this.clusterMap.epoch) this.install(answer.map);
    if (answer.map.epoch === this.clusterMap.epoch) this.learnLeaders(answer, nowMs);
  }

  private install(map: ClusterMap): void {
    if (map.shards.length === 0) throw new RingraftError('BAD_REQUEST', `the map of ${map.cluster} has no shards`);
    const known = new Map(this.routes.map((route) => [route.id, route.leader]));
    const shards = [...map.shards].sort((a, b) => a.arcStart - b.arcStart);
    this.clusterMap = map;
    this.arcStarts = shards.map((shard) => shard.arcStart);
    this.routes = shards.map((shard) => {
      const homes = [...shard.replicas.map(({ nodeId }) => nodeId), ...shard.leaving];
      const replicas = homes.map((nodeId) => this.link(nodeId));
      const leader = known.get(shard.id);
      const keep = leader !== undefined && replicas.includes(leader);
      return { id: shard.id, replicas, leader: keep ? leader : undefined, nextReplica: shard.id };
    });
    const live = map.buckets.filter(({ isRemoved }) => !isRemoved);
    this.buckets = new Map(live.map((bucket) => [bucket.name, bucket]));
  }

  private learnLeaders({ map, leaders }: ClusterMapAnswer, nowMs: number): void {
    const leaderOf = new Map(map.shards.map((shard, at) => [shard.id, leaders[at] ?? null]));
    for (const route of this.routes) {
      const leader = leaderOf.get(route.id) ?? null;
      if (leader === null || (route.leader !== undefined && !route.leader.isDown(nowMs))) continue;
      const link = this.link(leader);
      if (!link.isDown(nowMs)) route.leader = link;
    }
  }

  private link(id: NodeId): NodeLink {
    let link = this.linkOf.get(id);
    if (link === undefined) {
      const subject = nodeSubject(this.clusterMap.cluster, id);
      link = new NodeLink(id, subject, this.links.length, this.replySubject);
      this.links.push(link);
      this.linkOf.set(id, link);
    }
    return link;
  }

  /** The link of a result token `<number>-<epoch>`. */
  linkOfToken(token: string): NodeLink | undefined {
    return this.links[Number.parseInt(token, 10)];
  }

  get allLinks(): readonly NodeLink[] {
    return this.links;
  }

  bucketId(name: string): BucketId | undefined {
    return this.buckets.get(name)?.id;
  }

  bucket(name: string): MapBucket | undefined {
    return this.buckets.get(name);
  }

  routeAt(ringPosition: number): ShardRoute {
    return this.routes[arcAt(this.arcStarts, ringPosition)] as ShardRoute;
  }

  /** Whom to ask: the leader while it is thought to be there, else the replicas in turn, `avoid` last. */
  choose(route: ShardRoute, avoid: NodeLink | undefined, nowMs: number): NodeLink | undefined {
    const { leader, replicas } = route;
    if (leader !== undefined && !leader.isDown(nowMs)) return leader;
    let fallback: NodeLink | undefined;
    for (let step = 0; step < replicas.length; step++) {
      const candidate = replicas[route.nextReplica++ % replicas.length] as NodeLink;
      if (candidate === avoid) continue;
      if (!candidate.isDown(nowMs)) return candidate;
      fallback ??= candidate;
    }
    return avoid !== undefined && !avoid.isDown(nowMs) ? avoid : (fallback ?? avoid);
  }

  /**
   * Few nodes that together have replicas of all these shards, with the shards to ask each for: the one that has the most of
   * what is left, again and again. Of those that have as many, another one comes first each time.
   */
  cover(routes: readonly ShardRoute[], nowMs: number): readonly NodeShards[] {
    const first = this.nextCover++;
    const rank = ({ number }: NodeLink): number => (number + first) % this.links.length;
    const chosen: NodeShards[] = [];
    let left = routes;
    while (left.length > 0) {
      const held = new Map<NodeLink, ShardRoute[]>();
      for (const route of left) {
        const up = route.replicas.filter((link) => !link.isDown(nowMs));
        for (const link of up.length > 0 ? up : route.replicas) {
          const of = held.get(link);
          if (of === undefined) held.set(link, [route]);
          else of.push(route);
        }
      }
      let best: NodeShards | undefined;
      for (const [link, of] of held) {
        const isBetter = best === undefined || of.length > best.routes.length;
        const isTurn = of.length === best?.routes.length && rank(link) < rank(best.link);
        if (isBetter || isTurn) best = { link, routes: of };
      }
      if (best === undefined) throw new RingraftError('NO_LEADER', `shard ${left[0]?.id} has no replicas`);
      chosen.push(best);
      const taken = new Set(best.routes);
      left = left.filter((route) => !taken.has(route));
    }
    return chosen;
  }

  /** `by` said that it does not lead. Returns whether another node is now thought to. */
  onNotLeader(route: ShardRoute, by: NodeLink, hint: string, nowMs: number): boolean {
    if (route.leader === by) route.leader = undefined;
    if (route.leader === undefined && isNodeId(hint)) {
      const hinted = this.link(hint);
      if (hinted !== by && !hinted.isDown(nowMs)) route.leader = hinted;
    }
    return route.leader !== undefined && !route.leader.isDown(nowMs);
  }

  onSilent(route: ShardRoute, link: NodeLink): void {
    if (route.leader === link) route.leader = undefined;
  }

  onUnreachable(link: NodeLink, downUntilMs: number): void {
    link.downUntilMs = downUntilMs;
    for (const route of this.routes) if (route.leader === link) route.leader = undefined;
  }
}
