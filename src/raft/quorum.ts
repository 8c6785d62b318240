/** Majorities of a configuration; of both halves while it is joint (thesis §4.3). Pure. */
import type { ReplicaId } from '../base/index.js';
import type { Configuration } from './types.js';

export type VoteResult = 'won' | 'lost' | 'pending';

const majority = (count: number): number => Math.floor(count / 2) + 1;

/** The greatest number that a majority of `voters` has reached. An empty half puts no bound: Infinity. */
function majorityReached(voters: readonly ReplicaId[], reached: (id: ReplicaId) => number): number {
  if (voters.length === 0) return Number.POSITIVE_INFINITY;
  // Voters are few and this runs for every acknowledgement: counting beats sorting, and allocates nothing.
  const needed = majority(voters.length);
  let best = Number.NEGATIVE_INFINITY;
  for (const id of voters) {
    const value = reached(id);
    if (value <= best) continue;
    let count = 0;
    for (const other of voters) if (reached(other) >= value) count++;
    if (count >= needed) best = value;
  }
  return best;
}

/** The greatest number that a quorum of the configuration has reached: a commit index, a round, a time. */
export const quorumReached = (configuration: Configuration, reached: (id: ReplicaId) => number): number =>
  Math.min(majorityReached(configuration.voters, reached), majorityReached(configuration.outgoing, reached));

function majorityVotes(voters: readonly ReplicaId[], votes: ReadonlyMap<ReplicaId, boolean>): VoteResult {
  if (voters.length === 0) return 'won';
  let granted = 0;
  let open = 0;
  for (const id of voters) {
    const vote = votes.get(id);
    if (vote === undefined) open++;
    else if (vote) granted++;
  }
  if (granted >= majority(voters.length)) return 'won';
  return granted + open >= majority(voters.length) ? 'pending' : 'lost';
}

export function quorumVotes(configuration: Configuration, votes: ReadonlyMap<ReplicaId, boolean>): VoteResult {
  const incoming = majorityVotes(configuration.voters, votes);
  const outgoing = majorityVotes(configuration.outgoing, votes);
  if (incoming === 'lost' || outgoing === 'lost') return 'lost';
  return incoming === 'pending' || outgoing === 'pending' ? 'pending' : 'won';
}
