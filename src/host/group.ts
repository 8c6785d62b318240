/**
 * One replica of one shard on this node: its consensus core and what hangs on it between turns.
 *
 * Invariants:
 * 1. `proposals` is in log order; each was accepted by the core in `leaderTerm`.
 * 2. `waitingReads` is in the order of `index`.
 * 3. While `installing`, the core's output is not taken: the state machine is being replaced.
 */
import type { NodeId, ReplicaId, ShardId } from '../base/index.js';
import type { Arc } from '../kv/index.js';
import type { Raft } from '../raft/index.js';
import { CommandBuilder } from './command-builder.js';
import type { Confirmation, PendingOperation, PendingProposal, WaitingReads } from './pending.js';

export class Group {
  readonly builder: CommandBuilder;
  /** Reads that came in this turn, by the level asked. */
  newReads: PendingOperation[] = [];
  newLeaseReads: PendingOperation[] = [];
  newConfirmations: Confirmation[] = [];
  readonly proposals: PendingProposal[] = [];
  readonly waitingReads: WaitingReads[] = [];
  dirty = false;
  installing = false;
  /** Writes of this group handed to the log and not yet durable. */
  persisting = 0;
  /** The term in which this replica leads as far as the host has noticed; 0: it does not. */
  leaderTerm = 0;
  /** Followers that are being sent a snapshot. */
  readonly sendingSnapshots = new Set<ReplicaId>();

  constructor(
    readonly shardId: ShardId,
    readonly replicaId: ReplicaId,
    readonly arc: Arc,
    readonly nodes: ReadonlyMap<ReplicaId, NodeId>,
    readonly preferredLeader: ReplicaId,
    readonly raft: Raft,
    maxEntryBytes: number,
  ) {
    this.builder = new CommandBuilder(maxEntryBytes);
  }

  /** The node that leads as far as this replica knows. */
  get leaderNode(): NodeId | undefined {
    return this.nodes.get(this.raft.leader);
  }
}
