/**
 * How old a follower's data can be, by its own clock alone: neither the leader's clock nor the time a message was under
 * way is trusted.
 *
 * A heartbeat round names the last round that the leader has had this replica's answer to. So it began after that answer
 * left, at a moment this replica knows. Once the leader says that a majority answered the round as well, it did lead when
 * the round began, and nobody had a newer commit index than its own (thesis §6.4): whoever has applied that index has data that
 * were current at that moment.
 *
 * Invariants: 1. `answers`, `rounds` and `points` ascend in every field. 2. Nothing of another term is used.
 */

/** A round began after `sinceMs`, with this commit index. */
type Round = { readonly round: number; readonly sinceMs: number; readonly commitIndex: number };
type Answer = { readonly round: number; readonly sentMs: number };

/** What a heartbeat says beside its round; 0: nothing known. */
export type RoundFacts = {
  readonly round: number;
  /** The newest round of which the leader has this replica's answer. */
  readonly answeredRound: number;
  /** The newest round that a majority answered. */
  readonly confirmedRound: number;
  /** Of the leader, as soon as it has committed an entry of its term. */
  readonly leaderCommitIndex: number;
};

const mostKept = 64;

/** Removes the first of the list, as long as they are old. */
function forget<One>(list: One[], isOld: (one: One) => boolean): void {
  let count = 0;
  while (count < list.length && isOld(list[count] as One)) count++;
  if (count > 0) list.splice(0, count);
}

export class Freshness {
  private term = 0;
  private answers: Answer[] = [];
  private rounds: Round[] = [];
  /** Confirmed rounds whose commit index is not known to be applied yet, and the last one that is. */
  private points: Round[] = [];

  /** Everything known is void: the clock jumped, or another term began. */
  reset(term: number): void {
    this.term = term;
    this.answers = [];
    this.rounds = [];
    this.points = [];
  }

  /** A heartbeat with facts came, and is answered now. Nobody will ask about less than what is applied. */
  onHeartbeat(term: number, facts: RoundFacts, nowMs: number, appliedIndex: number): void {
    const { round, answeredRound, confirmedRound, leaderCommitIndex } = facts;
    if (term !== this.term) this.reset(term);
    // An answer to an earlier round left earlier: the moment is as true, and less close.
    const answered = this.answers.findLast((answer) => answer.round <= answeredRound);
    const isNew = round > (this.rounds.at(-1)?.round ?? 0);
    if (answered !== undefined && isNew) {
      this.rounds.push({ round, sinceMs: answered.sentMs, commitIndex: leaderCommitIndex });
    }
    if (answered !== undefined) forget(this.answers, (answer) => answer.round < answered.round);
    // Of a round that comes again only the first answer counts: it may be the one that the leader has.
    if (round > (this.answers.at(-1)?.round ?? 0)) this.answers.push({ round, sentMs: nowMs });
    if (this.answers.length > mostKept) this.answers.shift();
    const confirmed = this.rounds.findLast((known) => known.round <= confirmedRound);
    if (confirmed !== undefined) this.confirm(confirmed, appliedIndex);
    if (this.rounds.length > mostKept) this.rounds.shift();
  }

  private confirm(confirmed: Round, appliedIndex: number): void {
    forget(this.rounds, (known) => known.round <= confirmed.round);
    if (confirmed.commitIndex <= appliedIndex) this.points = [];
    this.points.push(confirmed);
    if (this.points.length > mostKept) this.points.shift();
  }

  /** How old data can be that reach to `appliedIndex`, in milliseconds; undefined: nobody knows. */
  ageMs(appliedIndex: number, nowMs: number): number | undefined {
    const newest = this.points.findLastIndex(({ commitIndex }) => commitIndex <= appliedIndex);
    if (newest < 0) return undefined;
    this.points.splice(0, newest);
    return Math.max(0, nowMs - (this.points[0] as Round).sinceMs);
  }
}
