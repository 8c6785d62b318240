/**
 * The other members as this node knows them.
 *
 * Invariants:
 * 1. A record only grows in the order of `mergeRecords`.
 * 2. The heartbeat of a dead or departed member is the last that was known when it was said to be so: a death tells
 *    how much of the member its accusers had seen. Only a refutation moves it on.
 * 3. A death is believed only from those who have seen as much of the member as this node has. Whoever has seen more of
 *    it was not behind the link that failed: it judges by its own probes, and tells the member, which will refute. So
 *    when a partition heals, neither side takes its own for dead, or suspect, because the other did.
 * 4. What was forgotten stays so until it comes with a greater life.
 */
import type { NodeId } from '../../base/index.js';
import type { GossipCounters } from './counters.js';
import type { Heartbeat } from './message.js';
import { compareStanding, isGone, type MemberRecord, type MemberState, mergeRecords } from './record.js';

export type Row = {
  record: MemberRecord;
  /** Monotonic time of the last proof that its heartbeat went on, first-hand or not; -Infinity: never. */
  lastHeardMs: number;
  /** Since when it is in its state. */
  sinceMs: number;
  /** From when its suspicion counts. */
  suspectedMs: number;
  /** This node's own probes of it failed, and it has not refuted yet. */
  isAccusedHere: boolean;
  /** A death told of it, and not believed. */
  doubted: MemberRecord | undefined;
};

export type Learned = {
  readonly row: Row;
  readonly before: MemberState | undefined;
  readonly isNewLife: boolean;
  /** Anything but its heartbeat and facts. */
  readonly isNews: boolean;
  readonly hasNewFacts: boolean;
};

/** More members than this are not taken in. */
export const mostMembers = 1024;

export class Roster {
  private readonly rows = new Map<NodeId, Row>();
  /** Lives that are over for this cluster, by member. */
  private readonly forgotten = new Map<NodeId, number>();

  constructor(private readonly counters: GossipCounters) {}

  get(nodeId: NodeId): Row | undefined {
    return this.rows.get(nodeId);
  }

  all(): readonly Row[] {
    return [...this.rows.values()];
  }

  /** Members that have not left, this node among them. */
  get nodes(): number {
    let count = 1;
    for (const { record } of this.rows.values()) if (record.state !== 'left') count++;
    return count;
  }

  inState(isWanted: (state: MemberState) => boolean): readonly NodeId[] {
    return this.all()
      .filter(({ record }) => isWanted(record.state))
      .map(({ record }) => record.nodeId);
  }

  /** It should be there. False: it was known already. */
  expect(nodeId: NodeId, nowMs: number): boolean {
    if (this.rows.has(nodeId)) return false;
    const nothing = { life: 0, refutation: 0, accusers: [], heartbeat: 0, factsVersion: 0, facts: undefined };
    return this.insert({ nodeId, state: 'unknown', ...nothing }, nowMs) !== undefined;
  }

  forget(nodeId: NodeId): void {
    const life = Math.max(this.rows.get(nodeId)?.record.life ?? 0, this.forgotten.get(nodeId) ?? 0);
    this.rows.delete(nodeId);
    this.forgotten.delete(nodeId);
    this.forgotten.set(nodeId, life);
    const [oldest] = this.forgotten.keys();
    if (oldest !== undefined && this.forgotten.size > mostMembers) this.forgotten.delete(oldest);
  }

  /** Whether this is about, or from, a life that is over. */
  isPast({ nodeId, life }: MemberRecord): boolean {
    return life < (this.rows.get(nodeId)?.record.life ?? 0) || life <= (this.forgotten.get(nodeId) ?? -1);
  }

  /** Undefined: nothing new. */
  learn(news: MemberRecord, nowMs: number): Learned | undefined {
    if (this.isPast(news)) return undefined;
    const row = this.rows.get(news.nodeId);
    if (row === undefined) return this.learnOfStranger(news, nowMs);
    const old = row.record;
    const merged = mergeRecords(old, this.believable(row, news));
    if (merged === old) return undefined;
    const isNewLife = merged.life > old.life;
    const isNewStanding = compareStanding(merged, old) > 0;
    row.record = merged;
    if (isNewLife ? merged.state === 'alive' : merged.heartbeat > old.heartbeat) row.lastHeardMs = nowMs;
    if (isNewStanding) {
      if (merged.state !== old.state || isNewLife) row.sinceMs = nowMs;
      row.suspectedMs = nowMs;
      row.isAccusedHere = false;
    }
    return {
      row,
      before: old.state,
      isNewLife,
      isNews: isNewStanding || merged.accusers !== old.accusers,
      hasNewFacts: merged.facts !== undefined && merged.facts !== old.facts,
    };
  }

  /**
   * A heartbeat alone. That of a life not heard of yet says the least that can be said of it: it began, and nothing is
   * known against it.
   */
  learnHeartbeat({ nodeId, life, heartbeat }: Heartbeat, nowMs: number): Learned | undefined {
    const row = this.rows.get(nodeId);
    if (row === undefined || row.record.life < life) {
      const nothing = { refutation: 0, accusers: [], factsVersion: 0, facts: undefined };
      return this.learn({ nodeId, life, state: 'alive', heartbeat, ...nothing }, nowMs);
    }
    if (row.record.life > life || isGone(row.record.state) || heartbeat <= row.record.heartbeat) return undefined;
    row.record = { ...row.record, heartbeat };
    row.lastHeardMs = nowMs;
    return undefined;
  }

  private learnOfStranger(news: MemberRecord, nowMs: number): Learned | undefined {
    const row = this.insert(news, nowMs);
    if (row === undefined) return undefined;
    return { row, before: undefined, isNewLife: true, isNews: true, hasNewFacts: news.facts !== undefined };
  }

  private insert(record: MemberRecord, nowMs: number): Row | undefined {
    if (this.rows.size >= mostMembers) {
      this.counters.membersRefused++;
      return undefined;
    }
    const lastHeardMs = record.state === 'alive' ? nowMs : Number.NEGATIVE_INFINITY;
    const row: Row = {
      record,
      lastHeardMs,
      sinceMs: nowMs,
      suspectedMs: nowMs,
      isAccusedHere: false,
      doubted: undefined,
    };
    this.rows.set(record.nodeId, row);
    return row;
  }

  /** The news as far as this node can take it for true (invariants 2 and 3). */
  private believable(row: Row, news: MemberRecord): MemberRecord {
    const own = row.record;
    if (news.life !== own.life) return news;
    const order = compareStanding(news, own);
    if (isGone(own.state)) return order >= 0 ? news : { ...news, heartbeat: Math.min(news.heartbeat, own.heartbeat) };
    if (news.state !== 'dead' || order <= 0 || news.heartbeat >= own.heartbeat) return news;
    this.counters.deathsDoubted++;
    row.doubted = news;
    // This much is true: it was alive when it last refuted.
    return { ...news, state: 'alive', accusers: [] };
  }
}
