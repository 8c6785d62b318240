/** How raft scripts write things down: short enough to compare by eye, whole enough to be checked against the paper. */
import type { ReplicaId } from '../../../src/base/index.js';
import {
  type Configuration,
  decodeConfiguration,
  type Entry,
  EntryType,
  type Message,
  type RaftStatus,
} from '../../../src/raft/index.js';

export function configurationText(configuration: Configuration): string {
  const { nodes: _nodes, epoch: _epoch, ...members } = configuration;
  const lists = Object.entries(members).filter(([name, ids]) => name === 'voters' || ids.length > 0);
  return lists.map(([name, ids]) => `${name}=${ids.join(',') || 'none'}`).join(' ');
}

/** `index:term` and what the entry holds. */
export function entryText({ index, term, type, data }: Entry): string {
  const at = `${index}:${term}`;
  switch (type) {
    case EntryType.NoOp:
      return `${at} no-op`;
    case EntryType.Configuration:
      return `${at} {${configurationText(decodeConfiguration(data))}}`;
    default:
      if (data.length === 0) return at;
      return data.length > 40 ? `${at} ${data.length} bytes` : `${at} "${data.toString()}"`;
  }
}

export const entriesText = (entries: readonly Entry[]): string => entries.map(entryText).join(', ');

export const isHeartbeat = ({ type }: Message): boolean => type === 'HeartbeatRequest' || type === 'HeartbeatResponse';

export const messageText = (message: Message): string =>
  `${message.from}->${message.to} ${nameOf(message)} term=${message.term}${detailsOf(message)}`;

const nameOf = (message: Message): string =>
  (message.type === 'VoteRequest' || message.type === 'VoteResponse') && message.preVote
    ? `Pre${message.type}`
    : message.type;

function detailsOf(message: Message): string {
  switch (message.type) {
    case 'VoteRequest':
      return ` last=(${message.lastIndex},${message.lastTerm})${message.leadershipTransfer ? ' transfer' : ''}`;
    case 'VoteResponse':
      return message.granted ? ' granted' : ' refused';
    case 'AppendRequest': {
      const { prevIndex, prevTerm, entries, commitIndex } = message;
      return ` prev=(${prevIndex},${prevTerm}) entries=[${entriesText(entries)}] commit=${commitIndex}`;
    }
    case 'AppendResponse':
      if (!message.rejected) return ` index=${message.index}`;
      return ` refused index=${message.index} hint=(${message.hintIndex},${message.hintTerm})`;
    case 'HeartbeatRequest':
      return ` round=${message.round} commit=${message.commitIndex}`;
    case 'HeartbeatResponse':
      return ` round=${message.round}`;
    case 'SnapshotRequest': {
      const { index, term, configuration } = message.snapshot;
      return ` snapshot=(${index},${term}) {${configurationText(configuration)}}`;
    }
    default:
      return '';
  }
}

export const leaderText = (leader: ReplicaId): string => (leader === 0 ? 'none' : String(leader));

export function statusText(status: RaftStatus): string {
  const { replicaId, role, leader, currentTerm, commitIndex, appliedIndex, firstIndex, lastIndex } = status;
  const parts = [`${replicaId} term=${currentTerm} ${role}`];
  if (role !== 'leader') parts.push(`leader=${leaderText(leader)}`);
  parts.push(`commit=${commitIndex} applied=${appliedIndex}`);
  if (firstIndex > 1) parts.push(`first=${firstIndex}`);
  parts.push(`last=${lastIndex}`);
  if (status.persistedIndex !== lastIndex) parts.push(`persisted=${status.persistedIndex}`);
  return parts.join(' ');
}

export const progressText = (status: RaftStatus): string[] =>
  status.progress.map(
    ({ replicaId, matchIndex, nextIndex, state }) => `${replicaId} match=${matchIndex} next=${nextIndex} ${state}`,
  );
