/**
 * Keeps leaders where the placement wants them: a leader that is not its shard's preferred one hands leadership over
 * once the preferred replica is alive and has caught up. One transfer at a time, so that a node that returns is not
 * flooded.
 */
import { type Logger, noReplica } from '../base/index.js';
import type { Group } from './group.js';

/** How far behind a replica may be and still be asked to lead: the transfer itself brings it the rest. */
const nearlyCaughtUpEntries = 64;

/** Starts at most one transfer; returns the group it concerns. */
export function balanceLeaders(groups: Iterable<Group>, nowMs: number, logger: Logger): Group | undefined {
  for (const group of groups) {
    const { raft } = group;
    if (!raft.isLeader) continue;
    const { preferredLeader } = group;
    if (preferredLeader === noReplica || preferredLeader === group.replicaId) continue;
    if (!group.handOverTries.mayTry(raft.currentTerm, nowMs)) continue;
    const target = raft.progressOf(preferredLeader);
    // While it waits for the target a leader takes no writes: it must be there to answer.
    if (target?.state !== 'replicate' || !raft.isResponsive(preferredLeader)) continue;
    if (raft.lastIndex - target.matchIndex > nearlyCaughtUpEntries) continue;
    if (raft.transferLeadership(preferredLeader, nowMs) !== 'started') continue;
    group.handOverTries.note(raft.currentTerm, nowMs);
    logger.debug({ shardId: group.shardId, to: group.preferredNode }, 'handing leadership over');
    return group;
  }
  return undefined;
}

/** Hands every leadership over to the follower that is furthest along; how many transfers it started. */
export function handOverAll(groups: Iterable<Group>, nowMs: number): number {
  let started = 0;
  for (const group of groups) {
    const { raft } = group;
    if (!raft.isLeader) continue;
    const candidates = raft.status.progress
      .filter((peer) => peer.recentlyActive && peer.replicaId !== group.replicaId)
      .sort((a, b) => b.matchIndex - a.matchIndex);
    for (const { replicaId } of candidates) {
      if (raft.transferLeadership(replicaId, nowMs) === 'started') {
        started++;
        break;
      }
    }
  }
  return started;
}
