/**
 * What is known of one member, and how two pieces of news about it become one.
 *
 * Invariants:
 * 1. `mergeRecords` is a join: commutative, associative, idempotent, never below either side. So news may come in any
 *    order, twice, and by any way, and nodes that have heard the same know the same.
 * 2. News of an earlier life counts for nothing in a later one, facts included.
 * 3. Only the member itself raises its life, its refutation, its heartbeat and the version of its facts.
 */

import type { NodeId } from '../../base/index.js';
import type { NodeFacts } from '../../wire/index.js';

/**
 * By rank: of two states of one life and refutation the later one here prevails.
 *
 * - `unknown`: it should be there, and was not heard of yet.
 * - `suspect`: it did not answer. It has time to refute that.
 * - `dead`: it did not refute in time. It may still do so, or come back.
 * - `left`: it said that it stops.
 */
export const memberStates = ['unknown', 'alive', 'suspect', 'dead', 'left'] as const;
export type MemberState = (typeof memberStates)[number];

export type MemberRecord = {
  readonly nodeId: NodeId;
  /** Number of the start that this is about; 0: never heard of. */
  readonly life: number;
  /** Grows within one life whenever the member contradicts what is said of it. */
  readonly refutation: number;
  readonly state: MemberState;
  /** Of a suspect: who suspects it by a probe of its own, sorted; no more than count. */
  readonly accusers: readonly NodeId[];
  /** Grows with every period of the member's own. */
  readonly heartbeat: number;
  /** 0: no facts. */
  readonly factsVersion: number;
  readonly facts: NodeFacts | undefined;
};

/** As many as shorten a suspicion. */
export const mostAccusers = 4;

const rankOf = (state: MemberState): number => memberStates.indexOf(state);

/** Positive when `a` overrides `b`: by life, then refutation, then rank of state. */
export const compareStanding = (a: MemberRecord, b: MemberRecord): number =>
  a.life - b.life || a.refutation - b.refutation || rankOf(a.state) - rankOf(b.state);

/** Nothing is expected of it any more. */
export const isGone = (state: MemberState): boolean => state === 'dead' || state === 'left';

/** The smallest of both together: taking the smallest few of a union is associative. */
function uniteAccusers(a: readonly NodeId[], b: readonly NodeId[]): readonly NodeId[] {
  const missing = b.filter((nodeId) => !a.includes(nodeId));
  if (missing.length === 0) return a;
  const united = [...a, ...missing].sort().slice(0, mostAccusers);
  return united.every((nodeId, at) => nodeId === a[at]) ? a : united;
}

/** Whether `a`'s facts override `b`'s. Two facts of one version are a fault of their owner; still all nodes choose alike. */
function areNewer(a: MemberRecord, b: MemberRecord): boolean {
  if (a.factsVersion !== b.factsVersion) return a.factsVersion > b.factsVersion;
  return JSON.stringify(a.facts ?? null) > JSON.stringify(b.facts ?? null);
}

/** Both together. Returns `a` itself when `b` adds nothing. */
export function mergeRecords(a: MemberRecord, b: MemberRecord): MemberRecord {
  if (a.life !== b.life) return a.life > b.life ? a : b;
  const order = compareStanding(a, b);
  const { refutation, state } = order >= 0 ? a : b;
  const accusers = order === 0 ? uniteAccusers(a.accusers, b.accusers) : (order > 0 ? a : b).accusers;
  const heartbeat = Math.max(a.heartbeat, b.heartbeat);
  const { factsVersion, facts } = areNewer(b, a) ? b : a;
  if (order >= 0 && accusers === a.accusers && heartbeat === a.heartbeat && facts === a.facts) return a;
  return { nodeId: a.nodeId, life: a.life, refutation, state, accusers, heartbeat, factsVersion, facts };
}
