/** What a node tells about itself. */
import type { NodeId, ShardId } from '../base/index.js';
import type { Wal } from '../wal/index.js';
import type { NodeStatus, PeerStatus, ShardDetail, ShardStatus } from '../wire/index.js';
import type { Group } from './group.js';
import type { DamagedReplica } from './open-groups.js';
import type { HostOptions } from './options.js';

const shardDetail = ({ raft, replicaId, nodes }: Group): ShardDetail => {
  const { votedFor, persistedIndex, configuration, transferringTo, role, progress } = raft.status;
  const { voters, outgoing, learners, learnersNext } = configuration;
  const others = role === 'leader' ? progress.filter((peer) => peer.replicaId !== replicaId) : [];
  const homes: Record<string, NodeId> = {};
  for (const id of [...voters, ...outgoing, ...learners, ...learnersNext]) {
    const home = nodes.get(id);
    if (home !== undefined) homes[id] = home;
  }
  return {
    votedFor,
    persistedIndex,
    voters,
    outgoing,
    learners: [...learners, ...learnersNext],
    nodes: homes,
    transferringTo,
    followers: others.map((peer) => ({
      replicaId: peer.replicaId,
      state: peer.state,
      matchIndex: peer.matchIndex,
      nextIndex: peer.nextIndex,
      isActive: peer.recentlyActive,
    })),
  };
};

const shardStatus = (group: Group): ShardStatus => {
  const { status } = group.raft;
  const others = status.progress.filter((peer) => peer.replicaId !== group.replicaId);
  const { voters, outgoing } = status.configuration;
  const isVoter = [voters, outgoing].every((half) => half.length === 0 || half.includes(group.replicaId));
  return {
    shardId: group.shardId,
    replicaId: group.replicaId,
    role: (isVoter && voters.length > 0) || status.role === 'leader' ? status.role : 'learner',
    leaderNode: group.leaderNode ?? null,
    term: status.currentTerm,
    firstIndex: status.firstIndex,
    lastIndex: status.lastIndex,
    commitIndex: status.commitIndex,
    appliedIndex: status.appliedIndex,
    lagEntries:
      status.role === 'leader' ? Math.max(0, ...others.map((peer) => status.lastIndex - peer.matchIndex)) : null,
    damage: null,
    isQuiet: group.raft.isQuiescent,
  };
};

const absentStatus = ({ shardId, replicaId, reason }: DamagedReplica): ShardStatus => ({
  shardId,
  replicaId,
  role: reason === undefined ? 'learner' : 'damaged',
  leaderNode: null,
  term: 0,
  firstIndex: 0,
  lastIndex: 0,
  commitIndex: 0,
  appliedIndex: 0,
  lagEntries: null,
  damage: reason ?? null,
});

export type StatusParts = {
  readonly options: HostOptions;
  readonly groups: Iterable<Group>;
  readonly damaged: Iterable<DamagedReplica>;
  readonly wal: Wal;
  readonly startedAtMs: number;
  readonly uptimeMs: number;
  readonly peers: readonly PeerStatus[];
  readonly counters: Readonly<Record<string, number>>;
};

/** With `only`: that shard alone, in detail. */
export function nodeStatus(parts: StatusParts, only?: ShardId): NodeStatus {
  const { options, wal } = parts;
  const isWanted = ({ shardId }: { readonly shardId: ShardId }): boolean => only === undefined || shardId === only;
  const groups = [...parts.groups].filter(isWanted).map((group) => {
    const status = shardStatus(group);
    return only === undefined ? status : { ...status, detail: shardDetail(group) };
  });
  const memory = process.memoryUsage();
  return {
    nodeId: options.nodeId,
    cluster: options.cluster,
    version: options.version,
    pid: process.pid,
    startedAtMs: parts.startedAtMs,
    incarnation: options.incarnation,
    uptimeMs: parts.uptimeMs,
    shards: [...groups, ...[...parts.damaged].filter(isWanted).map(absentStatus)].sort((a, b) => a.shardId - b.shardId),
    peers: parts.peers,
    wal: { ...wal.statistics, isFull: wal.isFull },
    memory: { residentBytes: memory.rss, heapBytes: memory.heapUsed },
    counters: parts.counters,
  };
}
