/**
 * What the answers of several replicas prove about a key, without a leader: Paxos quorum reads (Charapko et al.,
 * HotStorage'19), adapted to Raft.
 *
 * A write that anybody was told of was committed, so it is in the log of a majority; every two majorities share a replica.
 * So where the answers hold a majority, one of them knows the write: it has applied it, or it names it as an entry that
 * touches the key. The answer that has applied the most is the newest state seen; when it has also applied everything that
 * the others name, it holds every write that was completed before the question, and is of committed entries only. A later
 * read by a majority finds at least as much: the read is linearizable.
 *
 * A majority of what? Membership changes through joint configurations, whose entries need majorities of both sides: where
 * nobody among a majority of an old configuration has heard of a newer one, nothing was ever committed under the newer. So
 * the answers have to hold a majority of every configuration that any of them names, and of both halves of a joint one.
 */
import type { OperationResult } from '../wire/index.js';

export type Verdict = {
  /** Of the answers, the one that has applied the most. */
  readonly newest: OperationResult;
  /** The newest answer is linearizable. */
  readonly isProven: boolean;
  /** The answers hold the majorities they need: what is missing is only that entries they name are applied. */
  readonly hasMajority: boolean;
};

const holdsMajority = (ids: readonly number[], present: ReadonlySet<number>): boolean => {
  let held = 0;
  for (const id of ids) if (present.has(id)) held++;
  return 2 * held > ids.length;
};

/** `answers` are those of different replicas, each given after the question was asked; at least one. */
export function judge(answers: readonly OperationResult[]): Verdict {
  const replicas = answers.map(({ replica }) => replica);
  const present = new Set(replicas.map((replica) => replica?.replicaId ?? 0));
  const hasMajority = replicas.every(
    (replica) =>
      replica !== null &&
      replica.voters.length > 0 &&
      holdsMajority(replica.voters, present) &&
      (replica.outgoing.length === 0 || holdsMajority(replica.outgoing, present)),
  );
  let newest = answers[0] as OperationResult;
  let touched = 0;
  for (const answer of answers) {
    if (answer.appliedIndex > newest.appliedIndex) newest = answer;
    touched = Math.max(touched, answer.replica?.touchedIndex ?? 0);
  }
  return { newest, hasMajority, isProven: hasMajority && newest.appliedIndex >= touched };
}
