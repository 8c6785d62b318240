/**
 * Linearizable reads without log entries (thesis §6.4), and leases from the same heartbeat rounds.
 *
 * Invariants:
 * 1. Every batch of reads has a heartbeat round of its own, begun after they came; only answers to that round or a
 *    later one release them (RAFT-PITFALLS 27).
 * 2. A lease starts at the send time of the newest round a quorum answered, or when an entry was made that a quorum holds:
 *    nobody can have it from an earlier time. What began before the lease was voided never starts one; a transfer that was
 *    announced to its target forbids leases for the rest of the term, since the target may act on it at any later time (28).
 */
import type { ReadState } from './types.js';

type Round = { readonly round: number; readonly index: number; readonly contexts: readonly unknown[] };
type SentRound = { readonly round: number; readonly sentMs: number };

export class ReadIndexQueue {
  private arrived: unknown[] = [];
  private rounds: Round[] = [];
  private sent: SentRound[] = [];
  private voidUpTo = 0;
  private leaseStartMs = Number.NEGATIVE_INFINITY;
  private leaseForbidden = false;
  /** An entry of this leadership that is not committed yet, and when it was made; 0: none. */
  private entry = 0;
  private entryMs = 0;

  add(context: unknown): void {
    this.arrived.push(context);
  }

  /** Whether any read has not been answered. */
  get isWaiting(): boolean {
    return this.arrived.length > 0 || this.rounds.length > 0;
  }

  get hasArrived(): boolean {
    return this.arrived.length > 0;
  }

  /** The reads that came since the last round are vouched for by this one. */
  begin(round: number, commitIndex: number): void {
    this.rounds.push({ round, index: commitIndex, contexts: this.arrived });
    this.arrived = [];
  }

  noteSent(round: number, sentMs: number): void {
    this.sent.push({ round, sentMs });
  }

  /** A new entry of this leadership. One is followed at a time. */
  noteEntry(index: number, nowMs: number): void {
    if (this.entry > 0) return;
    this.entry = index;
    this.entryMs = nowMs;
  }

  /** A quorum holds the log up to `index`: who holds an entry heard this leader after it was made. */
  confirmEntry(index: number): void {
    if (this.entry === 0 || index < this.entry) return;
    this.leaseStartMs = Math.max(this.leaseStartMs, this.entryMs);
    this.entry = 0;
  }

  /** A quorum has answered every round up to `round`: appends what that releases to `out`. */
  confirm(round: number, out: ReadState[]): void {
    let known = 0;
    for (; known < this.sent.length; known++) {
      const sent = this.sent[known] as SentRound;
      if (sent.round > round) break;
      if (sent.round > this.voidUpTo) this.leaseStartMs = Math.max(this.leaseStartMs, sent.sentMs);
    }
    if (known > 0) this.sent.splice(0, known);
    let released = 0;
    for (; released < this.rounds.length; released++) {
      const waiting = this.rounds[released] as Round;
      if (waiting.round > round) break;
      for (const context of waiting.contexts) out.push({ context, index: waiting.index });
    }
    if (released > 0) this.rounds.splice(0, released);
  }

  /** No round up to this one, and no entry made so far, may start a lease any more. */
  voidLease(round: number): void {
    this.voidUpTo = round;
    this.entry = 0;
    this.leaseStartMs = Number.NEGATIVE_INFINITY;
  }

  forbidLease(): void {
    this.leaseForbidden = true;
  }

  leaseValid(nowMs: number, leaseMs: number): boolean {
    return !this.leaseForbidden && nowMs >= this.leaseStartMs && nowMs < this.leaseStartMs + leaseMs;
  }

  /** A new leadership, or the end of one: appends what will never be answered to `dropped`. */
  reset(dropped: unknown[]): void {
    for (const { contexts } of this.rounds) dropped.push(...contexts);
    dropped.push(...this.arrived);
    this.arrived = [];
    this.rounds = [];
    this.sent = [];
    this.voidUpTo = 0;
    this.entry = 0;
    this.leaseStartMs = Number.NEGATIVE_INFINITY;
    this.leaseForbidden = false;
  }
}
