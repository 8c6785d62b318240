/**
 * What the client knows of its traffic with one node. Hot: plain mutable fields.
 *
 * "No responders" (503) names a reply subject, not a batch. So batches are counted in epochs: an epoch ends when
 * nothing is outstanding. When as many 503s came back as batches went out, no batch of the epoch was delivered, hence
 * no operation in them was executed; otherwise any of them may have been.
 */
import type { NodeId } from '../base/index.js';
import type { PendingOperation } from './pending-operation.js';

const probeEpoch = 'probe';

export class NodeLink {
  /** Attempts sent and not yet answered, refused or given up. */
  outstanding = 0;
  /** Nobody listened there lately: not asked before this, while there is another choice. */
  downUntilMs = Number.NEGATIVE_INFINITY;
  /** It let a question go unanswered: reads that any replica can serve ask others before this. */
  silentUntilMs = Number.NEGATIVE_INFINITY;
  lastHeardMs = Number.NEGATIVE_INFINITY;
  lastProbedMs = Number.NEGATIVE_INFINITY;
  /** Reply subject of the current epoch. */
  replyTo: string;
  /** Reply subject of probes: what comes back there says nothing about a batch. */
  readonly probeReplyTo: string;
  /** On their way into one batch. */
  outgoing: PendingOperation[] = [];
  private epoch = 0;
  private batches = 0;
  private refusedBatches = 0;
  private abandoned = false;

  constructor(
    readonly id: NodeId,
    readonly subject: string,
    /** Position in the client's list of links. */
    readonly number: number,
    private readonly replySubject: (token: string) => string,
  ) {
    this.replyTo = replySubject(`${number}-0`);
    this.probeReplyTo = replySubject(`${number}-${probeEpoch}`);
  }

  /** Whether a 503 came back for a probe. */
  isProbe(token: string): boolean {
    return token === `${this.number}-${probeEpoch}`;
  }

  isSilent(nowMs: number): boolean {
    return nowMs < this.silentUntilMs;
  }

  isDown(nowMs: number): boolean {
    return nowMs < this.downUntilMs;
  }

  /** Before the operations of a batch are counted as outstanding. */
  beginBatch(): void {
    if (this.outstanding === 0) {
      // A late 503 of an epoch that ended otherwise than by answers must not be taken for one of the next.
      if (this.refusedBatches > 0 || this.abandoned) {
        this.epoch++;
        this.replyTo = this.replySubject(`${this.number}-${this.epoch}`);
      }
      this.batches = 0;
      this.refusedBatches = 0;
      this.abandoned = false;
    }
    this.batches++;
  }

  /** Attempts were given up without an answer. */
  abandon(attempts: number): void {
    this.outstanding -= attempts;
    this.abandoned = true;
  }

  /** A 503 came back. True when by now every batch of the epoch has; undefined when it belongs to an older epoch. */
  onNoResponders(token: string): boolean | undefined {
    if (token !== `${this.number}-${this.epoch}`) return undefined;
    this.refusedBatches++;
    return this.refusedBatches === this.batches;
  }
}
