/** What a node tells about itself. */
import type { Wal } from '../wal/index.js';
import type { NodeStatus, ShardStatus } from '../wire/index.js';
import type { Group } from './group.js';
import type { DamagedReplica } from './open-groups.js';
import type { HostOptions } from './options.js';

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
  };
};

const damagedStatus = ({ shardId, replicaId, reason }: DamagedReplica): ShardStatus => ({
  shardId,
  replicaId,
  role: 'damaged',
  leaderNode: null,
  term: 0,
  firstIndex: 0,
  lastIndex: 0,
  commitIndex: 0,
  appliedIndex: 0,
  lagEntries: null,
  damage: reason,
});

export type StatusParts = {
  readonly options: HostOptions;
  readonly groups: Iterable<Group>;
  readonly damaged: Iterable<DamagedReplica>;
  readonly wal: Wal;
  readonly startedAtMs: number;
  readonly counters: Readonly<Record<string, number>>;
};

export function nodeStatus(parts: StatusParts): NodeStatus {
  const { options, wal } = parts;
  const memory = process.memoryUsage();
  return {
    nodeId: options.nodeId,
    cluster: options.map.cluster,
    version: options.version,
    pid: process.pid,
    startedAtMs: parts.startedAtMs,
    incarnation: options.incarnation,
    shards: [...[...parts.groups].map(shardStatus), ...[...parts.damaged].map(damagedStatus)].sort(
      (a, b) => a.shardId - b.shardId,
    ),
    wal: { ...wal.statistics, isFull: wal.isFull },
    memory: { residentBytes: memory.rss, heapBytes: memory.heapUsed },
    counters: parts.counters,
  };
}
