/**
 * The event loop of a node: takes everything that arrived, then, once, works through the groups it concerns.
 *
 * One turn: propose and ask for reads, take every group's output, write it with one append and sync, send, apply,
 * answer. While a sync is in flight the next turn's writes gather behind it in the log.
 *
 * Invariants (DESIGN section 1):
 * 1. Messages that depend on the log leave only once what they depend on is durable (`messagesAfterPersist`).
 * 2. What is applied was durable here before, and the applied position travels in the same engine batch.
 * 3. Per group, writes reach the log in the order the core handed them out.
 */
import { assert, type Clock, type Logger, type ShardId } from '../base/index.js';
import type { AppliedEntry } from '../kv/index.js';
import type { Entry, Message, Ready, SnapshotRequest } from '../raft/index.js';
import type { Wal } from '../wal/index.js';
import type { Group } from './group.js';
import type { OperationServer } from './operation-server.js';
import type { Peers } from './peers.js';
import type { ResultOutbox } from './result-outbox.js';

/** The state machine as a turn sees it. */
export type ApplyPort = {
  apply(shardId: ShardId, entries: readonly Entry[], done: (applied: readonly AppliedEntry[]) => void): void;
};

/** What a turn leaves to the movers of snapshots. */
export type SnapshotPort = {
  /** The core wants this follower to get a snapshot. */
  send(group: Group, request: SnapshotRequest): void;
  /** The core accepted a staged snapshot: install it, then `done`; the group rests until then. */
  install(group: Group, ready: Ready, done: () => void): void;
};

/** What waits for one sync of the log. */
type PersistWaiter = {
  readonly group: Group;
  readonly lastIndex: number;
  readonly lastTerm: number;
  readonly snapshotIndex: number;
  readonly messages: readonly Message[];
};

export type TurnParts = {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly wal: Wal;
  readonly store: ApplyPort;
  readonly peers: Peers;
  readonly outbox: ResultOutbox;
  readonly operations: OperationServer;
  readonly snapshots: SnapshotPort;
  /** The membership of a group is another one now. */
  readonly onMembership: (group: Group) => void;
  /** A failed write of the log: the node must stop. */
  readonly onFatal: (error: unknown) => void;
};

export class TurnLoop {
  private dirty: Group[] = [];
  private scheduled = false;
  private running = false;
  private stopped = false;
  private persistWaiters: PersistWaiter[] = [];
  private commitWanted = false;
  private commits = 0;
  private commitsAtProposal = 0;
  /** Groups whose commands wait for the write under way. */
  private readonly gated: Group[] = [];
  turns = 0;

  constructor(private readonly parts: TurnParts) {}

  /** Something happened to the group: it is part of the next turn. */
  mark(group: Group): void {
    if (!group.dirty) {
      group.dirty = true;
      this.dirty.push(group);
    }
    this.schedule();
  }

  /** Makes sure that a turn follows. */
  schedule(): void {
    if (this.scheduled || this.stopped) return;
    this.scheduled = true;
    this.parts.clock.defer(this.runScheduled);
  }

  stop(): void {
    this.stopped = true;
  }

  private readonly runScheduled = (): void => {
    this.scheduled = false;
    if (this.stopped) return;
    this.running = true;
    try {
      this.run();
    } catch (error) {
      this.stopped = true;
      this.parts.onFatal(error);
    } finally {
      this.running = false;
    }
  };

  private run(): void {
    this.turns++;
    const { clock, operations, peers, outbox } = this.parts;
    const nowMs = clock.nowMs();
    const groups = this.dirty;
    this.dirty = [];
    const mayPropose = this.mayPropose();
    for (const group of groups) {
      group.dirty = false;
      if (group.isRemoved) continue;
      if (mayPropose) operations.submitWrites(group);
      else if (!group.builder.isEmpty) this.gate(group);
      operations.submitReads(group, nowMs);
      this.takeOutput(group);
    }
    this.commit();
    operations.serveReads();
    peers.flush(nowMs);
    outbox.flush();
  }

  /**
   * While the log writes, new commands gather: the next entries are fewer and larger, which is what throughput is made
   * of. One finished write is enough to go on, however busy the log is with others' entries.
   */
  private mayPropose(): boolean {
    if (this.parts.wal.writingSinceMs !== undefined && this.commits === this.commitsAtProposal) return false;
    this.commitsAtProposal = this.commits;
    return true;
  }

  private gate(group: Group): void {
    this.gated.push(group);
    // Whoever's write it is: be told when it is done.
    this.commitWanted = true;
  }

  private takeOutput(group: Group): void {
    while (!group.installing && group.raft.hasReady()) {
      const ready = group.raft.ready();
      if (group.learnNodes()) this.parts.onMembership(group);
      this.route(group, ready.messages);
      if (ready.snapshot !== undefined) {
        assert(ready.committedEntries.length === 0, 'nothing is applied before the snapshot it builds on');
        this.installSnapshot(group, ready);
        return;
      }
      this.persist(group, ready);
      this.parts.operations.onReadStates(group, ready.readStates, ready.droppedReads);
      if (ready.committedEntries.length > 0) this.apply(group, ready.committedEntries);
    }
    this.parts.operations.onRoleMayHaveChanged(group);
    group.dueMs = group.raft.nextDeadlineMs;
  }

  private route(group: Group, messages: readonly Message[]): void {
    for (const message of messages) {
      if (message.type === 'SnapshotRequest') {
        this.parts.snapshots.send(group, message);
        continue;
      }
      const node = group.nodes.get(message.to);
      if (node !== undefined) this.parts.peers.send(node, group.shardId, message);
    }
  }

  private persist(group: Group, ready: Ready): void {
    const waits = ready.messagesAfterPersist.length > 0 && group.persisting > 0;
    if (ready.mustSync || waits) this.write(group, ready);
    else this.route(group, ready.messagesAfterPersist);
  }

  /** Into the log with the next commit, and then what waits for it. */
  private write(group: Group, { entries, hardState, commitIndex, snapshot, messagesAfterPersist }: Ready): void {
    const { wal } = this.parts;
    if (snapshot !== undefined) wal.appendSnapshot(group.shardId, snapshot);
    if (entries.length > 0) wal.appendEntries(group.shardId, entries, commitIndex);
    if (hardState !== undefined) wal.appendHardState(group.shardId, hardState);
    const last = entries[entries.length - 1];
    group.persisting++;
    this.commitWanted = true;
    this.persistWaiters.push({
      group,
      lastIndex: last?.index ?? 0,
      lastTerm: last?.term ?? 0,
      snapshotIndex: snapshot?.index ?? 0,
      messages: messagesAfterPersist,
    });
  }

  private commit(): void {
    if (!this.commitWanted) return;
    this.commitWanted = false;
    const waiters = this.persistWaiters;
    this.persistWaiters = [];
    this.parts.wal.commit((error) => {
      if (this.stopped) return;
      if (error !== undefined) {
        this.stopped = true;
        this.parts.onFatal(error);
        return;
      }
      this.commits++;
      for (const waiter of waiters) this.onPersisted(waiter);
      for (const group of this.gated.splice(0)) this.mark(group);
    });
  }

  private onPersisted(waiter: PersistWaiter): void {
    const { group } = waiter;
    group.persisting--;
    if (group.isRemoved) return;
    if (waiter.snapshotIndex > 0) group.raft.snapshotPersisted(waiter.snapshotIndex);
    if (waiter.lastIndex > 0) group.raft.persisted(waiter.lastIndex, waiter.lastTerm);
    this.route(group, waiter.messages);
    // What a follower wrote leaves nothing to do as a rule, before it hears that it is committed; its answer must leave.
    if (group.raft.hasReady()) this.mark(group);
    else this.schedule();
  }

  private apply(group: Group, entries: readonly Entry[]): void {
    group.onApplied ??= (applied) => this.noteApplied(group, applied);
    this.parts.store.apply(group.shardId, entries, group.onApplied);
  }

  private noteApplied(group: Group, applied: readonly AppliedEntry[]): void {
    if (this.stopped || group.isRemoved) return;
    const last = applied[applied.length - 1];
    assert(last !== undefined, 'apply answers for every entry');
    this.parts.operations.onApplied(group, applied);
    group.raft.applied(last.entry.index);
    this.parts.operations.serveWaitingReads(group);
    // Inside a turn its loop and its end take care of what this made possible; otherwise a turn must follow.
    if (!this.running) this.mark(group);
  }

  /** Installing takes many turns; the group's other output waits, for it builds on the snapshot. */
  private installSnapshot(group: Group, ready: Ready): void {
    group.installing = true;
    group.installations++;
    this.parts.snapshots.install(group, ready, () => {
      assert(ready.snapshot !== undefined, 'an installation has a snapshot');
      group.installing = false;
      if (group.isRemoved) return;
      this.write(group, ready);
      this.parts.operations.onReadStates(group, ready.readStates, ready.droppedReads);
      this.mark(group);
    });
  }
}
