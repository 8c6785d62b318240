/**
 * One replica of one shard on this node: its consensus core and what hangs on it between turns.
 *
 * Invariants:
 * 1. `proposals` is in log order; each was accepted by the core in `leaderTerm`.
 * 2. `waitingReads` is in the order of `index`.
 * 3. While `installing`, the core's output is not taken: the state machine is being replaced.
 * 4. Once `isRemoved`, nothing of it reaches the log, the state machine or the network any more.
 */
import { type NodeId, noReplica, type ReplicaId, type ShardId } from '../base/index.js';
import type { AppliedEntry, Arc } from '../kv/index.js';
import type { Configuration, Raft } from '../raft/index.js';
import { CommandBuilder } from './command-builder.js';
import { HandOverTries } from './hand-over-tries.js';
import type { Confirmation, PendingOperation, PendingProposal, WaitingReads } from './pending.js';

export class Group {
  readonly builder: CommandBuilder;
  /** Reads that came in this turn, by the level asked. */
  newReads: PendingOperation[] = [];
  newLeaseReads: PendingOperation[] = [];
  newConfirmations: Confirmation[] = [];
  readonly proposals: PendingProposal[] = [];
  readonly waitingReads: WaitingReads[] = [];
  /** The entry that drops removed buckets, while it is on its way. */
  dropping = { term: 0, index: 0 };
  /** The log on disk was let go up to here, at least. */
  releasedIndex = 0;
  dirty = false;
  /** No timer of its core runs out before this; looked at again after every turn, message and tick. */
  dueMs = Number.NEGATIVE_INFINITY;
  installing = false;
  /** Of snapshots, begun. */
  installations = 0;
  isRemoved = false;
  /** Writes of this group handed to the log and not yet durable. */
  persisting = 0;
  /** The term in which this replica leads as far as the host has noticed; 0: it does not. */
  leaderTerm = 0;
  readonly handOverTries = new HandOverTries();
  /** Followers that are being sent a snapshot. */
  readonly sendingSnapshots = new Set<ReplicaId>();
  /** What the turns do with what was applied, made once. */
  onApplied: ((applied: readonly AppliedEntry[]) => void) | undefined;
  /** The configuration whose nodes are in `nodes`. */
  private knownConfiguration: Configuration | undefined;
  /** Where replicas live, those included that left the group. */
  readonly nodes = new Map<ReplicaId, NodeId>();

  constructor(
    readonly shardId: ShardId,
    readonly replicaId: ReplicaId,
    readonly arc: Arc,
    /** Where the leader should be. */
    public preferredNode: NodeId,
    readonly raft: Raft,
    maxEntryBytes: number,
  ) {
    this.builder = new CommandBuilder(maxEntryBytes);
    this.learnNodes();
  }

  /** Indexes that leaders told may come out of order. */
  addWaiting(waiting: WaitingReads): void {
    const { waitingReads } = this;
    let at = waitingReads.length;
    while (at > 0 && (waitingReads[at - 1] as WaitingReads).index > waiting.index) at--;
    waitingReads.splice(at, 0, waiting);
  }

  /** Whether the state machine holds what the log says is applied: not while it is being replaced. */
  get isReadable(): boolean {
    return !this.isRemoved && !this.installing && !this.raft.isRestoring;
  }

  /** Takes note of where the members of the configuration in force live; whether it is another one than before. */
  learnNodes(): boolean {
    const { configuration } = this.raft;
    if (configuration === this.knownConfiguration) return false;
    this.knownConfiguration = configuration;
    for (const [id, node] of Object.entries(configuration.nodes ?? {})) {
      this.nodes.set(Number(id) as ReplicaId, node as NodeId);
    }
    return true;
  }

  /** The node that leads as far as this replica knows. */
  get leaderNode(): NodeId | undefined {
    return this.nodes.get(this.raft.leader);
  }

  /** The voter that lives on a node; `noReplica`: there is none. */
  voterOn(node: NodeId): ReplicaId {
    return this.raft.configuration.voters.find((id) => this.nodes.get(id) === node) ?? noReplica;
  }

  /** Whether a member of the group lives on this node. */
  isMember(node: NodeId): boolean {
    for (const home of this.nodes.values()) if (home === node) return true;
    return false;
  }

  get preferredLeader(): ReplicaId {
    return this.voterOn(this.preferredNode);
  }
}
