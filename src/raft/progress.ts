/**
 * What a leader knows of one follower.
 *
 * Invariants: matchIndex < nextIndex. In `probe` at most one append is unanswered; in `replicate` at most
 * `maxInflight`; in `snapshot` none is sent.
 */
export type ProgressState = 'probe' | 'replicate' | 'snapshot';

export class Progress {
  state: ProgressState = 'probe';
  matchIndex = 0;
  /** Last indexes of the appends in flight, ascending (replicate). */
  private inflight: number[] = [];
  /** An append is unanswered (probe). */
  probeSent = false;
  /** In `snapshot`: the index of the one asked for. */
  private snapshotIndex = 0;
  /** The newest heartbeat round answered. */
  roundAcked = 0;
  /** It answered since the last check of the quorum. */
  recentlyActive = false;
  /** It had answered when the quorum was last checked. */
  private wasActive = false;
  /** When it was last sent an append or a heartbeat, by which it hears that there is a leader. */
  sentMs = Number.NEGATIVE_INFINITY;
  /** It took entries, and said so, since the last heartbeat was due. */
  hasAccepted = false;
  /** It is asked how old its data are. */
  asksAge = false;
  /** An append may have been lost: send one, even if empty. */
  isSuspect = false;

  constructor(
    public nextIndex: number,
    private readonly maxInflight: number,
  ) {}

  /** It answered lately: since the last check of the quorum or in the time before that. */
  get isActive(): boolean {
    return this.recentlyActive || this.wasActive;
  }

  /** The quorum is checked: a new time begins. Whether it answered in the one that ends. */
  takeActivity(): boolean {
    this.wasActive = this.recentlyActive;
    this.recentlyActive = false;
    return this.wasActive;
  }

  get isPaused(): boolean {
    if (this.state === 'probe') return this.probeSent;
    return this.state === 'snapshot' || this.inflight.length >= this.maxInflight;
  }

  becomeProbe(): void {
    this.state = 'probe';
    this.probeSent = false;
    this.inflight = [];
    this.nextIndex = this.matchIndex + 1;
  }

  becomeReplicate(): void {
    this.state = 'replicate';
    this.probeSent = false;
    this.inflight = [];
    this.nextIndex = this.matchIndex + 1;
  }

  becomeSnapshot(index: number): void {
    this.state = 'snapshot';
    this.probeSent = false;
    this.inflight = [];
    this.snapshotIndex = index;
  }

  /**
   * The snapshot's bytes arrived, or did not. When they did the follower's own answer says where it stands; should
   * that be lost, probing begins after the snapshot and not before it, where only another snapshot would help.
   */
  snapshotEnded(ok: boolean): void {
    this.becomeProbe();
    if (!ok) return;
    this.nextIndex = Math.max(this.nextIndex, this.snapshotIndex + 1);
    this.probeSent = true;
  }

  /** An append up to `lastIndex` was sent. */
  sent(lastIndex: number): void {
    if (this.state === 'probe') {
      this.probeSent = true;
      return;
    }
    this.inflight.push(lastIndex);
    this.nextIndex = lastIndex + 1;
  }

  /** The follower's log matches up to `index`; whether that is news. */
  accepted(index: number): boolean {
    let freed = 0;
    while (freed < this.inflight.length && (this.inflight[freed] as number) <= index) freed++;
    if (freed > 0) this.inflight.splice(0, freed);
    this.nextIndex = Math.max(this.nextIndex, index + 1);
    if (index <= this.matchIndex) return false;
    this.matchIndex = index;
    this.hasAccepted = true;
    this.probeSent = false;
    return true;
  }

  /**
   * The follower refused an append after `rejected`; `hint` is the last index that may still match. Whether it is about
   * the append we wait for: an answer to an older one says nothing (Raft §5.3).
   */
  refused(rejected: number, hint: number): boolean {
    if (this.state === 'replicate') {
      if (rejected <= this.matchIndex) return false;
      this.becomeProbe();
      return true;
    }
    if (rejected !== this.nextIndex - 1) return false;
    this.nextIndex = Math.max(Math.min(rejected, hint + 1), this.matchIndex + 1);
    this.probeSent = false;
    return true;
  }

  /** One place in a full window, so that a lost append does not block for ever. */
  freeFirst(): void {
    if (this.inflight.length >= this.maxInflight) this.inflight.shift();
  }
}
