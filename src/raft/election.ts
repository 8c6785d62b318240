/** Elections: pre-vote, votes, check-quorum, transfer of leadership (Raft §5.2, thesis §3.10, §9.6). */
import { assertNever, noReplica, type ReplicaId } from '../base/index.js';
import { isJoint, isVoter, members } from './configuration.js';
import type { Core } from './core.js';
import { quorumVotes } from './quorum.js';
import type { TimeoutNow, VoteRequest, VoteResponse } from './types.js';

/** How far apart followers that learn of a dead leader at the same moment begin, at most. */
const earlySpreadMs = 40;

/** Begins an election: a pre-vote, or at once the real one when the leader itself asked for it. */
export function campaign(core: Core, kind: 'preVote' | 'vote' | 'transfer'): void {
  // While a snapshot is being installed there is no state to lead with.
  if (!isVoter(core.configuration, core.id) || core.log.installingIndex > 0) {
    core.resetElectionTimer();
    return;
  }
  core.leader = noReplica;
  core.votes = new Map([[core.id, true]]);
  if (kind === 'preVote') core.role = 'preCandidate';
  else core.becomeCandidate();
  core.resetElectionTimer();
  const preVote = kind === 'preVote';
  for (const to of members(core.configuration)) {
    if (to === core.id || !isVoter(core.configuration, to)) continue;
    const request: VoteRequest = {
      type: 'VoteRequest',
      from: core.id,
      to,
      term: preVote ? core.currentTerm + 1 : core.currentTerm,
      preVote,
      lastIndex: core.log.lastIndex,
      lastTerm: core.log.lastTerm,
      leadershipTransfer: kind === 'transfer',
    };
    // A candidacy is a vote for oneself: it leaves once that is durable (RAFT-PITFALLS 2).
    if (preVote) core.messages.push(request);
    else core.messagesAfterPersist.push(request);
  }
  countVotes(core);
}

function countVotes(core: Core): void {
  const result = quorumVotes(core.configuration, core.votes);
  switch (result) {
    case 'pending':
      return;
    case 'lost':
      core.becomeFollower(core.currentTerm, noReplica);
      return;
    case 'won':
      if (core.role === 'preCandidate') campaign(core, 'vote');
      else core.becomeLeader();
      return;
    default:
      assertNever(result);
  }
}

/** The message's term is ours, or it is a pre-vote for a later one. */
export function handleVoteRequest(core: Core, message: VoteRequest): void {
  // Here in the candidate's term already, by another way than its request, with a promise still to keep.
  const isHeld = core.withholdsVotes && !message.leadershipTransfer;
  const mayVote = message.preVote
    ? message.term > core.currentTerm
    : core.votedFor === message.from || (core.votedFor === noReplica && core.leader === noReplica && !isHeld);
  const granted = mayVote && core.log.isUpToDate(message.lastIndex, message.lastTerm);
  if (granted && !message.preVote) {
    core.votedFor = message.from;
    core.waitForWinner();
  }
  // Two that ask at the same moment would both go on, and split the votes: one of them waits for the next date.
  if (granted && message.preVote && core.role === 'preCandidate' && message.from > core.id) {
    core.becomeFollower(core.currentTerm, noReplica);
  }
  core.messagesAfterPersist.push({
    type: 'VoteResponse',
    from: core.id,
    to: message.from,
    term: granted ? message.term : core.currentTerm,
    preVote: message.preVote,
    granted,
  });
}

export function handleVoteResponse(core: Core, message: VoteResponse): void {
  if (core.role !== (message.preVote ? 'preCandidate' : 'candidate')) return;
  if (message.granted && message.term !== core.currentTerm + (message.preVote ? 1 : 0)) return;
  if (!core.votes.has(message.from)) core.votes.set(message.from, message.granted);
  countVotes(core);
}

export function handleTimeoutNow(core: Core, message: TimeoutNow): void {
  if (core.role !== 'follower' || core.leader !== message.from) return;
  campaign(core, 'transfer');
}

/** A leader that has not heard from a quorum for an election timeout may have been replaced: it goes. */
export function checkQuorum(core: Core): void {
  const active = new Map<ReplicaId, boolean>([[core.id, true]]);
  for (const [id, progress] of core.progress) {
    active.set(id, progress.takeActivity());
  }
  if (quorumVotes(core.configuration, active) === 'won') {
    core.quorumCheckDueMs = core.nowMs + core.options.electionTimeoutMs;
  } else {
    core.becomeFollower(core.currentTerm, noReplica);
  }
}

export function transferLeadership(
  core: Core,
  to: ReplicaId,
): 'started' | 'notLeader' | 'notVoter' | 'alreadyLeader' | 'changeInFlight' {
  if (core.role !== 'leader') return 'notLeader';
  if (to === core.id) return 'alreadyLeader';
  const progress = core.progress.get(to);
  if (progress === undefined || !core.configuration.voters.includes(to)) return 'notVoter';
  if (core.transferTarget === to) return 'started';
  // Leaving the joint state appends an entry; whoever voted for the target before it came would refuse after.
  if (isJoint(core.configuration) || core.log.configurationIndex > core.log.committed) return 'changeInFlight';
  core.transferTarget = to;
  core.transferDueMs = core.nowMs + core.options.electionTimeoutMs;
  core.reads.voidLease(core.round);
  if (progress.matchIndex === core.log.lastIndex) core.sendTimeoutNow(to);
  else core.appendsWanted = true;
  return 'started';
}

/**
 * NATS said that nobody listens where the leader was. It may be a partition between NATS servers instead, with the
 * leader alive beside its clients: the election begins only when its lease has certainly run out.
 */
export function leaderUnreachable(core: Core): void {
  if (core.role !== 'follower' || core.leader === noReplica) return;
  // Said again with every message that finds nobody: the date stands.
  if (core.isEarly) return;
  core.isEarly = true;
  core.electionDueMs = Math.min(core.electionDueMs, core.earliestElectionMs(earlySpreadMs));
}
