/**
 * A node: many groups on one event loop, over ports (bus, log, store, clock, randomness) that a simulation can own.
 *
 * Life: `Host.start` brings up a replica of every shard the map places here; `stop` hands leaderships over, answers
 * what it can and lets go. A failed write of the log or a broken invariant is fatal: `onFatal` must end the process.
 */
import {
  type Clock,
  type Logger,
  type NodeId,
  type Random,
  RingraftError,
  type ShardId,
  type Timer,
} from '../base/index.js';
import type { SnapshotFiles, Store } from '../kv/index.js';
import type { Message } from '../raft/index.js';
import type { Bus, BusSubscription } from '../transport/index.js';
import type { Wal } from '../wal/index.js';
import { type ClusterMapAnswer, mapSubject, type NodeStatus, queueGroup } from '../wire/index.js';
import { AdminServer } from './admin-server.js';
import { balanceLeaders, handOverAll } from './balance.js';
import type { Group } from './group.js';
import { LogTrimmer } from './log-trimmer.js';
import { checkDispensable, promoteReplacements } from './membership.js';
import { createReplica, openGroups } from './open-groups.js';
import { OperationServer } from './operation-server.js';
import type { HostOptions } from './options.js';
import { Peers } from './peers.js';
import { ReplicaRepair } from './replica-repair.js';
import { ResultOutbox } from './result-outbox.js';
import { ScanServer } from './scan-server.js';
import { SnapshotMover } from './snapshot-mover.js';
import { nodeStatus } from './status.js';
import { TurnLoop } from './turn.js';

export type HostParts = {
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly bus: Bus;
  readonly wal: Wal;
  readonly store: Store;
  readonly snapshotFiles: SnapshotFiles;
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
  private readonly groups = new Map<ShardId, Group>();
  /** By position of the shard in the map. */
  private readonly groupsByArc: (Group | undefined)[];
  private readonly outbox: ResultOutbox;
  private readonly peers: Peers;
  private readonly turns: TurnLoop;
  private readonly operations: OperationServer;
  private readonly scans: ScanServer;
  private readonly snapshots: SnapshotMover;
  private readonly trimmer: LogTrimmer;
  private readonly repair: ReplicaRepair;
  private readonly admin: AdminServer;
  private readonly subscriptions: BusSubscription[] = [];
  private readonly startedAtMs: number;
  private readonly startedMs: number;
  private ticker: Timer | undefined;
  private nextBalanceMs = 0;
  /** The disk does not answer. */
  private isStalled = false;
  private stalls = 0;
  private stopping = false;
  private failed = false;

  private constructor(
    private readonly parts: HostParts,
    private readonly options: HostOptions,
  ) {
    const { clock, logger, bus, wal, store } = parts;
    const onFatal = (error: unknown): void => this.fail(error);
    this.startedAtMs = clock.wallMs();
    this.startedMs = clock.nowMs();
    this.groupsByArc = options.map.shards.map(() => undefined);
    this.outbox = new ResultOutbox(bus);
    this.peers = new Peers(
      bus,
      clock,
      {
        cluster: options.map.cluster,
        nodeId: options.nodeId,
        incarnation: options.incarnation,
        keepaliveMs: options.raft.heartbeatIntervalMs,
        silentAfterMs: options.raft.electionTimeoutMs,
      },
      {
        onMessage: (from, shardId, message) => this.onRaftMessage(from, shardId, message),
        onUnreachable: (peer) => this.onUnreachable(peer),
        onSuspicion: (peer) => this.wakeGroupsOf(peer),
      },
      logger,
    );
    const groupOf = (shardId: ShardId): Group | undefined => this.groups.get(shardId);
    const mark = (group: Group): void => this.turns.mark(group);
    const schedule = (): void => this.turns.schedule();
    const groupAt = (at: number): Group | undefined => this.groupsByArc[at];
    this.operations = new OperationServer({
      bus,
      clock,
      logger,
      store,
      outbox: this.outbox,
      options,
      groupAt,
      mark,
      schedule,
    });
    this.scans = new ScanServer({
      bus,
      clock,
      logger,
      store,
      options,
      groupOf,
      confirmRead: (group, done) => this.operations.confirmRead(group, done),
    });
    this.snapshots = new SnapshotMover({
      bus,
      clock,
      random: parts.random,
      logger,
      store,
      files: parts.snapshotFiles,
      options,
      groupOf,
      mark,
      onFatal,
    });
    this.turns = new TurnLoop({
      clock,
      logger,
      wal,
      store,
      peers: this.peers,
      outbox: this.outbox,
      operations: this.operations,
      snapshots: this.snapshots,
      onMembership: (group) => {
        for (const node of group.nodes.values()) this.peers.add(node);
      },
      onFatal,
    });
    this.trimmer = new LogTrimmer({
      clock,
      logger,
      wal,
      groups: () => this.groups.values(),
      groupOf,
      syncMarker: (done) => store.syncMarker(done),
      trimEveryBytes: options.limits.trimEveryBytes,
      retainedLogBytes: options.limits.retainedLogBytes,
      onFatal,
    });
    this.repair = new ReplicaRepair({
      bus,
      clock,
      random: parts.random,
      logger,
      options,
      create: (at, replicaId) => createReplica(parts, options, at, replicaId),
      onCreated: (group, at) => this.adopt(group, at),
      onFatal,
    });
    this.admin = new AdminServer({
      bus,
      clock,
      options,
      groupOf,
      mark,
      status: (only) => this.statusOf(only),
      rebuild: (shardId, reason) => this.rebuildReplica(shardId, reason),
    });
  }

  /** Brings up every replica the map places on this node. Rejects when the node's data does not fit the map. */
  static async start(parts: HostParts, options: HostOptions): Promise<Host> {
    const host = new Host(parts, options);
    await host.open();
    return host;
  }

  private async open(): Promise<void> {
    const { map, nodeId } = this.options;
    for (const node of map.nodes) this.peers.add(node.id);
    if (!map.nodes.some((node) => node.id === nodeId)) {
      throw new RingraftError('CONFIG', `node ${nodeId} is not among the nodes of cluster ${map.cluster}`);
    }
    const { opened, damaged } = await openGroups(this.parts, this.options);
    for (const { group, at } of opened) {
      this.groups.set(group.shardId, group);
      this.groupsByArc[at] = group;
    }
    for (const replica of damaged) this.repair.add(replica);
    this.peers.start();
    this.operations.start();
    this.scans.start();
    this.snapshots.start();
    this.admin.start();
    this.repair.start();
    this.trimmer.start();
    this.subscriptions.push(
      this.parts.bus.subscribe(
        'client',
        mapSubject(map.cluster),
        ({ replyTo }) => {
          if (replyTo !== undefined) this.parts.bus.publish('client', replyTo, this.mapAnswer());
        },
        { queue: queueGroup },
      ),
    );
    this.parts.bus.onConnectionChange((lane, connected) => this.onConnectionChange(lane, connected));
    for (const group of this.groups.values()) this.turns.mark(group);
    this.nextBalanceMs = this.parts.clock.nowMs() + balanceIntervalMs;
    this.tick();
  }

  /** Something was done to the group from outside: it is part of the next turn. */
  wake(group: Group): void {
    this.turns.mark(group);
  }

  private adopt(group: Group, at: number): void {
    this.groups.set(group.shardId, group);
    this.groupsByArc[at] = group;
    this.parts.logger.info({ shardId: group.shardId, replicaId: group.replicaId }, 'began a new replica');
    this.turns.mark(group);
  }

  /**
   * Gives up this node's replica of a shard and has it replaced by a new one, brought up from the leader. Throws
   * WRONG_SHARD when there is none, BUSY while the membership changes, NO_QUORUM when the others are no majority.
   */
  rebuildReplica(shardId: ShardId, reason: string): void {
    const group = this.groups.get(shardId);
    if (group === undefined && this.repair.isWaiting(shardId)) {
      throw new RingraftError('BUSY', `the replica of shard ${shardId} is being rebuilt already`);
    }
    if (group === undefined) throw new RingraftError('WRONG_SHARD', `this node holds no replica of shard ${shardId}`);
    checkDispensable(group);
    const at = this.groupsByArc.indexOf(group);
    group.isRemoved = true;
    this.groups.delete(shardId);
    this.groupsByArc[at] = undefined;
    this.operations.abandon(group);
    this.parts.wal.appendTombstone(shardId);
    this.parts.wal.commit((error) => {
      if (error !== undefined) this.fail(error);
      else this.repair.add({ shardId, at, replicaId: group.replicaId, reason });
    });
  }

  private mapAnswer(): Buffer {
    const { map } = this.options;
    const leaders = map.shards.map((shard) => this.groups.get(shard.id)?.leaderNode ?? null);
    const answer: ClusterMapAnswer = { map, leaders };
    return Buffer.from(JSON.stringify(answer));
  }

  /** Every replica this node holds. */
  replicas(): Iterable<Group> {
    return this.groups.values();
  }

  get status(): NodeStatus {
    return this.statusOf();
  }

  private statusOf(only?: ShardId): NodeStatus {
    const nowMs = this.parts.clock.nowMs();
    const parts = {
      options: this.options,
      groups: this.groups.values(),
      damaged: this.repair.waiting,
      wal: this.parts.wal,
      startedAtMs: this.startedAtMs,
      uptimeMs: Math.round(nowMs - this.startedMs),
      peers: this.peers.status(nowMs),
      counters: {
        turns: this.turns.turns,
        ...this.operations.counters,
        inflightOperations: this.operations.inflightOperations,
        scans: this.scans.scans,
        envelopesSent: this.peers.envelopesSent,
        envelopesReceived: this.peers.envelopesReceived,
        raftMessagesSent: this.peers.messagesSent,
        raftMessagesDropped: this.peers.messagesDropped,
        resultMessages: this.outbox.messages,
        results: this.outbox.results,
        logTrims: this.trimmer.trims,
        snapshotsSent: this.snapshots.sent,
        snapshotsInstalled: this.snapshots.installed,
        replicasRebuilt: this.repair.repaired,
        diskStalls: this.stalls,
      },
    };
    return nodeStatus(parts, only);
  }

  private onRaftMessage(from: NodeId, shardId: ShardId, message: Message): void {
    const group = this.groups.get(shardId);
    if (group === undefined || message.to !== group.replicaId || this.isStalled) return;
    const known = group.nodes.get(message.from);
    // A member this replica has not heard of yet lives where its message comes from.
    if (known === undefined) group.nodes.set(message.from, from);
    else if (known !== from) return;
    this.guard(() => {
      const leaderNode = group.raft.isQuiescent ? group.leaderNode : undefined;
      const heardMs = leaderNode === undefined ? undefined : this.peers.lastHeardMs(leaderNode);
      group.raft.step(message, this.parts.clock.nowMs(), heardMs);
      this.turns.mark(group);
    });
  }

  /** The peer's process is gone, or a partition between NATS servers hides it: only the core may tell what follows. */
  private onUnreachable(peer: NodeId): void {
    const nowMs = this.parts.clock.nowMs();
    this.arm(tickMs);
    this.guard(() => {
      for (const group of this.groups.values()) {
        if (group.leaderNode === peer) {
          group.raft.leaderUnreachable(nowMs);
          this.turns.mark(group);
        } else if (group.raft.isLeader) {
          for (const [replicaId, node] of group.nodes) if (node === peer) group.raft.reportUnreachable(replicaId);
        }
      }
    });
  }

  /** Something happened to a node: the quiet groups that have a member there look around. */
  private wakeGroupsOf(peer: NodeId): void {
    const nowMs = this.parts.clock.nowMs();
    for (const group of this.groups.values()) {
      if (!group.raft.isQuiescent || !group.isMember(peer)) continue;
      const { leaderNode } = group;
      group.raft.wake(nowMs, leaderNode === undefined ? undefined : this.peers.lastHeardMs(leaderNode));
      this.turns.mark(group);
    }
  }

  private onConnectionChange(lane: string, connected: boolean): void {
    if (lane !== 'raft') return;
    this.parts.logger[connected ? 'info' : 'warn']({ lane }, connected ? 'connected to NATS' : 'lost NATS');
    if (!connected) for (const group of this.groups.values()) group.raft.voidLease();
  }

  private tick(): void {
    if (this.failed) return;
    let isQuiet = true;
    this.guard(() => {
      const nowMs = this.parts.clock.nowMs();
      for (const group of this.groups.values()) {
        const { raft } = group;
        if (raft.isQuiescent) continue;
        isQuiet = false;
        if (raft.nextDeadlineMs > nowMs) continue;
        raft.tick(nowMs);
        this.turns.mark(group);
      }
      this.checkDisk(nowMs);
      this.checkRoom(nowMs);
      this.peers.checkSilence(nowMs);
      if (nowMs >= this.nextBalanceMs && !this.stopping) {
        this.nextBalanceMs = nowMs + balanceIntervalMs / 10;
        for (const group of this.groups.values()) {
          if (promoteReplacements(group, this.parts.logger)) this.turns.mark(group);
        }
        const moved = balanceLeaders(this.groups.values(), nowMs, this.parts.logger);
        if (moved !== undefined) this.turns.mark(moved);
        else this.nextBalanceMs = nowMs + balanceIntervalMs;
      }
      this.peers.slowDown(isQuiet ? quietKeepalives : 1);
      if (this.peers.isKeepaliveDue(nowMs)) this.turns.schedule();
    });
    this.arm(isQuiet ? quietTickMs : tickMs);
  }

  /**
   * A write of the log that does not return (RAFT-PITFALLS 36): this node can neither acknowledge nor apply, so it must
   * not lead. It hands over what it leads and turns a deaf ear to its peers until the disk answers; a leadership nobody
   * took over ends with the next check of the quorum.
   */
  private checkDisk(nowMs: number): void {
    const { writingSinceMs } = this.parts.wal;
    const isStalled = writingSinceMs !== undefined && nowMs - writingSinceMs > this.options.limits.diskStallMs;
    if (isStalled === this.isStalled) return;
    this.isStalled = isStalled;
    if (!isStalled) {
      this.parts.logger.warn({}, 'the disk answers again');
      return;
    }
    this.stalls++;
    this.parts.logger.error(
      { waitingMs: Math.round(nowMs - writingSinceMs) },
      'the disk does not answer: handing over',
    );
    if (handOverAll(this.groups.values(), nowMs) > 0) for (const group of this.groups.values()) this.turns.mark(group);
  }

  /**
   * The disk has no room, others' disks have: what they have committed this leader can neither keep nor apply, and its
   * shards would wait for as long as it leads. Where all disks are full it goes on, for the sake of reads.
   */
  private checkRoom(nowMs: number): void {
    const { fullSinceMs } = this.parts.wal;
    if (fullSinceMs === undefined || nowMs - fullSinceMs <= this.options.limits.diskStallMs) return;
    const blocked = [...this.groups.values()].filter(({ raft }) => raft.isLeader && raft.isAheadOfItsLog);
    if (handOverAll(blocked, nowMs) > 0) for (const group of blocked) this.turns.mark(group);
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
      this.operations.inflightOperations > 0 || [...this.groups.values()].some((group) => group.raft.isLeader);
    let nextTryMs = 0;
    while (!this.failed && isBusy() && this.parts.clock.nowMs() < deadlineMs) {
      const nowMs = this.parts.clock.nowMs();
      if (nowMs >= nextTryMs) {
        nextTryMs = nowMs + 10 * tickMs;
        if (
          handOverAll(this.groups.values(), nowMs) === 0 &&
          this.operations.inflightOperations === 0 &&
          nowMs + 2000 > deadlineMs
        )
          break;
        for (const group of this.groups.values()) this.turns.mark(group);
      }
      await new Promise<void>((resolve) => this.parts.clock.after(tickMs, resolve));
    }
    this.trimmer.stop();
    this.snapshots.stop();
    this.admin.stop();
    this.repair.stop();
    this.scans.stop();
    this.operations.stop();
    this.peers.stop();
    for (const subscription of this.subscriptions.splice(0)) subscription.unsubscribe();
    this.ticker?.cancel();
    this.failed = true;
    this.turns.stop();
    this.outbox.flush();
  }
}
