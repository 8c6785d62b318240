/** Heartbeats, and what their answers vouch for: reads, leases, the age of data (Raft §5.2; thesis §6.4). */
import { noReplica } from '../base/index.js';
import { type Core, holdMarginMs } from './core.js';
import { quorumReached } from './quorum.js';
import type { HeartbeatRequest, HeartbeatResponse } from './types.js';

/** One after another, however much is written. */
const mostBeatsLeftOut = 7;
/** One after another without word from every member that it took entries. */
const mostSilentBeatsLeftOut = 1;
/** What the newest interval counts for in the share of those in which entries were made. */
const newestWeight = 1 / 8;
/** In a group with entries in so many of the intervals the next one will follow soon. */
const oftenShare = 1 / 4;

export function handleHeartbeatRequest(core: Core, message: HeartbeatRequest): void {
  core.heardLeader(message.from);
  // The leader sends no more than it knows this log to hold.
  core.log.commitTo(message.commitIndex);
  const { round, answeredRound = 0, confirmedRound = 0, leaderCommitIndex = 0 } = message;
  if (leaderCommitIndex > 0) {
    const facts = { round, answeredRound, confirmedRound, leaderCommitIndex };
    core.freshness.onHeartbeat(core.currentTerm, facts, core.nowMs, core.log.applied);
  }
  if (message.quiesce === true && core.log.committed === core.log.lastIndex) core.quiesce();
  core.messages.push({
    type: 'HeartbeatResponse',
    from: core.id,
    to: message.from,
    term: core.currentTerm,
    round: message.round,
    asksAge: core.isAskedAge,
  });
}

export function handleHeartbeatResponse(core: Core, message: HeartbeatResponse): void {
  const progress = core.progress.get(message.from);
  if (core.role !== 'leader' || progress === undefined) return;
  progress.recentlyActive = true;
  progress.roundAcked = Math.max(progress.roundAcked, message.round);
  progress.asksAge = message.asksAge;
  // An append may have been lost: the next one, empty if need be, finds out.
  progress.probeSent = false;
  progress.freeFirst();
  if (progress.matchIndex < core.log.lastIndex || progress.state === 'probe') {
    progress.isSuspect = true;
    core.appendsWanted = true;
  }
  confirmRounds(core);
}

/** Releases the reads, and starts the lease, that the answers so far vouch for. */
export function confirmRounds(core: Core): void {
  core.reads.confirm(quorumReached(core.configuration, core.roundAckedBy), core.readStates);
}

/** All groups of a node beat at the same moments, so that their heartbeats share envelopes. */
function nextBeatMs(core: Core): number {
  const interval = core.options.heartbeatIntervalMs;
  return (Math.floor(core.nowMs / interval) + 1) * interval;
}

function setNextBeat(core: Core): void {
  core.heartbeatDueMs = nextBeatMs(core);
  for (const progress of core.progress.values()) progress.hasAccepted = false;
}

/**
 * Whether this beat can be spared. Appends that every member took since the last one did its work: they keep the members'
 * promises alive, prove this leadership and tell of commits. In a group that is written to often the next append comes
 * soon enough to do it as well, unless somebody waits: reads, whoever relies on the lease, and replicas that are asked
 * how old their data are, which they learn from heartbeats alone. And no member is left without a word for as long as its
 * promise lasts: what it took may have been sent long before it said so.
 */
function isBeatNeedless(core: Core): boolean {
  if (core.beatsLeftOut >= mostBeatsLeftOut || !core.hasCommittedInTerm || core.progress.size === 0) return false;
  if (core.reads.isWaiting || core.transferTarget !== noReplica) return false;
  const sentAfterMs = nextBeatMs(core) + holdMarginMs - core.options.voteHoldMs;
  let haveAllAccepted = true;
  for (const { state, hasAccepted, asksAge, sentMs } of core.progress.values()) {
    if (state !== 'replicate' || asksAge || sentMs < sentAfterMs) return false;
    haveAllAccepted &&= hasAccepted;
  }
  if (haveAllAccepted) {
    core.silentBeatsLeftOut = 0;
    return true;
  }
  if (core.silentBeatsLeftOut >= mostSilentBeatsLeftOut || core.writtenShare < oftenShare || core.isAskedLease)
    return false;
  core.silentBeatsLeftOut++;
  return true;
}

/** A heartbeat is due: begins a round with the next output, or leaves it out. */
export function beat(core: Core): void {
  const isWritten = core.log.lastIndex > core.lastIndexAtBeat;
  core.lastIndexAtBeat = core.log.lastIndex;
  core.writtenShare += ((isWritten ? 1 : 0) - core.writtenShare) * newestWeight;
  if (isBeatNeedless(core)) {
    core.beatsLeftOut++;
    setNextBeat(core);
  } else {
    core.heartbeatWanted = true;
  }
}

/** Begins a heartbeat round to everyone. */
export function broadcastHeartbeat(core: Core): void {
  core.heartbeatWanted = false;
  core.beatsLeftOut = 0;
  core.silentBeatsLeftOut = 0;
  setNextBeat(core);
  const interval = core.options.heartbeatIntervalMs;
  const quiesce = core.mayQuiesce;
  core.round++;
  core.reads.noteSent(core.round, core.nowMs);
  // Rounds for reads follow each other closely: now and then is enough to tell how old data can be.
  const tellsFacts = core.nowMs >= core.factsDueMs && core.hasCommittedInTerm;
  if (tellsFacts) core.factsDueMs = core.nowMs + interval / 2;
  const confirmedRound = tellsFacts ? quorumReached(core.configuration, core.roundAckedBy) : 0;
  const leaderCommitIndex = tellsFacts ? core.log.committed : 0;
  for (const [to, progress] of core.progress) {
    progress.sentMs = core.nowMs;
    const message: HeartbeatRequest = {
      type: 'HeartbeatRequest',
      from: core.id,
      to,
      term: core.currentTerm,
      commitIndex: Math.min(progress.matchIndex, core.log.committed),
      round: core.round,
      answeredRound: tellsFacts ? progress.roundAcked : 0,
      confirmedRound,
      leaderCommitIndex,
    };
    core.messages.push(quiesce ? { ...message, quiesce } : message);
  }
  if (quiesce) core.quiesce();
  if (core.progress.size === 0) confirmRounds(core);
}
