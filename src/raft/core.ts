/**
 * The state of one replica and the steps every part of the protocol shares: terms, roles, sending, committing.
 * `election.ts` and `replication.ts` hold the message handlers; `raft.ts` is the door.
 *
 * Invariants, checked as they may change:
 * 1. `currentTerm` never falls; `votedFor` is set at most once a term (Raft §5.2).
 * 2. One leader a term: a second one heard of in the same term stops the node (Figure 3, election safety).
 * 3. A leader never overwrites or deletes entries of its own log (leader append-only).
 * 4. Until `holdUntilMs` this replica helps nobody depose the leader it last heard: that leader's lease rests on it
 *    (thesis §6.4.1). `electionDueMs` is never earlier.
 */
import { assert, noReplica, type Random, type ReplicaId, randomBetween } from '../base/index.js';
import { encodeConfiguration, isJoint, isVoter, leaveConfiguration, members } from './configuration.js';
import { Freshness } from './freshness.js';
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
export const holdMarginMs = 15;
/** How long a replica that was asked how old its data are, or to answer under its lease, expects to be asked again. */
const interestMs = 1000;

export class Core {
  readonly id: ReplicaId;
  currentTerm: number;
  votedFor: ReplicaId;
  role: Role = 'follower';
  leader: ReplicaId = noReplica;
  /** Whoever was seen to lead `currentTerm`, also after contact was lost. */
  private leaderOfTerm: ReplicaId = noReplica;
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

  /** The time of the latest input, made never to fall: the host's clock and `clockOffsetMs`. */
  nowMs: number;
  private hostNowMs: number;
  /** What the host's clock has jumped back so far. */
  private clockOffsetMs = 0;
  /** Until then no vote and no pre-vote: a leader may hold a lease on our silence. */
  holdUntilMs: number;
  electionDueMs = never;
  heartbeatDueMs = never;
  quorumCheckDueMs = never;
  transferDueMs = never;
  /** The leader is known to be gone: elections follow quickly until one is heard again. */
  isEarly = true;
  /** For how long others go first, before that has begun. */
  private yieldMs: number;
  /** Until then others go first, unless a leader is heard. */
  private yieldUntilMs = Number.NEGATIVE_INFINITY;
  /** How often this replica stood in vain since it last heard a leader. */
  private candidacies = 0;

  /** Nothing happens here, and nothing is expected to: no timers run. */
  isQuiescent = false;
  /** Leader: when it was last asked for anything. */
  activeAtMs: number;
  /** Leader: heartbeats left out one after another. */
  beatsLeftOut = 0;
  /** The same since every member took entries between two of them. */
  silentBeatsLeftOut = 0;
  /** Leader: share of the last intervals between heartbeats in which entries were made, a moving average. */
  writtenShare = 0;
  lastIndexAtBeat = 0;
  /** Leader: when it was last asked to answer under its lease. */
  private leaseAskedMs = Number.NEGATIVE_INFINITY;
  /** Follower: when it was last asked how old its data are. */
  private ageAskedMs = Number.NEGATIVE_INFINITY;

  readonly freshness = new Freshness();
  /** Leader: when followers are told again what their data's age rests on. */
  factsDueMs = Number.NEGATIVE_INFINITY;

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
    assert(
      options.leaseMs < options.voteHoldMs && options.voteHoldMs <= options.electionTimeoutMs,
      'a lease ends before the votes it rests on are free, and those before an election is due',
    );
    this.id = options.replicaId;
    this.currentTerm = initial.hardState.currentTerm;
    this.votedFor = initial.hardState.votedFor;
    this.log = new RaftLog(initial);
    this.handedHardState = this.hardState;
    this.nowMs = nowMs;
    this.hostNowMs = nowMs;
    this.activeAtMs = nowMs;
    this.yieldMs = initial.yieldMs ?? 0;
    // Before a restart this replica may have promised a leader its silence, even one of a term that did not reach the
    // disk (heartbeats are answered at once). Only a sole voter that never had another leader promised nothing.
    const isNew = this.currentTerm === 0 && this.log.lastIndex === 0;
    const promisedNothing = this.isSoleVoter && (isNew || this.votedFor === this.id);
    this.holdUntilMs = promisedNothing ? nowMs : nowMs + options.voteHoldMs;
    if (this.isSoleVoter) this.electionDueMs = this.holdUntilMs;
    else this.resetElectionTimer();
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

  /**
   * Takes the host's time. A clock that jumps back goes on from where it stood, so that timers still run out; but how
   * much time its jump hides nobody knows, so no lease outlives it (RAFT-PITFALLS 29). Promises only get longer.
   */
  advanceClock(hostNowMs: number): void {
    if (hostNowMs < this.hostNowMs) {
      this.clockOffsetMs += this.hostNowMs - hostNowMs;
      this.reads.voidLease(this.round);
      this.freshness.reset(this.currentTerm);
    }
    this.hostNowMs = hostNowMs;
    this.nowMs = hostNowMs + this.clockOffsetMs;
  }

  /** Whether the lease holds at this reading of the host's clock. */
  leaseValid(hostNowMs: number): boolean {
    if (!this.hasCommittedInTerm || this.transferTarget !== noReplica || hostNowMs < this.hostNowMs) return false;
    return this.isSoleVoter || this.reads.leaseValid(hostNowMs + this.clockOffsetMs, this.options.leaseMs);
  }

  /** See `Raft.dataAgeMs`. */
  dataAgeMs(hostNowMs: number): number | undefined {
    const { applied, committed } = this.log;
    if (this.role === 'leader') {
      // Such an answer rests on the lease as much as a read under it.
      this.noteLeaseAsked(hostNowMs);
      return this.leaseValid(hostNowMs) && applied >= committed ? 0 : undefined;
    }
    this.ageAskedMs = hostNowMs + this.clockOffsetMs;
    return this.freshness.ageMs(applied, this.ageAskedMs);
  }

  get isAskedAge(): boolean {
    return this.nowMs < this.ageAskedMs + interestMs;
  }

  /** A read is to be answered under the lease, if it holds: it is kept alive for those that follow. */
  noteLeaseAsked(hostNowMs: number): void {
    this.leaseAskedMs = hostNowMs + this.clockOffsetMs;
  }

  get isAskedLease(): boolean {
    return this.nowMs < this.leaseAskedMs + interestMs;
  }

  /** The earliest of the timers, on the host's clock. */
  get nextDeadlineMs(): number {
    const due = Math.min(this.electionDueMs, this.heartbeatDueMs, this.quorumCheckDueMs, this.transferDueMs);
    return due - this.clockOffsetMs;
  }

  /** While a leader may count on our silence, nobody gets a vote (thesis §4.2.3). */
  get withholdsVotes(): boolean {
    return this.role === 'leader' || this.nowMs < this.holdUntilMs;
  }

  resetElectionTimer(): void {
    const { voteHoldMs, electionTimeoutMs } = this.options;
    if (!this.isEarly) {
      this.electionDueMs = this.nowMs + randomBetween(this.random, electionTimeoutMs, 2 * electionTimeoutMs - 1);
      return;
    }
    // A candidacy takes writes on several disks: on slow ones it must not be overtaken by the next one for ever.
    const grownMs = Math.min((voteHoldMs / 4) * 2 ** this.candidacies, electionTimeoutMs);
    const patienceMs = this.candidacies === 0 ? 0 : grownMs;
    const dueMs = this.earliestElectionMs(Math.floor(voteHoldMs / 2)) + patienceMs;
    this.electionDueMs = Math.max(dueMs, this.yieldUntilMs);
  }

  /** This replica has given its vote: whoever got it needs time to win and to say so before another one asks. */
  waitForWinner(): void {
    this.candidacies = Math.max(this.candidacies, 1);
    this.resetElectionTimer();
  }

  /** Time begins to pass: it may have taken long from when the first of a node's replicas was read to when all take part. */
  begin(): void {
    if (this.yieldMs === 0 || this.isSoleVoter) return;
    this.yieldUntilMs = this.nowMs + this.yieldMs;
    this.electionDueMs = Math.max(this.electionDueMs, this.yieldUntilMs);
    this.yieldMs = 0;
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
      this.leaderOfTerm === noReplica || this.leaderOfTerm === from,
      () => `two leaders in term ${this.currentTerm}: ${this.leaderOfTerm} and ${from}`,
    );
    this.leaderOfTerm = from;
    if (this.role !== 'follower') this.role = 'follower';
    this.isQuiescent = false;
    this.leader = from;
    this.isEarly = false;
    this.candidacies = 0;
    this.yieldMs = 0;
    this.yieldUntilMs = Number.NEGATIVE_INFINITY;
    this.holdUntilMs = this.nowMs + this.options.voteHoldMs;
    this.resetElectionTimer();
  }

  becomeFollower(term: number, leader: ReplicaId): void {
    assert(term >= this.currentTerm, 'the term never falls');
    if (term > this.currentTerm) {
      this.currentTerm = term;
      this.votedFor = noReplica;
      this.leaderOfTerm = noReplica;
    }
    if (this.role === 'leader') {
      // A leader that could not commit anything was elected in vain: the group is still without one.
      const wasInVain = !this.hasCommittedInTerm;
      this.reads.reset(this.droppedReads);
      this.progress = new Map();
      this.heartbeatDueMs = never;
      this.quorumCheckDueMs = never;
      this.transferTarget = noReplica;
      this.transferDueMs = never;
      this.heartbeatWanted = false;
      this.appendsWanted = false;
      this.isEarly = wasInVain;
    }
    this.isQuiescent = false;
    this.role = 'follower';
    this.leader = leader;
    this.resetElectionTimer();
  }

  /** A new term of our own, with our own vote in it. */
  becomeCandidate(): void {
    this.role = 'candidate';
    this.candidacies++;
    this.currentTerm++;
    this.votedFor = this.id;
    this.leaderOfTerm = noReplica;
  }

  becomeLeader(): void {
    assert(this.role === 'candidate', 'only a candidate becomes leader');
    assert(this.leaderOfTerm === noReplica, () => `${this.leaderOfTerm} leads term ${this.currentTerm} already`);
    this.role = 'leader';
    this.leader = this.id;
    this.leaderOfTerm = this.id;
    this.electionDueMs = never;
    this.isEarly = false;
    this.candidacies = 0;
    this.uncommittedBytes = 0;
    this.beatsLeftOut = 0;
    this.silentBeatsLeftOut = 0;
    this.writtenShare = 0;
    this.lastIndexAtBeat = this.log.lastIndex;
    this.reads.reset(this.droppedReads);
    this.progress = new Map();
    this.syncProgress();
    this.isQuiescent = false;
    this.activeAtMs = this.nowMs;
    this.heartbeatDueMs = this.nowMs;
    this.quorumCheckDueMs = this.nowMs + this.options.electionTimeoutMs;
    this.factsDueMs = Number.NEGATIVE_INFINITY;
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

  /**
   * Whether this leader may go quiet: nothing was asked for a while, nothing is under way, and every member holds the
   * whole log and answered lately. A lease is void in a quiet group (`quiesce` sees to it).
   */
  get mayQuiesce(): boolean {
    const { quiesceAfterMs } = this.options;
    if (quiesceAfterMs === undefined || this.nowMs - this.activeAtMs < quiesceAfterMs) return false;
    const { log, reads } = this;
    if (this.transferTarget !== noReplica || reads.isWaiting || isJoint(this.configuration)) return false;
    if (log.committed < log.lastIndex || log.applied < log.lastIndex) return false;
    for (const progress of this.progress.values()) {
      if (progress.state !== 'replicate' || progress.matchIndex < log.lastIndex) return false;
      // Answers to the last two rounds: who is slow to answer is not known to be there.
      if (progress.roundAcked < this.round - 1) return false;
    }
    return true;
  }

  /** Goes quiet: a leader once it has told the others, a follower once it was told. */
  quiesce(): void {
    this.isQuiescent = true;
    this.electionDueMs = never;
    this.heartbeatDueMs = never;
    this.quorumCheckDueMs = never;
    this.reads.voidLease(this.round);
    // They were there when it began, and nobody will ask them again before it ends.
    for (const progress of this.progress.values()) progress.recentlyActive = true;
  }

  /**
   * Ends the quiet. A follower keeps its promise to the leader as if it had last heard it at `leaderHeardMs` (of the
   * host's clock): the leader's node was heard then, which is all a quiet group knows of its leader.
   */
  wake(leaderHeardMs = Number.NEGATIVE_INFINITY): void {
    if (!this.isQuiescent) return;
    this.isQuiescent = false;
    this.activeAtMs = this.nowMs;
    if (this.role === 'leader') {
      this.heartbeatDueMs = this.nowMs;
      this.heartbeatWanted = true;
      this.quorumCheckDueMs = this.nowMs + this.options.electionTimeoutMs;
      for (const progress of this.progress.values()) progress.recentlyActive = true;
      return;
    }
    const heardMs = Math.min(this.nowMs, leaderHeardMs + this.clockOffsetMs);
    this.holdUntilMs = Math.max(this.holdUntilMs, heardMs + this.options.voteHoldMs);
    this.resetElectionTimer();
  }

  /** Something was asked of this leader. */
  noteActivity(): void {
    this.activeAtMs = this.nowMs;
    this.wake();
  }

  /** A leader's own new entry. */
  appendOwn(type: EntryType, data: Buffer): number {
    this.noteActivity();
    const index = this.log.lastIndex + 1;
    this.log.append({ term: this.currentTerm, index, type, data });
    this.reads.noteEntry(index, this.nowMs);
    this.uncommittedBytes += data.length;
    this.appendsWanted = true;
    if (type === EntryType.Configuration) this.syncProgress();
    return index;
  }

  /** A leader counts itself once its own copy is durable (RAFT-PITFALLS 9, 10). */
  private readonly matchIndexOf = (id: ReplicaId): number =>
    id === this.id ? this.log.persisted : (this.progress.get(id)?.matchIndex ?? 0);

  readonly roundAckedBy = (id: ReplicaId): number =>
    id === this.id ? this.round : (this.progress.get(id)?.roundAcked ?? 0);

  /** Commits what a quorum holds, if it is of this term (Raft §5.4.2, Figure 8). */
  maybeCommit(): void {
    const index = quorumReached(this.configuration, this.matchIndexOf);
    if (index <= this.log.committed || this.log.term(index) !== this.currentTerm) return;
    this.reads.confirmEntry(index);
    const first = Math.max(this.log.committed + 1, this.termStartIndex);
    this.uncommittedBytes -= this.log.dataBytes(first, index);
    this.log.commitTo(index);
    this.afterCommit();
  }

  /** A committed joint configuration is left; a leader outside the final one goes (thesis §4.3). */
  private afterCommit(): void {
    if (this.log.configurationIndex > this.log.committed || !this.hasCommittedInTerm) return;
    if (isJoint(this.configuration)) {
      this.appendOwn(EntryType.Configuration, encodeConfiguration(leaveConfiguration(this.configuration)));
    } else if (!isVoter(this.configuration, this.id)) {
      // Nobody is left without a leader for longer than it takes to elect the best of them (thesis §4.2.2).
      this.sendTimeoutNow(this.mostAdvancedVoter());
      this.becomeFollower(this.currentTerm, noReplica);
    }
  }

  private mostAdvancedVoter(): ReplicaId {
    let best = noReplica;
    for (const id of this.configuration.voters) if (this.matchIndexOf(id) > this.matchIndexOf(best)) best = id;
    assert(best !== noReplica, 'a committed configuration is held by a quorum of its voters');
    return best;
  }

  /** From here on the target may depose us at any later time: no more leases in this term (RAFT-PITFALLS 28). */
  sendTimeoutNow(to: ReplicaId): void {
    this.reads.forbidLease();
    this.messages.push({ type: 'TimeoutNow', from: this.id, to, term: this.currentTerm });
  }

  get hasNewHardState(): boolean {
    const { handedHardState, currentTerm, votedFor } = this;
    return handedHardState.currentTerm !== currentTerm || handedHardState.votedFor !== votedFor;
  }

  /** Every other member is known to hold the log up to here: a leader knows, for the others it is Infinity. */
  get heldByAll(): number {
    let index = Number.POSITIVE_INFINITY;
    for (const { matchIndex } of this.progress.values()) index = Math.min(index, matchIndex);
    return index;
  }

  /** See `Raft.isResponsive`. */
  isResponsive(replica: ReplicaId): boolean {
    const progress = this.progress.get(replica);
    return progress !== undefined && (this.isQuiescent || progress.roundAcked >= this.round - 1);
  }
}
