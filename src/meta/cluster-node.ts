/**
 * A node of a cluster that manages itself: the host with what makes it part of the whole. Life: finds out what to begin
 * with, brings up the host, follows the map, watches the others, and manages the cluster while it leads the system shard.
 */
import type { Clock, Logger, NodeId, Timer } from '../base/index.js';
import { Host, type HostOptions, type HostParts, LocalMap } from '../host/index.js';
import type { Store } from '../kv/index.js';
import type { Bus } from '../transport/index.js';
import { type ClusterMap, type ManagerRequest, managerSubject, type ShardReport } from '../wire/index.js';
import { type Beginning, decideBeginning } from './founding.js';
import { checkConfiguration } from './founding-map.js';
import { joinCluster } from './joining.js';
import { ManagerServer } from './manager-server.js';
import { decodeSavedMap, encodeSavedMap, MapFollower } from './map-follower.js';
import type { NodeSight, NodeWatch } from './node-watch.js';
import { FailureDetector, type FailureDetectorOptions } from './swim/index.js';

export type DiskUsage = { readonly freeBytes: number | null; readonly usedBytes: number | null };

export type ClusterNodeParts = Omit<HostParts, 'maps'> & {
  /** Asked now and then; null where it cannot be told. */
  readonly diskUsage: () => Promise<DiskUsage>;
};

/** With what a node begins that has nothing yet. */
export type Origin =
  /** The founding map of its configuration, in which it stands. */
  | { readonly type: 'found'; readonly map: ClusterMap }
  | { readonly type: 'join'; readonly zone: string; readonly weight: number };

export type ClusterNodeOptions = Omit<HostOptions, 'incarnation' | 'mayFound'> & {
  readonly origin: Origin;
  readonly gossip?: Partial<FailureDetectorOptions>;
};

const factsEveryMs = 2000;
const unknownUsage: DiskUsage = { freeBytes: null, usedBytes: null };

/**
 * What a node begins with: what it had, or what it founds, or what it joins. Waits for others where it must. Rejects with
 * CONFIG when the cluster was founded otherwise than the configuration says, with CLOSED once it is told to stop.
 */
export async function beginningOf(
  parts: {
    readonly bus: Bus;
    readonly clock: Clock;
    readonly logger: Logger;
    readonly store: Store;
    readonly stopping?: AbortSignal;
  },
  options: Pick<ClusterNodeOptions, 'cluster' | 'nodeId' | 'origin'>,
): Promise<Beginning> {
  const { store, ...asking } = parts;
  const { cluster, nodeId, origin } = options;
  const reached = await store.firstStart();
  const bytes = await store.savedMap();
  const saved = bytes === undefined ? undefined : decodeSavedMap(bytes);
  if (origin.type === 'join') {
    if (saved?.nodes.some(({ id }) => id === nodeId)) return { map: saved, mayFound: false };
    // One that is in the map no more left for good, and is told to come again.
    const map = await joinCluster({ ...asking, cluster, node: { id: nodeId, ...placeOf(origin) } });
    await store.saveMap(encodeSavedMap(map));
    return { map, mayFound: false };
  }
  if (saved !== undefined) {
    checkConfiguration(origin.map, saved);
    return { map: saved, mayFound: saved.epoch === 0 && reached !== 'done' };
  }
  const beginning = await decideBeginning({ ...asking, nodeId, reached, founding: origin.map });
  checkConfiguration(origin.map, beginning.map);
  // What was decided is decided: a configuration that is changed afterwards is noticed.
  await store.saveMap(encodeSavedMap(beginning.map));
  return beginning;
}

const placeOf = ({ zone, weight }: { readonly zone: string; readonly weight: number }) => ({ zone, weight });

export class ClusterNode {
  private readonly follower: MapFollower;
  private readonly manager: ManagerServer;
  private factsTimer: Timer | undefined;
  private usage: DiskUsage = unknownUsage;
  /** By a map that came in this life. */
  private wasMember = false;
  private stopped = false;

  private constructor(
    private readonly parts: ClusterNodeParts,
    private readonly options: ClusterNodeOptions,
    readonly host: Host,
    readonly detector: FailureDetector,
  ) {
    const { bus, clock, logger, onFatal } = parts;
    const { cluster, nodeId } = options;
    this.follower = new MapFollower({ bus, clock, logger, host, cluster, onFatal });
    const watch = watchOf(detector, clock);
    this.manager = new ManagerServer({ bus, clock, logger, host, watch, cluster, nodeId, onFatal });
  }

  /** Brings the node up over a beginning that is certain. Rejects when its data do not fit together. */
  static async start(parts: ClusterNodeParts, options: ClusterNodeOptions, beginning: Beginning): Promise<ClusterNode> {
    const { bus, clock, random, logger, store } = parts;
    const { nodeId, cluster, gossip } = options;
    const { map, mayFound } = beginning;
    store.useBuckets(map.buckets);
    const incarnation = await store.nextIncarnation();
    const saveMap = (newer: ClusterMap): Promise<void> => store.saveMap(encodeSavedMap(newer));
    const host = await Host.start(
      { ...parts, maps: new LocalMap(map), saveMap },
      { ...options, incarnation, mayFound },
    );
    const detector = new FailureDetector(
      { bus, clock, random, logger },
      { ...gossip, cluster, nodeId, life: incarnation },
    );
    const node = new ClusterNode(parts, options, host, detector);
    node.run();
    return node;
  }

  private run(): void {
    const { host, detector, follower, manager } = this;
    host.onReports = (reports) => this.report(reports);
    host.onMap = (map) => this.onMap(map);
    detector.onMapEpoch((epoch, from) => follower.heardOf(epoch, from));
    detector.start(host.maps.current.nodes.map(({ id }) => id));
    follower.start();
    manager.start();
    void this.lookAround();
  }

  private onMap(map: ClusterMap): void {
    const { detector, options } = this;
    const known = new Set(map.nodes.map(({ id }) => id));
    detector.expect([...known]);
    for (const { nodeId } of detector.members())
      if (!known.has(nodeId) && nodeId !== options.nodeId) detector.forget(nodeId);
    if (known.has(options.nodeId)) this.wasMember = true;
    else this.onRemoved(map);
    this.follower.onMap();
    this.tellFacts();
  }

  /** Removed while it runs it stays away; removed while it was down it asks anew, if that is what it was started for. */
  private onRemoved({ epoch }: ClusterMap): void {
    const { bus, clock, logger } = this.parts;
    const { cluster, nodeId, origin } = this.options;
    logger.warn({ epoch }, 'this node is not in the cluster any more');
    if (origin.type === 'found' || this.wasMember) return;
    this.wasMember = true;
    joinCluster({ bus, clock, logger, cluster, node: { id: nodeId, ...placeOf(origin) } }).then(
      (map) => this.host.adoptMap(map),
      (error: unknown) => this.parts.onFatal(error),
    );
  }

  private report(shards: readonly ShardReport[]): void {
    const { bus } = this.parts;
    const request: ManagerRequest = { op: 'report', node: this.options.nodeId, shards };
    const payload = Buffer.from(JSON.stringify(request));
    if (payload.length <= bus.maxPayloadBytes) bus.publish('client', managerSubject(this.options.cluster), payload);
  }

  private tellFacts(): void {
    const { host, options } = this;
    const map = host.maps.current;
    const own = map.nodes.find(({ id }) => id === options.nodeId);
    const groups = [...host.replicas()];
    this.detector.setFacts({
      version: options.version,
      zone: own?.zone ?? '',
      weight: own?.weight ?? 0,
      groups: groups.length,
      leaders: groups.filter(({ raft }) => raft.isLeader).length,
      diskFreeBytes: this.usage.freeBytes,
      diskUsedBytes: this.usage.usedBytes,
      mapEpoch: map.epoch,
      startedAtMs: host.startedAtMs,
    });
  }

  private async lookAround(): Promise<void> {
    const { clock, diskUsage } = this.parts;
    this.usage = await diskUsage().catch(() => unknownUsage);
    if (this.stopped) return;
    this.tellFacts();
    this.factsTimer = clock.after(factsEveryMs, () => void this.lookAround());
  }

  /** Clean end: says goodbye, hands leaderships over, answers what it can. */
  async stop(): Promise<void> {
    this.stopped = true;
    this.detector.leave();
    this.factsTimer?.cancel();
    await this.host.stop();
    this.manager.stop();
    this.follower.stop();
    this.detector.stop();
  }
}

function watchOf(detector: FailureDetector, clock: Clock): NodeWatch {
  return {
    sightOf(node: NodeId): NodeSight {
      const member = detector.member(node);
      if (member === undefined) return { state: 'unknown', forMs: 0, lastHeardAgoMs: null, facts: undefined };
      const nowMs = clock.nowMs();
      const { state, sinceMs, lastHeardMs, facts } = member;
      const lastHeardAgoMs = Number.isFinite(lastHeardMs) ? Math.round(nowMs - lastHeardMs) : null;
      return { state, forMs: nowMs - sinceMs, lastHeardAgoMs, facts };
    },
  };
}
