/**
 * The state of one replica and the steps every part of the protocol shares: terms, roles, sending, committing.
 * `election.ts` and `replication.ts` hold the message handlers; `raft.ts` is the door.
 *
 * Invariants, checked as they may change:
 * 1. `currentTerm` never falls; `votedFor` is set at most once a term (Raft §5.2).
 * 2. One leader a term: a second one heard of in the same term stops the node (Figure 3, election safety).
 * 3. A leader never overwrites or deletes entries of its own log (leader append-only).
 */
import { assert, noReplica, type Random, type ReplicaId, randomBetween } from '../base/index.js';
import { encodeConfiguration, isJoint, isVoter, leaveConfiguration, members } from './configuration.js';
import { RaftLog } from './log.js';
import { Progress } from './progress.js';
import { quorumReached } from './quorum.js';
import { ReadIndexQueue } from './read-index.js';
import {
  type Configuration,
  EntryType,
  type HardState,
  type Message,
  type RaftInitialState,
  type RaftOptions,
  type ReadState,
  type Role,
  type SnapshotMetadata,
} from './types.js';

const never = Number.POSITIVE_INFINITY;
/** How much later than we another replica may have heard the leader, as a rule. */
const holdMarginMs = 15;

export class Core {
  currentTerm: number;
  votedFor: ReplicaId;
  role: Role = 'follower';
  leader: ReplicaId = noReplica;
  readonly log: RaftLog;
  readonly reads = new ReadIndexQueue();
  /** Leader: every other member's progress. */
  progress = new Map<ReplicaId, Progress>();
  /** Candidate: answers so far, its own among them. */
  votes = new Map<ReplicaId, boolean>();
  /** Leader: the index of its first entry; what came before commits only together with it (Raft §5.4.2). */
  termStartIndex = 0;
  transferTarget: ReplicaId = noReplica;
  uncommittedBytes = 0;
  /** Heartbeat rounds begun in this life; never repeats. */
  round = 0;

  nowMs: number;
  /** Until then no vote and no pre-vote: a leader may hold a lease on our silence. */
  holdUntilMs: number;
  electionDueMs = never;
  heartbeatDueMs = never;
  quorumCheckDueMs = never;
  transferDueMs = never;
  /** The leader is known to be gone: elections follow quickly until one is heard again. */
  isEarly = true;

  messages: Message[] = [];
  messagesAfterPersist: Message[] = [];
  readStates: ReadState[] = [];
  droppedReads: unknown[] = [];
  restored: SnapshotMetadata | undefined;
  /** Some follower may be sent something. */
  appendsWanted = false;
  heartbeatWanted = false;
  handedHardState: HardState;

  constructor(
    readonly options: RaftOptions,
    readonly random: Random,
    initial: RaftInitialState,
    nowMs: number,
  ) {
    this.currentTerm = initial.hardState.currentTerm;
    this.votedFor = initial.hardState.votedFor;
    this.log = new RaftLog(initial);
    this.handedHardState = this.hardState;
    this.nowMs = nowMs;
    // Before the restart this replica may have promised its silence; a group without a past has promised nothing.
    this.holdUntilMs = this.currentTerm === 0 ? nowMs : nowMs + options.voteHoldMs;
    this.resetElectionTimer();
  }

  get id(): ReplicaId {
    return this.options.replicaId;
  }

  get configuration(): Configuration {
    return this.log.configuration;
  }

  get hardState(): HardState {
    return { currentTerm: this.currentTerm, votedFor: this.votedFor, commitIndex: this.log.committed };
  }

  get hasCommittedInTerm(): boolean {
    return this.role === 'leader' && this.log.committed >= this.termStartIndex;
  }

  get isSoleVoter(): boolean {
    const { voters, outgoing } = this.configuration;
    return voters.length === 1 && outgoing.length === 0 && voters[0] === this.id;
  }

  advanceClock(nowMs: number): void {
    // A clock that jumps back stands still: it must not give an old lease new life.
    if (nowMs > this.nowMs) this.nowMs = nowMs;
  }

  resetElectionTimer(): void {
    const { voteHoldMs, electionTimeoutMs } = this.options;
    if (this.isEarly) this.electionDueMs = this.earliestElectionMs(Math.floor(voteHoldMs / 2));
    else this.electionDueMs = this.nowMs + randomBetween(this.random, electionTimeoutMs, 2 * electionTimeoutMs - 1);
  }

  /**
   * When to stand once no leader is expected to be there. Asking before the others' hold has run out is asking in vain,
   * and theirs ends a little after ours where they heard the leader a little later.
   */
  earliestElectionMs(spreadMs: number): number {
    return Math.max(this.nowMs, this.holdUntilMs) + holdMarginMs + randomBetween(this.random, 0, spreadMs);
  }

  /** A word from the leader of this term. */
  heardLeader(from: ReplicaId): void {
    assert(
      this.leader === noReplica || this.leader === from,
      () => `two leaders in term ${this.currentTerm}: ${this.leader} and ${from}`,
    );
    assert(this.role !== 'leader', () => `replica ${this.id} leads term ${this.currentTerm}, and so claims ${from}`);
    if (this.role !== 'follower') this.role = 'follower';
    this.leader = from;
    this.isEarly = false;
    this.holdUntilMs = this.nowMs + this.options.voteHoldMs;
    this.resetElectionTimer();
  }

  becomeFollower(term: number, leader: ReplicaId): void {
    assert(term >= this.currentTerm, 'the term never falls');
    if (term > this.currentTerm) {
      this.currentTerm = term;
      this.votedFor = noReplica;
    }
    if (this.role === 'leader') {
      this.reads.reset(this.droppedReads);
      this.progress = new Map();
      this.heartbeatDueMs = never;
      this.quorumCheckDueMs = never;
      this.transferTarget = noReplica;
      this.transferDueMs = never;
      this.heartbeatWanted = false;
      this.appendsWanted = false;
      this.isEarly = false;
    }
    this.role = 'follower';
    this.leader = leader;
    this.resetElectionTimer();
  }

  becomeLeader(): void {
    assert(this.role === 'candidate', 'only a candidate becomes leader');
    this.role = 'leader';
    this.leader = this.id;
    this.electionDueMs = never;
    this.isEarly = false;
    this.uncommittedBytes = 0;
    this.reads.reset(this.droppedReads);
    this.progress = new Map();
    this.syncProgress();
    this.heartbeatDueMs = this.nowMs;
    this.quorumCheckDueMs = this.nowMs + this.options.electionTimeoutMs;
    this.termStartIndex = this.log.lastIndex + 1;
    this.appendOwn(EntryType.NoOp, Buffer.alloc(0));
  }

  /** Makes `progress` follow the configuration in force. */
  syncProgress(): void {
    const wanted = new Set(members(this.configuration));
    for (const id of this.progress.keys()) if (!wanted.has(id)) this.progress.delete(id);
    for (const id of wanted) {
      if (id === this.id || this.progress.has(id)) continue;
      const progress = new Progress(this.log.lastIndex + 1, this.options.maxInflightAppends);
      // A newcomer has the benefit of the doubt until the next check of the quorum.
      progress.recentlyActive = true;
      this.progress.set(id, progress);
    }
  }

  /** A leader's own new entry. */
  appendOwn(type: EntryType, data: Buffer): number {
    const index = this.log.lastIndex + 1;
    this.log.append({ term: this.currentTerm, index, type, data });
    this.uncommittedBytes += data.length;
    this.appendsWanted = true;
    if (type === EntryType.Configuration) this.syncProgress();
    return index;
  }

  matchIndexOf(id: ReplicaId): number {
    // A leader counts itself once its own copy is durable (RAFT-PITFALLS 9, 10).
    if (id === this.id) return this.log.persisted;
    return this.progress.get(id)?.matchIndex ?? 0;
  }

  /** Commits what a quorum holds, if it is of this term (Raft §5.4.2, Figure 8). */
  maybeCommit(): void {
    const index = quorumReached(this.configuration, (id) => this.matchIndexOf(id));
    if (index <= this.log.committed || this.log.term(index) !== this.currentTerm) return;
    const first = Math.max(this.log.committed + 1, this.termStartIndex);
    for (const entry of this.log.slice(first, index, never)) this.uncommittedBytes -= entry.data.length;
    this.log.commitTo(index);
    this.afterCommit();
  }

  /** A committed joint configuration is left; a leader outside the final one goes (thesis §4.3). */
  private afterCommit(): void {
    if (this.log.configurationIndex > this.log.committed || !this.hasCommittedInTerm) return;
    if (isJoint(this.configuration)) {
      this.appendOwn(EntryType.Configuration, encodeConfiguration(leaveConfiguration(this.configuration)));
    } else if (!isVoter(this.configuration, this.id)) {
      this.becomeFollower(this.currentTerm, noReplica);
    }
  }
}
