/**
 * Whether this node may judge others at the moment.
 *
 * It may not while its own bus is disconnected or gives nothing back (the client notices a dead connection only after
 * seconds), not while its own timers come late, and not for a while after, until it has heard what it missed.
 */
export class OwnLink {
  /** When anything came in last, were it an echo. */
  lastInputMs = Number.NEGATIVE_INFINITY;
  private awaySinceMs: number | undefined;
  private trustedFromMs = Number.NEGATIVE_INFINITY;

  constructor(private readonly settleMs: number) {}

  get isAway(): boolean {
    return this.awaySinceMs !== undefined;
  }

  mayJudge(nowMs: number): boolean {
    return this.awaySinceMs === undefined && nowMs >= this.trustedFromMs;
  }

  /** False: it was lost already. */
  lost(nowMs: number): boolean {
    if (this.awaySinceMs !== undefined) return false;
    this.awaySinceMs = nowMs;
    return true;
  }

  /** Something came in. Returns for how long nothing could. */
  heard(nowMs: number): number {
    this.lastInputMs = nowMs;
    if (this.awaySinceMs === undefined) return 0;
    const awayMs = nowMs - this.awaySinceMs;
    this.awaySinceMs = undefined;
    this.settle(nowMs);
    return awayMs;
  }

  settle(nowMs: number): void {
    this.trustedFromMs = nowMs + this.settleMs;
  }
}
