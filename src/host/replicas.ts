/**
 * The replicas this node holds: found at the start, begun when a shard's leader invites, begun anew when they cannot go
 * on, removed when the map places them elsewhere.
 *
 * Invariants:
 * 1. A replica is removed only when the map, which the system shard keeps, neither places nor tolerates it here any more;
 *    by then the shard's leader has committed a configuration without it. A map that is older than the replica proves
 *    nothing: what an earlier life saved, or others pass on, counts only once the manager has shown its map in this life.
 * 2. Of a removed replica the tombstone in the log is durable before its data go, so that no start brings it back.
 * 3. While a shard is being removed no new replica of it begins.
 * 4. A map that places a replica here is on the disk before the replica exists: a start with an older one would find
 *    invariant 1 met, and remove a voter.
 */
import {
  type Clock,
  type Logger,
  messageOf,
  type NodeId,
  noReplica,
  type Random,
  RingraftError,
  type ShardId,
} from '../base/index.js';
import type { Store } from '../kv/index.js';
import type { Bus } from '../transport/index.js';
import type { Wal } from '../wal/index.js';
import { type AdminRequest, adminSubject, type ClusterMap, type MapShard, type ShardReport } from '../wire/index.js';
import { dropRemoved } from './bucket-drops.js';
import type { Group } from './group.js';
import { allShards, isPlacedOn, type LocalMap } from './local-map.js';
import { checkDispensable, reportOf, stepTowards } from './membership.js';
import { arcOf, commit, createReplica, type DamagedReplica, openGroups } from './open-groups.js';
import type { HostOptions } from './options.js';
import { ReplicaRepair } from './replica-repair.js';

export type ReplicasParts = {
  readonly bus: Bus;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly wal: Wal;
  readonly store: Store;
  readonly maps: LocalMap;
  readonly mark: (group: Group) => void;
  /** The replica takes part no more: what waits for it must be answered. */
  readonly abandon: (group: Group) => void;
  /** Resolves once the map, or a newer one, is durable. */
  readonly keepMap: () => Promise<void>;
  readonly onFatal: (error: unknown) => void;
};

export type Invitation = Extract<AdminRequest, { op: 'hostReplica' }>;

export class Replicas {
  private readonly groups = new Map<ShardId, Group>();
  private readonly removing = new Set<ShardId>();
  private readonly repair: ReplicaRepair;
  /** Placed here and not there, at the last look. */
  private missing: ReadonlySet<ShardId> = new Set();
  private isConfirmed = false;
  removed = 0;

  constructor(
    private readonly parts: ReplicasParts,
    private readonly options: HostOptions,
  ) {
    this.repair = new ReplicaRepair({
      ...parts,
      options,
      create: async (shard, replicaId) => {
        await parts.keepMap();
        return createReplica(parts, options, shard, replicaId);
      },
      onCreated: (group) => this.begin(group),
    });
  }

  /** Brings back what the disk holds. */
  async open(): Promise<void> {
    const { opened, damaged } = await openGroups(this.parts, this.options);
    for (const group of opened) this.groups.set(group.shardId, group);
    for (const replica of damaged) this.repair.add(replica);
  }

  start(): void {
    this.repair.start();
    for (const group of this.groups.values()) this.parts.mark(group);
  }

  stop(): void {
    this.repair.stop();
  }

  get(shardId: ShardId): Group | undefined {
    return this.groups.get(shardId);
  }

  get size(): number {
    return this.groups.size;
  }

  all(): Iterable<Group> {
    return this.groups.values();
  }

  /** What waits to be begun anew. */
  get waiting(): Iterable<DamagedReplica> {
    return this.repair.waiting;
  }

  get rebuilt(): number {
    return this.repair.repaired;
  }

  private begin(group: Group): void {
    this.groups.set(group.shardId, group);
    this.parts.logger.info({ shardId: group.shardId, replicaId: group.replicaId }, 'began a new replica');
    this.parts.mark(group);
  }

  /** Takes a newer map over. Throws CONFIG for one of another cluster. */
  adopt(map: ClusterMap): boolean {
    if (!this.parts.maps.adopt(map)) return false;
    for (const group of this.groups.values()) {
      const preferred = this.parts.maps.shard(group.shardId)?.replicas[0]?.nodeId;
      if (preferred !== undefined) group.preferredNode = preferred;
    }
    this.removeObsolete();
    return true;
  }

  /** The manager's map as of a moment in this life. Throws CONFIG for one of another cluster. */
  confirm(map: ClusterMap): boolean {
    this.isConfirmed = true;
    const isNewer = this.adopt(map);
    if (!isNewer) this.removeObsolete();
    return isNewer;
  }

  private removeObsolete(): void {
    const { maps, logger } = this.parts;
    if (!this.isConfirmed || !maps.isFounded) return;
    for (const group of [...this.groups.values()]) {
      const shard = maps.shard(group.shardId);
      if (shard === undefined || isPlacedOn(shard, this.options.nodeId) || group.installing) continue;
      // By invariant 1 it leads nobody; it will notice, and the next step removes it.
      if (group.raft.isLeader) continue;
      logger.info({ shardId: shard.id, replicaId: group.replicaId }, 'its place is elsewhere: removing a replica');
      this.release(group);
      this.removing.add(shard.id);
      this.removeData(shard).catch((error: unknown) => this.parts.onFatal(error));
    }
    for (const { shardId } of [...this.repair.waiting]) {
      const shard = maps.shard(shardId);
      if (shard !== undefined && !isPlacedOn(shard, this.options.nodeId)) this.repair.drop(shardId);
    }
  }

  private async removeData(shard: MapShard): Promise<void> {
    await commit(this.parts.wal);
    await this.parts.store.removeShard(shard.id, arcOf(shard));
    this.removed++;
    this.removing.delete(shard.id);
  }

  /** From here on nothing of the replica reaches log, state or network. The caller commits the log. */
  private release(group: Group): void {
    group.isRemoved = true;
    this.groups.delete(group.shardId);
    this.parts.abandon(group);
    this.parts.wal.appendTombstone(group.shardId);
  }

  /**
   * Gives up this node's replica of a shard and has it replaced by a new one, brought up from the leader. Throws
   * WRONG_SHARD when there is none, BUSY while the membership changes, NO_QUORUM when the others are no majority.
   */
  rebuild(shardId: ShardId, reason: string): void {
    const group = this.groups.get(shardId);
    if (group === undefined && this.repair.isWaiting(shardId)) {
      throw new RingraftError('BUSY', `the replica of shard ${shardId} is being rebuilt already`);
    }
    if (group === undefined) throw new RingraftError('WRONG_SHARD', `this node holds no replica of shard ${shardId}`);
    checkDispensable(group);
    this.replace(group, reason);
  }

  private replace(group: Group, reason: string | undefined): void {
    const { shardId, replicaId } = group;
    this.release(group);
    this.removing.add(shardId);
    commit(this.parts.wal).then(
      () => {
        this.removing.delete(shardId);
        this.repair.add({ shardId, replicaId, reason });
      },
      (error: unknown) => this.parts.onFatal(error),
    );
  }

  /** A shard's leader wants a replica here. Throws BUSY when this node does not know why, or is not ready. */
  accept({ shardId, term, configurationIndex, members }: Invitation): void {
    const id = shardId as ShardId;
    const shard = this.parts.maps.shard(id);
    if (shard === undefined || !isPlacedOn(shard, this.options.nodeId) || this.removing.has(id)) {
      throw new RingraftError('BUSY', `the map of this node does not place shard ${shardId} here, or not yet`);
    }
    const group = this.groups.get(id);
    if (group === undefined) {
      if (!this.repair.isWaiting(id)) this.repair.add({ shardId: id, replicaId: noReplica, reason: undefined });
      return;
    }
    const { raft, replicaId } = group;
    if (members.includes(replicaId) || raft.isLeader || group.installing || term < raft.currentTerm) return;
    const { voters, learners } = raft.configuration;
    const isMember = voters.includes(replicaId) || learners.includes(replicaId);
    // An old invitation, from before this replica was taken in.
    if (isMember && raft.configurationIndex >= configurationIndex) return;
    this.parts.logger.info({ shardId, replicaId }, 'a replica from before it was moved away: beginning a new one');
    this.replace(group, undefined);
  }

  /** Follows the map, and leads the membership of the groups led here towards it; whether something changed. */
  step(nowMs: number): boolean {
    let hasChanged = false;
    this.removeObsolete();
    this.beginMissing();
    for (const group of this.groups.values()) {
      if (!group.raft.isLeader) continue;
      if (this.dropBuckets(group)) hasChanged = true;
      const shard = this.parts.maps.shard(group.shardId);
      const step = shard === undefined ? undefined : stepTowards(group, shard, nowMs, this.parts.logger);
      if (step === undefined) continue;
      hasChanged = true;
      if (step === 'changed') this.parts.mark(group);
      else this.invite(group, step.invite);
    }
    return hasChanged;
  }

  private dropBuckets(group: Group): boolean {
    const { maps, store, clock, mark } = this.parts;
    const { removedBuckets } = maps;
    if (removedBuckets.length === 0) return false;
    if (!dropRemoved(group, removedBuckets, store.droppedBuckets(group.shardId), clock.wallMs())) return false;
    mark(group);
    return true;
  }

  /** A replica that is placed here, and that nobody invites to: the invitation was lost, or what came of it. */
  private beginMissing(): void {
    const { maps } = this.parts;
    const missing = new Set<ShardId>();
    for (const { id, replicas } of this.isConfirmed ? allShards(maps.current) : []) {
      if (this.groups.has(id) || this.removing.has(id) || this.repair.isWaiting(id)) continue;
      if (replicas.every(({ nodeId }) => nodeId !== this.options.nodeId)) continue;
      missing.add(id);
      if (this.missing.has(id)) this.repair.add({ shardId: id, replicaId: noReplica, reason: undefined });
    }
    this.missing = missing;
  }

  private invite({ shardId, raft }: Group, node: NodeId): void {
    const { voters, learners } = raft.configuration;
    const invitation: Invitation = {
      op: 'hostReplica',
      shardId,
      term: raft.currentTerm,
      configurationIndex: raft.configurationIndex,
      members: [...voters, ...learners],
    };
    const { bus, logger } = this.parts;
    try {
      bus.publish('client', adminSubject(this.options.cluster, node), Buffer.from(JSON.stringify(invitation)));
    } catch (error) {
      logger.warn({ shardId, node, error: messageOf(error) }, 'could not invite a node');
    }
  }

  /** Of the groups led here, those that are not as the map wants them. */
  reports(): readonly ShardReport[] {
    const reports: ShardReport[] = [];
    for (const group of this.groups.values()) {
      const shard = this.parts.maps.shard(group.shardId);
      const report = shard === undefined ? undefined : reportOf(group, shard);
      if (report !== undefined) reports.push(report);
    }
    return reports;
  }
}
