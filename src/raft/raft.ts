/**
 * The consensus core of one replica: a pure state machine after Ongaro's Raft, with pre-vote, check-quorum, leader
 * leases, ReadIndex, leadership transfer and joint consensus. No I/O, no clock, no randomness of its own, no promises:
 * the same inputs give the same outputs.
 *
 * The caller's duties:
 * 1. Call `step` for every message, `tick` no later than `nextDeadlineMs`; pass the node's monotonic clock with both.
 * 2. While `hasReady()`, take `ready()` and do with it what `Ready` says, in order; batches may overlap.
 * 3. Tell it what became durable (`persisted`, `snapshotPersisted`) and what was applied (`applied`).
 * 4. Move the bytes of snapshots beside it; step a SnapshotRequest only once they are staged.
 * 5. An assertion that fails means this replica's state cannot be trusted: stop the node.
 */
import { noReplica, type Random, type ReplicaId } from '../base/index.js';
import { encodeConfiguration, enterConfiguration, isJoint } from './configuration.js';
import { Core } from './core.js';
import {
  campaign,
  checkQuorum,
  handleTimeoutNow,
  handleVoteRequest,
  handleVoteResponse,
  leaderUnreachable,
  transferLeadership,
} from './election.js';
import {
  beat,
  broadcastHeartbeat,
  confirmRounds,
  handleHeartbeatRequest,
  handleHeartbeatResponse,
} from './heartbeats.js';
import type { Progress } from './progress.js';
import { handleAppendRequest, handleAppendResponse, handleSnapshotRequest, sendAppends } from './replication.js';
import {
  type Configuration,
  type Entry,
  EntryType,
  type MembershipTarget,
  type Message,
  type RaftInitialState,
  type RaftOptions,
  type RaftStatus,
  type Ready,
  type Role,
  type SnapshotMetadata,
} from './types.js';

export type Proposed = { readonly index: number; readonly term: number };
export type ProposalRefusal = 'notLeader' | 'busy' | 'transferring';
export type ConfigurationRefusal = ProposalRefusal | 'changeInFlight' | 'noCommitInTerm' | 'invalid';

/** `isActive`: it answered lately. */
export type MemberProgress = Pick<Readonly<Progress>, 'state' | 'matchIndex' | 'isActive'>;

const nothing: readonly never[] = [];

export class Raft {
  private readonly core: Core;

  constructor(options: RaftOptions, random: Random, initial: RaftInitialState, nowMs: number) {
    this.core = new Core(options, random, initial, nowMs);
  }

  get role(): Role {
    return this.core.role;
  }

  get isLeader(): boolean {
    return this.core.role === 'leader';
  }

  get leader(): ReplicaId {
    return this.core.leader;
  }

  get currentTerm(): number {
    return this.core.currentTerm;
  }

  get commitIndex(): number {
    return this.core.log.committed;
  }

  /** Whether others hold, and have committed, what is not durable here yet. */
  get isAheadOfItsLog(): boolean {
    return this.core.log.committed > this.core.log.persisted;
  }

  get appliedIndex(): number {
    return this.core.log.applied;
  }

  get firstIndex(): number {
    return this.core.log.firstIndex;
  }

  get lastIndex(): number {
    return this.core.log.lastIndex;
  }

  /** The membership in force: that of the newest configuration in the log. The same object until it changes. */
  get configuration(): Configuration {
    return this.core.configuration;
  }

  /** Where in the log the configuration in force stands; that of a snapshot at or before the snapshot's index. */
  get configurationIndex(): number {
    return this.core.log.configurationIndex;
  }

  /** Whether the configuration in force is committed. */
  get isConfigurationCommitted(): boolean {
    return this.core.log.configurationIndex <= this.core.log.committed;
  }

  /** The entries of [from, to], which must be in the log: for checks and diagnosis. */
  entries(from: number, to: number): readonly Entry[] {
    return this.core.log.slice(from, to, Number.POSITIVE_INFINITY);
  }

  /** When `tick` must be called next, at the latest. */
  get nextDeadlineMs(): number {
    return this.core.nextDeadlineMs;
  }

  /** Time has passed. Does nothing before `nextDeadlineMs`. */
  tick(nowMs: number): void {
    const { core } = this;
    core.advanceClock(nowMs);
    core.begin();
    if (core.role === 'leader') {
      if (core.nowMs >= core.transferDueMs) {
        core.transferDueMs = Number.POSITIVE_INFINITY;
        core.transferTarget = noReplica;
      }
      if (core.nowMs >= core.quorumCheckDueMs) checkQuorum(core);
      // The check of the quorum may have ended this leadership; then there is nothing left to beat.
      if (this.isLeader && core.nowMs >= core.heartbeatDueMs) beat(core);
    } else if (core.nowMs >= core.electionDueMs) {
      campaign(core, 'preVote');
    }
  }

  /** A message for this replica. `leaderHeardMs`: when its leader's node was last heard, for a quiet group. */
  step(message: Message, nowMs: number, leaderHeardMs?: number): void {
    const { core } = this;
    core.advanceClock(nowMs);
    // A replica id is never used again: whatever is for another one is for the past (RAFT-PITFALLS 23).
    if (message.to !== core.id) return;
    // The answer to a leader's last word before the quiet is the one message that does not end it.
    if (core.isQuiescent && message.type !== 'HeartbeatResponse') core.wake(leaderHeardMs);
    if (message.term > core.currentTerm) {
      if (!this.acceptHigherTerm(message)) return;
    } else if (message.term < core.currentTerm) {
      this.answerLowerTerm(message);
      return;
    }
    this.dispatch(message);
  }

  /** Whether to go on with a message of a later term, after following it into that term where that is right. */
  private acceptHigherTerm(message: Message): boolean {
    const { core } = this;
    switch (message.type) {
      case 'VoteRequest': {
        // While a leader may count on our silence, nobody makes us leave its term either (thesis §4.2.3).
        if (core.withholdsVotes && !message.leadershipTransfer) return false;
        if (!message.preVote) core.becomeFollower(message.term, noReplica);
        return true;
      }
      case 'VoteResponse':
        if (!(message.preVote && message.granted)) core.becomeFollower(message.term, noReplica);
        return message.preVote;
      case 'AppendRequest':
      case 'HeartbeatRequest':
      case 'SnapshotRequest':
        core.becomeFollower(message.term, message.from);
        return true;
      default:
        core.becomeFollower(message.term, noReplica);
        return true;
    }
  }

  /** A sender that is behind must learn so, or it (or we) could be stuck for ever: raft-rs#84 (RAFT-PITFALLS 6). */
  private answerLowerTerm(message: Message): void {
    const { core } = this;
    const answer = { from: core.id, to: message.from, term: core.currentTerm };
    if (message.type === 'AppendRequest' || message.type === 'HeartbeatRequest' || message.type === 'SnapshotRequest') {
      const nothing = { index: 0, rejected: true, hintIndex: 0, hintTerm: 0 };
      core.messagesAfterPersist.push({ type: 'AppendResponse', ...answer, ...nothing });
    } else if (message.type === 'VoteRequest') {
      core.messagesAfterPersist.push({ type: 'VoteResponse', ...answer, preVote: message.preVote, granted: false });
    }
  }

  private dispatch(message: Message): void {
    const { core } = this;
    switch (message.type) {
      case 'AppendRequest':
        handleAppendRequest(core, message);
        break;
      case 'AppendResponse':
        handleAppendResponse(core, message);
        break;
      case 'HeartbeatRequest':
        handleHeartbeatRequest(core, message);
        break;
      case 'HeartbeatResponse':
        handleHeartbeatResponse(core, message);
        break;
      case 'VoteRequest':
        handleVoteRequest(core, message);
        break;
      case 'VoteResponse':
        handleVoteResponse(core, message);
        break;
      case 'SnapshotRequest':
        handleSnapshotRequest(core, message);
        break;
      case 'TimeoutNow':
        handleTimeoutNow(core, message);
        break;
    }
  }

  /** Appends a command to the leader's log. It is committed only when it comes back in `committedEntries`. */
  propose(data: Buffer): Proposed | ProposalRefusal {
    const { core } = this;
    const refusal = this.refusal(data.length);
    if (refusal !== undefined) return refusal;
    return { index: core.appendOwn(EntryType.Normal, data), term: core.currentTerm };
  }

  private refusal(bytes: number): ProposalRefusal | undefined {
    const { core } = this;
    if (core.role !== 'leader') return 'notLeader';
    if (core.transferTarget !== noReplica) return 'transferring';
    // A single entry always fits, or it never would.
    if (core.uncommittedBytes > 0 && core.uncommittedBytes + bytes > core.options.maxUncommittedBytes) return 'busy';
    return undefined;
  }

  /** Changes the membership (thesis §4.3): joint where voters change; the joint state is left by itself. */
  proposeConfiguration(target: MembershipTarget): Proposed | ConfigurationRefusal {
    const { core } = this;
    const refusal = this.refusal(0);
    if (refusal !== undefined) return refusal;
    if (!core.hasCommittedInTerm) return 'noCommitInTerm';
    if (core.log.configurationIndex > core.log.committed || isJoint(core.configuration)) return 'changeInFlight';
    const next = enterConfiguration(core.configuration, target);
    if (next === undefined) return 'invalid';
    const data = encodeConfiguration(next);
    return { index: core.appendOwn(EntryType.Configuration, data), term: core.currentTerm };
  }

  /** Asks for a linearizable read (thesis §6.4); answered in `readStates`, or in `droppedReads`. */
  readIndex(context: unknown): 'queued' | 'notLeader' {
    if (!this.isLeader) return 'notLeader';
    this.core.noteActivity();
    this.core.reads.add(context);
    return 'queued';
  }

  /** Takes back every read that was not answered: the replica is given up. */
  takeReads(): readonly unknown[] {
    const { readStates, droppedReads } = this.core;
    const dropped: unknown[] = [...readStates.splice(0).map(({ context }) => context), ...droppedReads.splice(0)];
    this.core.reads.reset(dropped);
    return dropped;
  }

  /** Whether this leader may serve reads at `leaseReadIndex` without asking anyone (thesis §6.4.1). */
  leaseValid(nowMs: number): boolean {
    return this.core.leaseValid(nowMs);
  }

  /** The same for a read that is there to be served; the lease is kept alive for those that follow it. */
  askLease(nowMs: number): boolean {
    this.core.noteLeaseAsked(nowMs);
    return this.core.leaseValid(nowMs);
  }

  get leaseReadIndex(): number {
    return this.core.log.committed;
  }

  /** The lease is void until a heartbeat round that begins after this. */
  voidLease(): void {
    this.core.reads.voidLease(this.core.round);
  }

  /**
   * How old data can be that reach to what is applied, in milliseconds; undefined: nobody knows (there is no leader in
   * reach, the group is quiet, or this replica lags). 0 on a leader under lease.
   */
  dataAgeMs(nowMs: number): number | undefined {
    return this.core.dataAgeMs(nowMs);
  }

  /** A snapshot was accepted that is not installed yet: what is applied ends before the log begins. */
  get isRestoring(): boolean {
    return this.core.log.applied + 1 < this.core.log.firstIndex;
  }

  /** Entries that are not applied yet, committed or not. Not while `isRestoring`. */
  get unapplied(): readonly Entry[] {
    const { applied, lastIndex } = this.core.log;
    return applied < lastIndex ? this.entries(applied + 1, lastIndex) : [];
  }

  get isQuiescent(): boolean {
    return this.core.isQuiescent;
  }

  /** A quiet group has reason to look around: something happened to a node that holds one of its members. */
  wake(nowMs: number, leaderHeardMs?: number): void {
    this.core.advanceClock(nowMs);
    this.core.wake(leaderHeardMs);
  }

  transferLeadership(to: ReplicaId, nowMs: number): ReturnType<typeof transferLeadership> {
    this.core.advanceClock(nowMs);
    if (this.isLeader) this.core.noteActivity();
    return transferLeadership(this.core, to);
  }

  /** Nobody listens on the leader's node: an election follows as soon as its lease has certainly run out. */
  leaderUnreachable(nowMs: number): void {
    this.core.advanceClock(nowMs);
    this.core.wake();
    leaderUnreachable(this.core);
  }

  /** Nobody listens on a follower's node. A quiet group would not find out when it is there again: it wakes. */
  reportUnreachable(replica: ReplicaId, nowMs: number): void {
    const progress = this.core.progress.get(replica);
    if (progress?.state !== 'replicate') return;
    progress.becomeProbe();
    this.core.advanceClock(nowMs);
    this.core.wake();
  }

  /** The bytes of a snapshot were delivered and accepted, or were not. */
  reportSnapshot(replica: ReplicaId, ok: boolean): void {
    const progress = this.core.progress.get(replica);
    if (progress?.state !== 'snapshot') return;
    progress.snapshotEnded(ok);
    if (!ok) this.core.appendsWanted = true;
  }

  private get mayBeginReads(): boolean {
    return this.core.reads.hasArrived && this.core.hasCommittedInTerm;
  }

  hasReady(): boolean {
    const { core } = this;
    return (
      core.messages.length > 0 ||
      core.messagesAfterPersist.length > 0 ||
      core.appendsWanted ||
      core.heartbeatWanted ||
      core.log.handedOut < core.log.lastIndex ||
      core.log.handedToApply < core.log.applicableIndex ||
      core.restored !== undefined ||
      core.readStates.length > 0 ||
      core.droppedReads.length > 0 ||
      core.hasNewHardState ||
      this.mayBeginReads
    );
  }

  /** Takes everything there is to do. */
  ready(): Ready {
    const { core } = this;
    const { log } = core;
    if (core.role === 'leader') {
      if (this.mayBeginReads) this.beginReads();
      else if (core.heartbeatWanted) broadcastHeartbeat(core);
      if (core.appendsWanted) sendAppends(core);
    }
    core.heartbeatWanted = false;
    core.appendsWanted = false;
    const hardState = core.hasNewHardState ? core.hardState : undefined;
    if (hardState !== undefined) core.handedHardState = hardState;
    const entries = log.takeUnwritten();
    const committedEntries = log.takeApplicable();
    const ready: Ready = {
      hardState,
      commitIndex: log.committed,
      mustSync: hardState !== undefined || entries.length > 0 || core.restored !== undefined,
      entries,
      snapshot: core.restored,
      messages: core.messages.length > 0 ? core.messages : nothing,
      messagesAfterPersist: core.messagesAfterPersist.length > 0 ? core.messagesAfterPersist : nothing,
      committedEntries,
      readStates: core.readStates.length > 0 ? core.readStates : nothing,
      droppedReads: core.droppedReads.length > 0 ? core.droppedReads : nothing,
    };
    // What was handed out is the host's; most of it is empty most of the time, and stays.
    if (core.messages.length > 0) core.messages = [];
    if (core.messagesAfterPersist.length > 0) core.messagesAfterPersist = [];
    if (core.readStates.length > 0) core.readStates = [];
    if (core.droppedReads.length > 0) core.droppedReads = [];
    core.restored = undefined;
    return ready;
  }

  private beginReads(): void {
    const { core } = this;
    core.reads.begin(core.round + 1, core.log.committed);
    broadcastHeartbeat(core);
    if (core.isSoleVoter) confirmRounds(core);
  }

  /**
   * A batch is durable, and every earlier one: (index, term) of the last of its entries. Call it once for each batch
   * that had entries, in order. What was replaced since stays unconfirmed (RAFT-PITFALLS 12).
   */
  persisted(lastIndex: number, lastTerm: number): void {
    const { core } = this;
    if (core.log.writtenTo(lastIndex, lastTerm) && core.role === 'leader') core.maybeCommit();
  }

  /** The snapshot of a batch was installed and is durable: the state machine stands at `index`. */
  snapshotPersisted(index: number): void {
    this.core.log.installed(index);
  }

  /** The state machine has applied everything up to `index`. */
  applied(index: number): void {
    this.core.log.appliedTo(index);
  }

  /** Forgets the entries up to `index`, which must be applied. */
  compact(index: number): void {
    this.core.log.compact(index);
  }

  /** Keeps the entries up to `index`, which must be applied, as bytes: nobody is likely to ask for them. */
  pack(index: number): void {
    this.core.log.pack(index);
  }

  /** A snapshot of an applied index that is still in the log, by reference. */
  takeSnapshotMetadata(index: number): SnapshotMetadata {
    return this.core.log.snapshotAt(index);
  }

  /** The term of an entry; undefined when it is not known (any more). */
  term(index: number): number | undefined {
    return this.core.log.term(index);
  }

  /** The first index such that the entries from it on take at most about `maxBytes` of memory. */
  indexForTrailingBytes(maxBytes: number): number {
    return this.core.log.indexForTrailingBytes(maxBytes);
  }

  /** Every other member is known to hold the log up to here: a leader knows, for the others it is Infinity. */
  get heldByAll(): number {
    return this.core.heldByAll;
  }

  /** What a leader knows of one member; undefined on others, and of itself. */
  progressOf(replica: ReplicaId): MemberProgress | undefined {
    return this.core.progress.get(replica);
  }

  /** Leader: whether the member answered one of the last two heartbeats, so that it may be asked to lead. */
  isResponsive(replica: ReplicaId): boolean {
    return this.core.isResponsive(replica);
  }

  get status(): RaftStatus {
    const { core } = this;
    return {
      replicaId: core.id,
      role: core.role,
      leader: core.leader,
      currentTerm: core.currentTerm,
      votedFor: core.votedFor,
      commitIndex: core.log.committed,
      appliedIndex: core.log.applied,
      firstIndex: core.log.firstIndex,
      lastIndex: core.log.lastIndex,
      persistedIndex: core.log.persisted,
      configuration: core.configuration,
      transferringTo: core.transferTarget,
      progress: [...core.progress].map(([replicaId, progress]) => ({
        replicaId,
        matchIndex: progress.matchIndex,
        nextIndex: progress.nextIndex,
        state: progress.state,
        recentlyActive: progress.isActive,
      })),
    };
  }
}
