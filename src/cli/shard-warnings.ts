/** What is off with one shard, in words, from what all its nodes tell. Pure. */
import type { NodeId } from '../base/index.js';
import type { FollowerStatus, ShardDetail, ShardStatus } from '../wire/index.js';
import { leaderAmong, type NodeState } from './survey.js';
import { formatCount } from './values.js';

export type SeenReplica = {
  readonly nodeId: NodeId;
  readonly state: NodeState;
  /** undefined: its node does not answer, or holds none. */
  readonly replica: ShardStatus | undefined;
};

/** Under load followers are some hundred entries behind at any moment. */
const muchEntries = 1000;

const listed = (names: readonly string[]): string =>
  names.length < 2 ? names.join('') : `${names.slice(0, -1).join(', ')} and ${names.at(-1)}`;

export const homeOf = (id: number, detail: ShardDetail | undefined): string => detail?.nodes[id] ?? `replica ${id}`;

export function shardWarnings(seen: readonly SeenReplica[]): readonly string[] {
  const found = seen.flatMap(({ replica }) => (replica === undefined ? [] : [replica]));
  const leader = leaderAmong(found);
  const newest = leader ?? [...found].sort((a, b) => b.term - a.term)[0];
  return [
    ...leaderWarnings(seen),
    ...(leader === undefined ? quorumWarnings(seen, newest?.detail) : []),
    ...membershipWarnings(newest?.detail),
    ...seen.flatMap((each) => replicaWarnings(each, leader)),
    ...(leader === undefined ? [] : followerWarnings(leader, seen)),
  ];
}

function leaderWarnings(seen: readonly SeenReplica[]): readonly string[] {
  const leaders = seen
    .flatMap(({ nodeId, replica }) => (replica?.role === 'leader' ? [{ nodeId, term: replica.term }] : []))
    .sort((a, b) => a.term - b.term);
  if (leaders.length === 0) return ['nobody leads'];
  if (leaders.length === 1) return [];
  const terms = new Set(leaders.map(({ term }) => term));
  if (terms.size < leaders.length) {
    const names = listed(leaders.map(({ nodeId, term }) => `${nodeId} in term ${term}`));
    return [`two leaders in one term, which must never be: ${names}`];
  }
  const names = listed(leaders.map(({ nodeId, term }) => `${nodeId} in term ${term}`));
  return [
    `${leaders.length} leaders: ${names}; only the one of the latest term can commit, the other has not heard of it`,
  ];
}

function quorumWarnings(seen: readonly SeenReplica[], detail: ShardDetail | undefined): readonly string[] {
  if (detail === undefined) return [];
  const present = new Set(
    seen.flatMap(({ replica }) => (replica === undefined || replica.role === 'damaged' ? [] : [replica.replicaId])),
  );
  const lacking = [detail.voters, detail.outgoing].find(
    (half) => half.length > 0 && 2 * half.filter((id) => present.has(id)).length <= half.length,
  );
  if (lacking === undefined) return [];
  return [`no majority: ${lacking.filter((id) => present.has(id)).length} of ${lacking.length} voters there`];
}

function membershipWarnings(detail: ShardDetail | undefined): readonly string[] {
  if (detail === undefined) return [];
  const name = (id: number): string => `${id} on ${homeOf(id, detail)}`;
  const found: string[] = [];
  if (detail.outgoing.length > 0) {
    const from = listed(detail.outgoing.filter((id) => !detail.voters.includes(id)).map(name));
    const to = listed(detail.voters.filter((id) => !detail.outgoing.includes(id)).map(name));
    found.push(`the configuration is joint: ${to || 'nobody'} comes for ${from || 'nobody'}, both majorities count`);
  }
  for (const id of detail.learners) found.push(`replica ${name(id)} is a learner: it catches up and does not vote yet`);
  if (detail.transferringTo !== 0) found.push(`leadership is being handed to ${homeOf(detail.transferringTo, detail)}`);
  return found;
}

function replicaWarnings({ nodeId, state, replica }: SeenReplica, leader: ShardStatus | undefined): readonly string[] {
  if (state === 'down') return [`${nodeId} is down`];
  if (state === 'silent') return [`${nodeId} does not answer`];
  if (replica === undefined) return [`${nodeId} holds no replica, or not yet`];
  if (replica.role === 'damaged') {
    return [`the replica on ${nodeId} is damaged and waits to be replaced: ${replica.damage ?? 'it does not say why'}`];
  }
  const found: string[] = [];
  const unapplied = replica.commitIndex - replica.appliedIndex;
  if (unapplied > muchEntries) found.push(`${nodeId} has ${formatCount(unapplied)} committed entries still to apply`);
  if (leader === undefined || replica.role === 'leader') return found;
  if (replica.term > leader.term) {
    found.push(`${nodeId} is in term ${replica.term}, its leader in term ${leader.term}: an election is under way`);
  } else if (replica.leaderNode === null) {
    found.push(`${nodeId} knows of no leader`);
  }
  return found;
}

function followerWarnings(leader: ShardStatus, seen: readonly SeenReplica[]): readonly string[] {
  const { detail, lastIndex, isQuiet } = leader;
  const away = new Set<string>(seen.filter(({ state }) => state !== 'up').map(({ nodeId }) => nodeId));
  const about = (follower: FollowerStatus): string | undefined => {
    const name = homeOf(follower.replicaId, detail);
    const lacking = lastIndex - follower.matchIndex;
    if (follower.state === 'snapshot') return `${name} is so far behind that it is sent a snapshot`;
    const lacks = lacking > muchEntries ? ` lacks ${formatCount(lacking)} entries` : '';
    const isDeaf = !follower.isActive && isQuiet !== true && !away.has(name);
    if (isDeaf) return `${name} does not answer the leader${lacks === '' ? '' : `, and${lacks}`}`;
    return lacks === '' ? undefined : `${name}${lacks}`;
  };
  return (detail?.followers ?? []).map(about).filter((text) => text !== undefined);
}
