/**
 * The leader's part in where replicas are: it leads its group's membership, step by step, to what the cluster map asks
 * for. A node that should have a replica is invited to begin one; the new replica is taken in as a learner, and once it
 * has caught up it takes the place of one that should not be there, through a joint configuration (thesis §4.2.1, §4.3).
 * A replica that is begun anew on its own node (`replica-repair.ts`) takes the place of the old one the same way.
 *
 * Everything a step needs stands in the configuration and the map, so any later leader goes on where this one stopped.
 *
 * Invariants:
 * 1. A leader follows no map that is older than the one its configuration follows: each step is stamped with the epoch of
 *    the shard's entry in the map.
 * 2. A shard is reported settled only when that stamp is committed. So whoever leads later knows of the move, and nobody
 *    takes it back to where the manager has meanwhile said that nothing is needed any more.
 */
import { type Logger, type NodeId, type ReplicaId, RingraftError } from '../base/index.js';
import { isJoint } from '../raft/index.js';
import type { MapShard, ShardReport } from '../wire/index.js';
import type { Group } from './group.js';
import { isPlacedOn } from './local-map.js';

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
 * NOT_LEADER, or BUSY when the membership is changing already or this node does not know why the other should have one.
 */
export function takeInLearner(group: Group, shard: MapShard | undefined, node: NodeId, newId: ReplicaId): void {
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
  if (shard === undefined || isOutdated(group, shard) || !isPlacedOn(shard, node)) {
    throw new RingraftError('BUSY', `the map of this node places no replica of shard ${group.shardId} on ${node}`);
  }
  const proposed = raft.proposeConfiguration({
    voters: configuration.voters,
    learners: [...configuration.learners.filter((id) => group.nodes.get(id) !== node), newId],
    nodes: { [newId]: node },
  });
  throw new RingraftError('BUSY', typeof proposed === 'string' ? `not now: ${proposed}` : 'the change is under way');
}

/** What a step came to: the membership changes or leadership moves, or a node has to be invited, or there is nothing. */
export type MembershipStep = 'changed' | { readonly invite: NodeId } | undefined;

/** One step of a leader towards the map. Does nothing while an earlier step is under way. */
export function stepTowards(group: Group, shard: MapShard, nowMs: number, logger: Logger): MembershipStep {
  const { raft } = group;
  if (!raft.isLeader || isJoint(raft.configuration) || !raft.isConfigurationCommitted) return undefined;
  if (isOutdated(group, shard)) return undefined;
  const step = new Step(group, shard, nowMs, logger);
  return step.promote() ?? step.dropLearners() ?? step.dropVoters() ?? step.invite() ?? step.stamp();
}

/** Whether this node has yet to hear of the map that the group follows. */
const isOutdated = ({ raft }: Group, shard: MapShard): boolean => (raft.configuration.epoch ?? 0) > shard.epoch;

class Step {
  private readonly goal: ReadonlySet<NodeId>;
  private readonly voters: readonly ReplicaId[];
  private readonly learners: readonly ReplicaId[];

  constructor(
    private readonly group: Group,
    private readonly shard: MapShard,
    private readonly nowMs: number,
    private readonly logger: Logger,
  ) {
    this.goal = new Set(shard.replicas.map(({ nodeId }) => nodeId));
    ({ voters: this.voters, learners: this.learners } = group.raft.configuration);
  }

  private homeOf(id: ReplicaId): NodeId | undefined {
    return this.group.nodes.get(id);
  }

  private isWanted(id: ReplicaId): boolean {
    const home = this.homeOf(id);
    return home !== undefined && this.goal.has(home);
  }

  /** A learner that has caught up begins to vote, in the place of another replica where there is one too many. */
  promote(): MembershipStep {
    const { raft, replicaId, shardId } = this.group;
    for (const learner of this.learners) {
      const node = this.homeOf(learner);
      const sameHome = this.voters.find((id) => this.homeOf(id) === node);
      if (sameHome === replicaId || (sameHome === undefined && !this.isWanted(learner))) continue;
      const progress = raft.progressOf(learner);
      if (progress?.state !== 'replicate' || raft.lastIndex - progress.matchIndex > nearlyCaughtUpEntries) continue;
      const surplus = this.voters.filter((id) => !this.isWanted(id));
      const old = sameHome ?? surplus.find((id) => id !== replicaId);
      // The leader itself has to go: another one sees to that, where there is one; else the learner, as soon as it votes.
      const isLeaderLeft = old === undefined && surplus.length > 0;
      if (isLeaderLeft && this.voters.some((id) => id !== replicaId && this.isWanted(id))) return this.handOver();
      const voters =
        old === undefined ? [...this.voters, learner] : this.voters.map((id) => (id === old ? learner : id));
      const from = old === undefined ? undefined : this.homeOf(old);
      this.logger.info({ shardId, from, to: node, old, new: learner }, 'a new replica takes its place');
      return this.propose(
        voters,
        this.learners.filter((id) => id !== learner),
      );
    }
    return undefined;
  }

  /** Learners that are not wanted any more: their move was given up. */
  dropLearners(): MembershipStep {
    const isReplacement = (id: ReplicaId): boolean =>
      this.voters.some((other) => this.homeOf(other) === this.homeOf(id));
    const kept = this.learners.filter((id) => this.isWanted(id) || isReplacement(id));
    if (kept.length === this.learners.length) return undefined;
    return this.propose(this.voters, kept);
  }

  /** Voters that are too many, once all that should vote do. */
  dropVoters(): MembershipStep {
    const kept = this.voters.filter((id) => this.isWanted(id));
    if (kept.length === this.voters.length || kept.length < this.goal.size) return undefined;
    if (!kept.includes(this.group.replicaId)) return this.handOver();
    return this.propose(kept, this.learners);
  }

  /**
   * A node without a replica; and one whose learner never answers: it may have stopped after the learner was taken in
   * and before the replica was there, and then knows nothing of it.
   */
  invite(): MembershipStep {
    for (const node of this.goal) {
      const isThere = (id: ReplicaId): boolean => this.homeOf(id) === node;
      if (this.voters.some(isThere)) continue;
      const answers = (id: ReplicaId): boolean => this.group.raft.progressOf(id)?.isActive === true;
      if (!this.learners.some((id) => isThere(id) && answers(id))) return { invite: node };
    }
    return undefined;
  }

  /** All is where it should be, and was before: that is on record before the manager is told. */
  stamp(): MembershipStep {
    const { leaving, epoch } = this.shard;
    if (leaving.length === 0 || this.group.raft.configuration.epoch === epoch) return undefined;
    return this.propose(this.voters, this.learners);
  }

  private propose(voters: readonly ReplicaId[], learners: readonly ReplicaId[]): MembershipStep {
    const target = { voters, learners, epoch: this.shard.epoch };
    return typeof this.group.raft.proposeConfiguration(target) === 'string' ? undefined : 'changed';
  }

  /** To the voter furthest along among those that stay. */
  private handOver(): MembershipStep {
    const { raft, replicaId } = this.group;
    const matchOf = (id: ReplicaId): number => raft.progressOf(id)?.matchIndex ?? 0;
    const candidates = this.voters
      .filter((id) => id !== replicaId && this.isWanted(id) && raft.isResponsive(id))
      .sort((a, b) => matchOf(b) - matchOf(a));
    for (const id of candidates) if (raft.transferLeadership(id, this.nowMs) === 'started') return 'changed';
    return undefined;
  }
}

/** What a leader tells the manager of a shard whose membership is not settled yet in the map; undefined: it is. */
export function reportOf({ raft, nodes, shardId }: Group, shard: MapShard): ShardReport | undefined {
  if (!raft.isLeader) return undefined;
  const { configuration } = raft;
  const { voters, learners } = configuration;
  const voting = new Set(voters.map((id) => nodes.get(id)));
  const missing = shard.replicas.map(({ nodeId }) => nodeId).filter((node) => !voting.has(node));
  const isSettled =
    missing.length === 0 &&
    voters.length === shard.replicas.length &&
    (shard.leaving.length === 0 || configuration.epoch === shard.epoch) &&
    learners.length === 0 &&
    !isJoint(configuration) &&
    raft.isConfigurationCommitted;
  if (isSettled && shard.leaving.length === 0) return undefined;
  const learner = learners[0];
  return {
    shardId,
    epoch: shard.epoch,
    term: raft.currentTerm,
    phase: isSettled ? 'settled' : isJoint(configuration) ? 'swapping' : learner === undefined ? 'waiting' : 'copying',
    missing,
    matchIndex: learner === undefined ? 0 : (raft.progressOf(learner)?.matchIndex ?? 0),
    lastIndex: raft.lastIndex,
  };
}
