/**
 * A node: many groups on one event loop, over ports (bus, log, store, clock, randomness) that a simulation can own.
 *
 * Life: `Host.start` brings up the replicas of this node; `stop` hands leaderships over, answers what it can and lets go.
 * A failed write of the log or a broken invariant is fatal: `onFatal` must end the process.
 */
import { type Clock, type Logger, type NodeId, pause, type Random, type ShardId, type Timer } from '../base/index.js';
import type { SnapshotFiles, Store } from '../kv/index.js';
import type { Message } from '../raft/index.js';
import type { Bus, BusSubscription } from '../transport/index.js';
import type { Wal } from '../wal/index.js';
import {
  type ClusterMap,
  type ClusterMapAnswer,
  mapSubject,
  type NodeStatus,
  queueGroup,
  type ShardReport,
} from '../wire/index.js';
import { AdminServer } from './admin-server.js';
import { balanceLeaders, handOverAll } from './balance.js';
import { DiskWatch } from './disk-watch.js';
import { ExpirySweeper } from './expiry-sweeper.js';
import type { Group } from './group.js';
import type { LocalMap } from './local-map.js';
import { LogTrimmer } from './log-trimmer.js';
import { MapSaver } from './map-saver.js';
import { OperationServer } from './operation-server.js';
import type { HostOptions } from './options.js';
import { Peers } from './peers.js';
import { ReadIndexes } from './read-indexes.js';
import { Replicas } from './replicas.js';
import { ResultOutbox } from './result-outbox.js';
import { ScanServer } from './scan-server.js';
import { SnapshotMover } from './snapshot-mover.js';
import { nodeStatus } from './status.js';
import { SystemShard } from './system-shard.js';
import { TurnLoop } from './turn.js';

export type HostParts = {
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly bus: Bus;
  readonly wal: Wal;
  readonly store: Store;
  readonly snapshotFiles: SnapshotFiles;
  readonly maps: LocalMap;
  /** Makes a copy of the map durable, for the next start to begin from. Absent: the map never changes. */
  readonly saveMap?: (map: ClusterMap) => Promise<void>;
  /** Called once; the node must stop at once, without answering anything more. */
  readonly onFatal: (error: unknown) => void;
};

/** Resolution of elections, heartbeats and leases. */
const tickMs = 10;
/** The same while every group is quiet: only the links to other nodes have to be kept alive then. */
const quietTickMs = 50;
/** How much rarer the links to other nodes are kept alive while every group is quiet. */
const quietKeepalives = 2;
const balanceIntervalMs = 1000;
/** How long a stop waits for leaderships to be taken over and for operations in flight. */
const handOverTimeoutMs = 3000;

export class Host {
  readonly maps: LocalMap;
  readonly system: SystemShard;
  private readonly saver: MapSaver;
  private readonly held: Replicas;
  private readonly outbox: ResultOutbox;
  private readonly peers: Peers;
  private readonly turns: TurnLoop;
  private readonly operations: OperationServer;
  private readonly readIndexes: ReadIndexes;
  private readonly scans: ScanServer;
  private readonly snapshots: SnapshotMover;
  private readonly trimmer: LogTrimmer;
  private readonly sweeper: ExpirySweeper;
  private readonly admin: AdminServer;
  private readonly disk: DiskWatch;
  private readonly subscriptions: BusSubscription[] = [];
  readonly startedAtMs: number;
  private readonly startedMs: number;
  private ticker: Timer | undefined;
  private nextBalanceMs = 0;
  private tickedMs = Number.NEGATIVE_INFINITY;
  private stopping = false;
  private failed = false;
  /** Told, about every second, of the shards led here that are not as the map wants them; not when there are none. */
  onReports: (reports: readonly ShardReport[]) => void = () => {};
  /** Told of every map that is taken over. */
  onMap: (map: ClusterMap) => void = () => {};

  private constructor(
    private readonly parts: HostParts,
    private readonly options: HostOptions,
  ) {
    const { clock, logger, bus, wal, store, maps } = parts;
    const onFatal = (error: unknown): void => this.fail(error);
    this.maps = maps;
    this.startedAtMs = clock.wallMs();
    this.startedMs = clock.nowMs();
    this.outbox = new ResultOutbox(bus, () => maps.current.epoch);
    this.peers = new Peers(
      bus,
      clock,
      {
        cluster: options.cluster,
        nodeId: options.nodeId,
        incarnation: options.incarnation,
        keepaliveMs: options.raft.heartbeatIntervalMs,
        silentAfterMs: options.raft.electionTimeoutMs,
      },
      {
        onMessage: (from, shardId, message, nowMs) => this.onRaftMessage(from, shardId, message, nowMs),
        onUnreachable: (peer) => this.onUnreachable(peer),
        onSuspicion: (peer) => this.wakeGroupsOf(peer),
      },
      logger,
    );
    const groupOf = (shardId: ShardId): Group | undefined => this.held.get(shardId);
    const mark = (group: Group): void => this.turns.mark(group);
    const schedule = (): void => this.turns.schedule();
    const { outbox } = this;
    this.operations = new OperationServer({ ...parts, outbox, options, groupOf, mark, schedule });
    this.readIndexes = new ReadIndexes({
      ...parts,
      options,
      groupOf,
      confirmRead: (group, confirmation) => this.operations.confirmRead(group, confirmation),
      serveWaitingReads: (group) => this.operations.serveWaitingReads(group),
    });
    this.scans = new ScanServer({
      ...parts,
      options,
      groupOf,
      heldShards: () => this.held.size,
      confirmRead: (group, done) => this.readIndexes.confirm(group, done),
    });
    this.snapshots = new SnapshotMover({ ...parts, files: parts.snapshotFiles, options, groupOf, mark, onFatal });
    this.turns = new TurnLoop({
      clock,
      logger,
      wal,
      store,
      peers: this.peers,
      outbox,
      operations: this.operations,
      snapshots: this.snapshots,
      onMembership: (group) => {
        for (const node of group.nodes.values()) this.peers.add(node);
      },
      onFatal,
    });
    this.trimmer = new LogTrimmer({
      clock,
      wal,
      groupOf,
      groups: () => this.held.all(),
      syncWritten: (done) => store.syncWritten(done),
      trimEveryBytes: options.limits.trimEveryBytes,
      packEveryBytes: options.limits.packEveryBytes,
      retainedLogBytes: options.limits.retainedLogBytes,
      trailingLogBytes: options.limits.trailingLogBytes,
      onFatal,
    });
    this.sweeper = new ExpirySweeper({ clock, store, maps, groupOf, mark, onFatal });
    const abandon = (group: Group): void => this.operations.abandon(group);
    this.saver = new MapSaver(maps, parts.saveMap);
    const keepMap = (): Promise<void> => this.saver.save();
    this.held = new Replicas({ ...parts, mark, abandon, keepMap, onFatal }, options);
    this.system = new SystemShard({ clock, store, replicas: this.held, operations: this.operations, mark });
    this.disk = new DiskWatch({
      logger,
      wal,
      groups: () => this.held.all(),
      mark,
      stallMs: options.limits.diskStallMs,
    });
    this.admin = new AdminServer({
      bus,
      clock,
      options,
      maps,
      replicas: this.held,
      system: this.system,
      mark,
      status: (only) => this.statusOf(only),
    });
  }

  /** Brings up the replicas of this node. Rejects when its data do not fit together. */
  static async start(parts: HostParts, options: HostOptions): Promise<Host> {
    const host = new Host(parts, options);
    await host.open();
    return host;
  }

  private async open(): Promise<void> {
    for (const node of this.maps.current.nodes) this.peers.add(node.id);
    await this.held.open();
    this.peers.start();
    this.operations.start();
    this.readIndexes.start();
    this.scans.start();
    this.snapshots.start();
    this.admin.start();
    this.held.start();
    this.trimmer.start();
    this.sweeper.start();
    this.subscriptions.push(
      this.parts.bus.subscribe(
        'client',
        mapSubject(this.options.cluster),
        ({ replyTo }) => {
          if (replyTo !== undefined) this.parts.bus.publish('client', replyTo, this.mapAnswer());
        },
        { queue: queueGroup },
      ),
    );
    this.parts.bus.onConnectionChange((lane, connected) => this.onConnectionChange(lane, connected));
    this.nextBalanceMs = this.parts.clock.nowMs() + balanceIntervalMs;
    this.tick();
  }

  /** Something was done to the group from outside: it is part of the next turn. */
  wake(group: Group): void {
    this.turns.mark(group);
  }

  /** Takes a newer cluster map over; an older one changes nothing. Throws CONFIG when it is not of this cluster. */
  adoptMap(map: ClusterMap): boolean {
    return !this.failed && this.held.adopt(map) && this.tookOver(map);
  }

  /** The same with the manager's own map, as of a moment in this life: replicas it does not place here are removed. */
  confirmMap(map: ClusterMap): boolean {
    return !this.failed && this.held.confirm(map) && this.tookOver(map);
  }

  private tookOver(map: ClusterMap): true {
    this.peers.retain(new Set(map.nodes.map(({ id }) => id)));
    this.snapshots.adoptSettings(map.settings);
    this.parts.store.useBuckets(map.buckets);
    this.nextBalanceMs = Math.min(this.nextBalanceMs, this.parts.clock.nowMs() + tickMs);
    this.onMap(map);
    return true;
  }

  /** Resolves once the map, or a newer one, is durable. */
  saveMap(): Promise<void> {
    return this.saver.save();
  }

  /** See `Replicas.rebuild`. */
  rebuildReplica(shardId: ShardId, reason: string): void {
    this.held.rebuild(shardId, reason);
  }

  private mapAnswer(): Buffer {
    const map = this.maps.current;
    const leaders = map.shards.map((shard) => this.held.get(shard.id)?.leaderNode ?? null);
    const answer: ClusterMapAnswer = { map, leaders };
    return Buffer.from(JSON.stringify(answer));
  }

  /** Every replica this node holds. */
  replicas(): Iterable<Group> {
    return this.held.all();
  }

  get status(): NodeStatus {
    return this.statusOf();
  }

  private statusOf(only?: ShardId): NodeStatus {
    const nowMs = this.parts.clock.nowMs();
    const parts = {
      options: this.options,
      groups: this.held.all(),
      damaged: this.held.waiting,
      wal: this.parts.wal,
      startedAtMs: this.startedAtMs,
      uptimeMs: Math.round(nowMs - this.startedMs),
      peers: this.peers.status(nowMs),
      counters: {
        turns: this.turns.turns,
        ...this.operations.counters,
        inflightOperations: this.operations.inflightOperations,
        scans: this.scans.scans,
        readIndexRequests: this.readIndexes.counters.requests,
        envelopesSent: this.peers.envelopesSent,
        envelopesReceived: this.peers.envelopesReceived,
        raftMessagesSent: this.peers.messagesSent,
        raftMessagesDropped: this.peers.messagesDropped,
        resultMessages: this.outbox.messages,
        results: this.outbox.results,
        logTrims: this.trimmer.trims,
        expiredReclaimed: this.sweeper.reclaimed,
        snapshotsSent: this.snapshots.sent,
        snapshotsInstalled: this.snapshots.installed,
        snapshotBytesSent: this.snapshots.bytesSent,
        snapshotBytesReceived: this.snapshots.bytesReceived,
        replicasRebuilt: this.held.rebuilt,
        replicasRemoved: this.held.removed,
        diskStalls: this.disk.stalls,
      },
    };
    return nodeStatus(parts, only);
  }

  private onRaftMessage(from: NodeId, shardId: ShardId, message: Message, nowMs: number): void {
    const group = this.held.get(shardId);
    if (group === undefined || message.to !== group.replicaId || this.disk.isStalled) return;
    const known = group.nodes.get(message.from);
    // A member this replica has not heard of yet lives where its message comes from.
    if (known === undefined) group.nodes.set(message.from, from);
    else if (known !== from) return;
    if (this.failed) return;
    const { raft } = group;
    // As `guard` does, without a closure for each message.
    try {
      raft.step(message, nowMs, raft.isQuiescent ? this.leaderHeardMs(group) : undefined);
      // Most answers to heartbeats, and the second follower's to an append, leave nothing for a turn to do.
      if (raft.hasReady()) this.turns.mark(group);
      // What leaves nothing to do may have woken it, or shown that the clock jumped back.
      group.dueMs = Math.min(group.dueMs, raft.nextDeadlineMs);
    } catch (error) {
      this.fail(error);
    }
  }

  /** The peer's process is gone, or a partition between NATS servers hides it: only the core may tell what follows. */
  private onUnreachable(peer: NodeId): void {
    const nowMs = this.parts.clock.nowMs();
    this.arm(tickMs);
    this.guard(() => {
      for (const group of this.held.all()) {
        if (group.leaderNode === peer) {
          group.raft.leaderUnreachable(nowMs);
          this.turns.mark(group);
        } else if (group.raft.isLeader) {
          for (const [id, node] of group.nodes) if (node === peer) group.raft.reportUnreachable(id, nowMs);
          this.turns.mark(group);
        }
      }
    });
  }

  /** Something happened to a node: the quiet groups that have a member there look around. */
  private wakeGroupsOf(peer: NodeId): void {
    const nowMs = this.parts.clock.nowMs();
    for (const group of this.held.all()) {
      if (!group.raft.isQuiescent || !group.isMember(peer)) continue;
      group.raft.wake(nowMs, this.leaderHeardMs(group));
      this.turns.mark(group);
    }
  }

  private leaderHeardMs({ leaderNode }: Group): number | undefined {
    return leaderNode === undefined ? undefined : this.peers.lastHeardMs(leaderNode);
  }

  private onConnectionChange(lane: string, connected: boolean): void {
    if (lane !== 'raft') return;
    this.parts.logger[connected ? 'info' : 'warn']({ lane }, connected ? 'connected to NATS' : 'lost NATS');
    if (!connected) for (const group of this.held.all()) group.raft.voidLease();
  }

  private tick(): void {
    if (this.failed) return;
    let isQuiet = true;
    this.guard(() => {
      const nowMs = this.parts.clock.nowMs();
      const hasJumpedBack = nowMs < this.tickedMs;
      this.tickedMs = nowMs;
      for (const group of this.held.all()) {
        // Of most groups no more than this is looked at; none of a quiet one is ever due.
        if (group.dueMs > nowMs && !hasJumpedBack) {
          if (group.dueMs < Number.POSITIVE_INFINITY) isQuiet = false;
          continue;
        }
        const { raft } = group;
        if (!raft.isQuiescent) {
          isQuiet = false;
          const wasLeader = raft.isLeader;
          raft.tick(nowMs);
          // Who leads no longer has nothing to say of it, but answers for what it has proposed.
          if (raft.hasReady() || raft.isLeader !== wasLeader) this.turns.mark(group);
        }
        group.dueMs = raft.nextDeadlineMs;
      }
      this.trimmer.tick();
      this.disk.check(nowMs);
      this.peers.checkSilence(nowMs);
      this.readIndexes.sweep(nowMs);
      if (nowMs >= this.nextBalanceMs && !this.stopping) {
        this.balance(nowMs);
      }
      this.peers.slowDown(isQuiet ? quietKeepalives : 1);
      if (this.peers.isKeepaliveDue(nowMs)) this.turns.schedule();
    });
    this.arm(isQuiet ? quietTickMs : tickMs);
  }

  /** Replicas and leaders go where the map wants them, step by step; quickly while there are steps to take. */
  private balance(nowMs: number): void {
    const hasChanged = this.held.step(nowMs);
    const moved = balanceLeaders(this.held.all(), nowMs, this.parts.logger);
    if (moved !== undefined) this.turns.mark(moved);
    this.nextBalanceMs = nowMs + (hasChanged || moved !== undefined ? balanceIntervalMs / 10 : balanceIntervalMs);
    const reports = this.held.reports();
    if (reports.length === 0) return;
    this.nextBalanceMs = Math.min(this.nextBalanceMs, nowMs + balanceIntervalMs / 4);
    this.onReports(reports);
  }

  private arm(delayMs: number): void {
    if (this.failed) return;
    this.ticker?.cancel();
    this.ticker = this.parts.clock.after(delayMs, () => this.tick());
  }

  private guard(work: () => void): void {
    if (this.failed) return;
    try {
      work();
    } catch (error) {
      this.fail(error);
    }
  }

  private fail(error: unknown): void {
    if (this.failed) return;
    this.failed = true;
    this.turns.stop();
    this.ticker?.cancel();
    this.parts.onFatal(error);
  }

  /**
   * Clean shutdown: new operations go elsewhere, leaderships are handed over, operations in flight are answered (for
   * at most 3 s in all). The caller closes store, log and bus afterwards.
   */
  async stop(): Promise<void> {
    if (this.stopping) return;
    this.stopping = true;
    this.operations.drain();
    const deadlineMs = this.parts.clock.nowMs() + handOverTimeoutMs;
    const isBusy = (): boolean =>
      this.operations.inflightOperations > 0 || [...this.held.all()].some((group) => group.raft.isLeader);
    let nextTryMs = 0;
    while (!this.failed && isBusy() && this.parts.clock.nowMs() < deadlineMs) {
      const nowMs = this.parts.clock.nowMs();
      if (nowMs >= nextTryMs) {
        nextTryMs = nowMs + 10 * tickMs;
        if (
          handOverAll(this.held.all(), nowMs) === 0 &&
          this.operations.inflightOperations === 0 &&
          nowMs + 2000 > deadlineMs
        )
          break;
        for (const group of this.held.all()) this.turns.mark(group);
      }
      await pause(this.parts.clock, tickMs);
    }
    this.trimmer.stop();
    this.sweeper.stop();
    this.snapshots.stop();
    this.admin.stop();
    this.held.stop();
    this.scans.stop();
    this.readIndexes.stop();
    this.operations.stop();
    this.peers.stop();
    for (const subscription of this.subscriptions.splice(0)) subscription.unsubscribe();
    this.ticker?.cancel();
    this.failed = true;
    this.turns.stop();
    this.outbox.flush();
  }
}
