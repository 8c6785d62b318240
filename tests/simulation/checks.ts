/**
 * What must hold at every moment of a run, whatever fails (Raft Figure 3), looked at after every event:
 *
 * 1. Election safety: at most one leader a term.
 * 2. Log matching: entries with the same index and term are the same, and so is all before them.
 * 3. Leader completeness: a new leader's log holds everything that was committed in earlier terms. (Votes may come so
 *    late that a leader of a past term begins beside a newer one; it can do nothing.)
 * 4. State-machine safety: nobody commits or applies anything else at an index than everybody else.
 * 5. Terms and commit indexes never fall within a life; an applied index never exceeds the commit index.
 */
import { crc32 } from 'node:zlib';
import type { ShardId } from '../../src/base/index.js';
import type { Group, Host } from '../../src/host/index.js';
import { type Configuration, decodeConfiguration, type Entry, EntryType } from '../../src/raft/index.js';

export class Violation extends Error {
  override readonly name = 'Violation';

  constructor(
    readonly check: string,
    message: string,
  ) {
    super(`${check}: ${message}`);
  }
}

type Seen = { term: number; commit: number; lastIndex: number; lastTerm: number; wasLeader: boolean };
type Committed = {
  readonly term: number;
  readonly crc: number;
  /** The term of whoever was first seen to commit it; Infinity: it was seen applied before. */
  committedInTerm: number;
};
type Known = { readonly crc: number; readonly previousTerm: number | undefined };

const contentOf = (entry: Entry): number => (entry.data.length === 0 ? entry.type : crc32(entry.data) + entry.type);

export class Checks {
  /** By host and group: what it looked like when it was last seen. A new life begins anew. */
  private readonly seen = new WeakMap<Group, Seen>();
  /** By shard: index - 1 -> what is committed there. */
  private readonly committed = new Map<ShardId, Committed[]>();
  private readonly known = new Map<string, Known>();
  private readonly leaders = new Map<string, number>();
  elections = 0;

  /** Told once of every entry that is committed, in the order of the log of its shard. */
  onCommitted: (shardId: ShardId, entry: Entry) => void = () => {};

  constructor(
    private readonly note: (value: number) => void,
    private readonly onElection: (node: string, shardId: ShardId, term: number) => void,
  ) {}

  /** How much of the shard is known to be committed. */
  committedIndex(shardId: ShardId): number {
    return this.committed.get(shardId)?.length ?? 0;
  }

  observe(node: string, host: Host): void {
    for (const group of host.replicas()) this.observeGroup(node, group);
  }

  private observeGroup(node: string, group: Group): void {
    const { raft, shardId } = group;
    let seen = this.seen.get(group);
    if (seen === undefined) {
      if (!this.memberships.has(shardId) && raft.configuration.voters.length > 0) {
        this.memberships.set(shardId, raft.configuration);
      }
      seen = { term: 0, commit: 0, lastIndex: 0, lastTerm: 0, wasLeader: false };
      this.seen.set(group, seen);
    }
    const term = raft.currentTerm;
    if (term < seen.term) throw new Violation('term', `${node} shard ${shardId}: term ${seen.term} fell to ${term}`);
    if (term !== seen.term) this.note(term);
    if (raft.commitIndex < seen.commit) {
      throw new Violation('commit', `${node} shard ${shardId}: commit ${seen.commit} fell to ${raft.commitIndex}`);
    }
    if (raft.appliedIndex > raft.commitIndex) {
      throw new Violation('commit', `${node} shard ${shardId}: ${raft.appliedIndex} is applied, not committed`);
    }
    if (group.dueMs > raft.nextDeadlineMs && !group.dirty && !group.installing) {
      throw new Violation(
        'timers',
        `${node} shard ${shardId}: due at ${raft.nextDeadlineMs}, looked at ${group.dueMs}`,
      );
    }
    const lastTerm = raft.term(raft.lastIndex) ?? 0;
    if (raft.lastIndex !== seen.lastIndex || lastTerm !== seen.lastTerm) this.checkMatching(node, group);
    if (raft.isLeader && (!seen.wasLeader || term !== seen.term)) this.checkElection(node, group);
    if (raft.commitIndex > seen.commit) this.checkCommit(node, group, seen.commit);
    seen.wasLeader = raft.isLeader;
    seen.term = term;
    seen.commit = raft.commitIndex;
    seen.lastIndex = raft.lastIndex;
    seen.lastTerm = lastTerm;
  }

  /** From the end backwards until an entry that was seen before: by induction all before it match. */
  private checkMatching(node: string, { raft, shardId }: Group): void {
    for (let index = raft.lastIndex; index >= raft.firstIndex; index--) {
      const [entry] = raft.entries(index, index);
      if (entry === undefined) return;
      const previousTerm = raft.term(index - 1);
      const name = `${shardId}:${index}:${entry.term}`;
      const known = this.known.get(name);
      const crc = contentOf(entry);
      if (known === undefined) {
        this.known.set(name, { crc, previousTerm });
        this.note(crc);
        continue;
      }
      if (known.crc !== crc || (known.previousTerm ?? previousTerm) !== (previousTerm ?? known.previousTerm)) {
        throw new Violation('log matching', `${node} shard ${shardId}: another entry (${index}, ${entry.term})`);
      }
      return;
    }
  }

  private checkElection(node: string, { raft, shardId, replicaId }: Group): void {
    this.elections++;
    const name = `${shardId}:${raft.currentTerm}`;
    const other = this.leaders.get(name);
    if (other !== undefined && other !== replicaId) {
      throw new Violation(
        'election safety',
        `shard ${shardId} term ${raft.currentTerm}: ${other} and ${replicaId} lead`,
      );
    }
    this.leaders.set(name, replicaId);
    this.onElection(node, shardId, raft.currentTerm);
    const committed = this.committed.get(shardId) ?? [];
    let index = committed.length;
    while (index > 0 && (committed[index - 1] as Committed).committedInTerm >= raft.currentTerm) index--;
    const last = committed[index - 1];
    if (last === undefined) return;
    const held = raft.term(index);
    if (raft.lastIndex < index || (held !== undefined && held !== last.term)) {
      throw new Violation(
        'leader completeness',
        `${node} leads shard ${shardId} in term ${raft.currentTerm} without the committed (${index}, ${last.term})`,
      );
    }
  }

  private checkCommit(node: string, { raft, shardId }: Group, before: number): void {
    const first = Math.max(before + 1, raft.firstIndex);
    if (first <= raft.commitIndex) {
      for (const entry of raft.entries(first, raft.commitIndex)) {
        const known = this.agree('commits', node, shardId, entry);
        known.committedInTerm = Math.min(known.committedInTerm, raft.currentTerm);
      }
    }
  }

  /** A state machine is given this entry. */
  onApply(node: string, shardId: ShardId, entry: Entry): void {
    this.agree('applies', node, shardId, entry);
  }

  private agree(what: string, node: string, shardId: ShardId, entry: Entry): Committed {
    let committed = this.committed.get(shardId);
    if (committed === undefined) {
      committed = [];
      this.committed.set(shardId, committed);
    }
    const crc = contentOf(entry);
    const known = committed[entry.index - 1];
    if (known === undefined) {
      if (entry.index !== committed.length + 1) {
        throw new Violation(
          'state-machine safety',
          `${node} ${what} ${entry.index} of shard ${shardId} before its time`,
        );
      }
      const news = { term: entry.term, crc, committedInTerm: Number.POSITIVE_INFINITY };
      committed.push(news);
      this.note(crc);
      if (entry.type === EntryType.Configuration) this.onConfiguration(shardId, decodeConfiguration(entry.data));
      this.onCommitted(shardId, entry);
      return news;
    }
    if (known.term !== entry.term || known.crc !== crc) {
      throw new Violation(
        'state-machine safety',
        `${node} ${what} (${entry.index}, ${entry.term}) in shard ${shardId}, where (${entry.index}, ${known.term}) is committed`,
      );
    }
    return known;
  }

  /** The membership committed last. */
  private readonly memberships = new Map<ShardId, Configuration>();
  configurations = 0;

  /** The membership of a shard that was committed last. */
  membership(shardId: ShardId): Configuration | undefined {
    return this.memberships.get(shardId);
  }

  /** Voters change only through a joint configuration of the old ones and the new, which is then left (thesis §4.3). */
  private onConfiguration(shardId: ShardId, configuration: Configuration): void {
    this.configurations++;
    const before = this.memberships.get(shardId);
    this.memberships.set(shardId, configuration);
    if (configuration.voters.length === 0) throw new Violation('membership', `shard ${shardId} has no voters`);
    if (before === undefined) return;
    const isJoint = configuration.outgoing.length > 0;
    const wasJoint = before.outgoing.length > 0;
    const isStep = isJoint
      ? !wasJoint && sameMembers(configuration.outgoing, before.voters)
      : sameMembers(configuration.voters, before.voters);
    if (!isStep) {
      const text = JSON.stringify([before, configuration]);
      throw new Violation('membership', `shard ${shardId}: one configuration does not follow from the other: ${text}`);
    }
  }
}

const sameMembers = (a: readonly number[], b: readonly number[]): boolean =>
  a.length === b.length && a.every((id) => b.includes(id));
