/**
 * The leader's part in replacing a replica: takes the new one in as a learner, and once it has caught up swaps it for
 * the old one on the same node, through a joint configuration (thesis §4.2.1, §4.3). Everything it needs to know stands
 * in the configuration, so that any later leader goes on where this one stopped.
 */
import { type Logger, type NodeId, type ReplicaId, RingraftError } from '../base/index.js';
import type { Group } from './group.js';

/** How far behind a learner may be when it is made a voter: a joint configuration commits without it at once. */
const nearlyCaughtUpEntries = 16;

/**
 * Throws when the group's own replica cannot be given up: BUSY while another change is under way, NO_QUORUM when the
 * other voters are no majority, so that nobody could take in its replacement.
 */
export function checkDispensable({ raft, shardId, replicaId }: Group): void {
  const { voters, outgoing, learners } = raft.configuration;
  if (outgoing.length > 0 || learners.length > 0 || !voters.includes(replicaId)) {
    throw new RingraftError('BUSY', `the membership of shard ${shardId} is changing`);
  }
  if (2 * (voters.length - 1) > voters.length) return;
  const message = `shard ${shardId} has ${voters.length} voting replica(s): without this one there is no majority`;
  throw new RingraftError('NO_QUORUM', message);
}

/**
 * Makes `newId` on `node` a learner of the group, in place of any other learner there. Safe to repeat. Throws
 * NOT_LEADER, or BUSY when the membership is changing already.
 */
export function takeInLearner(group: Group, node: NodeId, newId: ReplicaId): void {
  const { raft } = group;
  const { configuration } = raft;
  if (!raft.isLeader) {
    const leader = group.leaderNode;
    throw new RingraftError('NOT_LEADER', `node ${leader ?? '(none)'} leads shard ${group.shardId}`, {
      fields: { leader },
    });
  }
  if (configuration.voters.includes(newId) || configuration.learners.includes(newId)) {
    // Not before it is certain to stay: the new replica comes to life on this word.
    if (raft.isConfigurationCommitted) return;
    throw new RingraftError('BUSY', 'the change is not committed yet');
  }
  const proposed = raft.proposeConfiguration({
    voters: configuration.voters,
    learners: [...configuration.learners.filter((id) => group.nodes.get(id) !== node), newId],
    nodes: { [newId]: node },
  });
  throw new RingraftError('BUSY', typeof proposed === 'string' ? `not now: ${proposed}` : 'the change is under way');
}

/** Swaps learners that have caught up for the voter on their node. One change a call; whether there was one. */
export function promoteReplacements(group: Group, logger: Logger): boolean {
  const { raft } = group;
  const { configuration } = raft;
  if (!raft.isLeader || configuration.learners.length === 0 || configuration.outgoing.length > 0) return false;
  for (const learner of configuration.learners) {
    const node = group.nodes.get(learner);
    const old = configuration.voters.find((id) => id !== learner && group.nodes.get(id) === node);
    const progress = raft.progressOf(learner);
    if (old === undefined || old === group.replicaId || progress?.state !== 'replicate') continue;
    if (raft.lastIndex - progress.matchIndex > nearlyCaughtUpEntries) continue;
    const proposed = raft.proposeConfiguration({
      voters: configuration.voters.map((id) => (id === old ? learner : id)),
      learners: configuration.learners.filter((id) => id !== learner),
    });
    if (typeof proposed === 'string') return false;
    logger.info({ shardId: group.shardId, node, old, new: learner }, 'swapping a replica for its replacement');
    return true;
  }
  return false;
}
