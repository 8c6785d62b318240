/** Log replication and snapshots, from both sides (Raft §5.3, §7; thesis §10.2). */
import { assert, type ReplicaId } from '../base/index.js';
import type { Core } from './core.js';
import type { RaftLog } from './log.js';
import type { Progress } from './progress.js';
import type { AppendRequest, AppendResponse, SnapshotRequest } from './types.js';

/**
 * The last index at or below `index` whose term is at most `term`: where two logs may still agree (Raft §5.3). One
 * answer skips a whole term. Where the log was compacted nothing is known, and the search ends.
 */
function lastPossibleMatch(log: RaftLog, index: number, term: number): number {
  let at = Math.min(index, log.lastIndex);
  while ((log.term(at) ?? 0) > term) at--;
  return at;
}

function acknowledge(core: Core, to: ReplicaId, index: number): void {
  const after = core.messagesAfterPersist;
  const last = after[after.length - 1];
  let highest = index;
  if (last?.type === 'AppendResponse' && !last.rejected && last.to === to && last.term === core.currentTerm) {
    // Only the highest acknowledgement of one batch is worth a message.
    after.pop();
    highest = Math.max(index, last.index);
  }
  after.push(appendResponse(core, to, highest, false, 0, 0));
}

const appendResponse = (
  core: Core,
  to: ReplicaId,
  index: number,
  rejected: boolean,
  hintIndex: number,
  hintTerm: number,
): AppendResponse => ({
  type: 'AppendResponse',
  from: core.id,
  to,
  term: core.currentTerm,
  index,
  rejected,
  hintIndex,
  hintTerm,
});

export function handleAppendRequest(core: Core, message: AppendRequest): void {
  core.heardLeader(message.from);
  const { log } = core;
  if (message.prevIndex < log.committed) {
    // Old or twice: what is committed here needs no check, and must not be touched (RAFT-PITFALLS 11).
    acknowledge(core, message.from, log.committed);
    return;
  }
  if (log.term(message.prevIndex) !== message.prevTerm) {
    // What is committed here the leader has as well.
    const hint = Math.max(lastPossibleMatch(log, message.prevIndex, message.prevTerm), log.committed);
    core.messagesAfterPersist.push(
      appendResponse(core, message.from, message.prevIndex, true, hint, log.term(hint) ?? 0),
    );
    return;
  }
  log.merge(message.entries);
  const lastNew = message.prevIndex + message.entries.length;
  log.commitTo(Math.min(message.commitIndex, lastNew));
  acknowledge(core, message.from, lastNew);
}

export function handleAppendResponse(core: Core, message: AppendResponse): void {
  const progress = core.progress.get(message.from);
  if (core.role !== 'leader' || progress === undefined) return;
  progress.recentlyActive = true;
  if (message.rejected) {
    const hint =
      message.hintTerm > 0 ? lastPossibleMatch(core.log, message.hintIndex, message.hintTerm) : message.hintIndex;
    if (progress.refused(message.index, hint)) core.appendsWanted = true;
    return;
  }
  assert(message.index <= core.log.lastIndex, 'a follower acknowledges only what this leader has');
  const isNews = progress.accepted(message.index);
  const hasCaughtUp = progress.state === 'snapshot' && progress.matchIndex + 1 >= core.log.firstIndex;
  const isProbed = progress.state === 'probe' && message.index >= progress.matchIndex;
  if (isProbed || hasCaughtUp) progress.becomeReplicate();
  if (progress.nextIndex <= core.log.lastIndex) core.appendsWanted = true;
  if (!isNews) return;
  core.maybeCommit();
  if (core.role === 'leader' && core.transferTarget === message.from && progress.matchIndex === core.log.lastIndex) {
    core.sendTimeoutNow(message.from);
  }
}

/** Sends every follower what it may be sent; entries of several proposals share a message. */
export function sendAppends(core: Core): void {
  core.appendsWanted = false;
  for (const [to, progress] of core.progress) {
    while (!progress.isPaused && sendAppend(core, to, progress));
  }
}

/** One append, or a snapshot where the entries are gone; whether more may follow. */
function sendAppend(core: Core, to: ReplicaId, progress: Progress): boolean {
  const { log, options } = core;
  const prevIndex = progress.nextIndex - 1;
  const prevTerm = log.term(prevIndex);
  if (prevTerm === undefined) {
    sendSnapshot(core, to, progress);
    return false;
  }
  const hasEntries = progress.nextIndex <= log.lastIndex;
  if (!hasEntries && !progress.isSuspect && progress.state !== 'probe') return false;
  progress.isSuspect = false;
  const entries = hasEntries ? log.slice(progress.nextIndex, log.lastIndex, options.maxAppendBytes) : [];
  core.messages.push({
    type: 'AppendRequest',
    from: core.id,
    to,
    term: core.currentTerm,
    prevIndex,
    prevTerm,
    entries,
    commitIndex: log.committed,
  });
  progress.sentMs = core.nowMs;
  if (hasEntries || progress.state === 'probe') progress.sent(prevIndex + entries.length);
  return hasEntries;
}

function sendSnapshot(core: Core, to: ReplicaId, progress: Progress): void {
  if (!progress.isActive) return;
  const snapshot = core.log.snapshotMetadata;
  progress.becomeSnapshot(snapshot.index);
  core.messages.push({ type: 'SnapshotRequest', from: core.id, to, term: core.currentTerm, snapshot });
}

export function handleSnapshotRequest(core: Core, message: SnapshotRequest): void {
  core.heardLeader(message.from);
  const { log } = core;
  const { snapshot } = message;
  if (snapshot.index > log.committed) {
    if (log.term(snapshot.index) === snapshot.term) {
      log.commitTo(snapshot.index);
    } else {
      log.restore(snapshot);
      core.restored = snapshot;
    }
  }
  acknowledge(core, message.from, log.committed);
}
