/**
 * Goal: quorums are what the definition says, for joint configurations too (Raft §5.2, thesis §4.3). Method: random
 * configurations of up to 7 voters against an oracle that tries every subset of the replicas, and knows no shortcut.
 */
import test from 'ava';
import fc from 'fast-check';
import { type ReplicaId, replicaId } from '../../../src/base/index.js';
import { quorumReached, quorumVotes, type VoteResult } from '../../../src/raft/quorum.js';
import type { Configuration } from '../../../src/raft/types.js';

const everybody = [1, 2, 3, 4, 5, 6, 7].map(replicaId);
const subsets = Array.from({ length: 2 ** everybody.length }, (_, bits) =>
  everybody.filter((_, at) => (bits & (1 << at)) !== 0),
);

/** More than half of the voters, and more than half of the outgoing ones where there are any. */
const isQuorum = ({ voters, outgoing }: Configuration, group: readonly ReplicaId[]): boolean => {
  const holds = (half: readonly ReplicaId[]): boolean =>
    half.length === 0 || 2 * half.filter((id) => group.includes(id)).length > half.length;
  return holds(voters) && holds(outgoing);
};

const oracleVotes = (configuration: Configuration, votes: ReadonlyMap<ReplicaId, boolean>): VoteResult => {
  const granted = everybody.filter((id) => votes.get(id) === true);
  const possible = everybody.filter((id) => votes.get(id) !== false);
  if (isQuorum(configuration, granted)) return 'won';
  return isQuorum(configuration, possible) ? 'pending' : 'lost';
};

/** The best over all quorums of what the slowest of its members has reached. */
const oracleReached = (configuration: Configuration, reached: (id: ReplicaId) => number): number =>
  Math.max(
    ...subsets
      .filter((group) => isQuorum(configuration, group))
      .map((group) => {
        const { voters, outgoing } = configuration;
        return Math.min(...group.filter((id) => voters.includes(id) || outgoing.includes(id)).map(reached));
      }),
  );

const someIds = (minLength: number): fc.Arbitrary<ReplicaId[]> =>
  fc.shuffledSubarray(everybody, { minLength, maxLength: 7 });

const configurations: fc.Arbitrary<Configuration> = fc.record({
  voters: someIds(1),
  outgoing: fc.oneof(fc.constant([] as ReplicaId[]), someIds(1)),
  learners: someIds(0),
  learnersNext: fc.constant([]),
});

const parameters = { numRuns: 2000 };

test('the index a quorum has reached is the one the oracle finds among all subsets', (t) => {
  const indexes = fc.array(fc.integer({ min: 0, max: 9 }), { minLength: 7, maxLength: 7 });
  fc.assert(
    fc.property(configurations, indexes, (configuration, values) => {
      const reached = (id: ReplicaId): number => values[id - 1] as number;
      t.is(quorumReached(configuration, reached), oracleReached(configuration, reached));
    }),
    parameters,
  );
});

test('votes are won, lost or open as the oracle says', (t) => {
  const ballots = fc.array(fc.constantFrom(true, false, undefined), { minLength: 7, maxLength: 7 });
  fc.assert(
    fc.property(configurations, ballots, (configuration, answers) => {
      const votes = new Map<ReplicaId, boolean>();
      for (const [at, answer] of answers.entries()) if (answer !== undefined) votes.set(replicaId(at + 1), answer);
      t.is(quorumVotes(configuration, votes), oracleVotes(configuration, votes));
    }),
    parameters,
  );
});

test('two quorums of one configuration share a replica, and so do those of two that follow each other', (t) => {
  fc.assert(
    fc.property(configurations, (configuration) => {
      const before: Configuration = { ...configuration, voters: configuration.outgoing, outgoing: [] };
      const after: Configuration = { ...configuration, outgoing: [] };
      const following = [configuration, after, ...(configuration.outgoing.length > 0 ? [before] : [])];
      const quorums = subsets.filter((group) => isWon(configuration, group));
      for (const other of following) {
        for (const group of subsets.filter((each) => isWon(other, each))) {
          if (quorums.some((quorum) => !quorum.some((id) => group.includes(id)))) return false;
        }
      }
      return true;
    }),
    { numRuns: 100 },
  );
  t.pass();
});

/** As the code under test sees it. */
function isWon(configuration: Configuration, group: readonly ReplicaId[]): boolean {
  return quorumVotes(configuration, new Map(group.map((id) => [id, true]))) === 'won';
}

test('learners never count', (t) => {
  const configuration: Configuration = {
    voters: [replicaId(1), replicaId(2), replicaId(3)],
    outgoing: [],
    learners: [replicaId(4), replicaId(5)],
    learnersNext: [],
  };
  t.is(quorumVotes(configuration, new Map([1, 4, 5].map((id) => [replicaId(id), true]))), 'pending');
  t.is(
    quorumReached(configuration, (id) => (id === 2 || id === 3 ? 1 : 9)),
    1,
  );
});
