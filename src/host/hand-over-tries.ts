/**
 * When a leader may ask the preferred replica again to take over. While one is asked its shard takes no writes, for as long
 * as an election timeout where it does not take over: one whose disk is full answers heartbeats, and never catches up. So each try
 * in vain is followed by a pause, twice as long as the one before.
 */
const firstPauseMs = 5000;
const longestPauseMs = 60_000;

export class HandOverTries {
  private term = 0;
  private dueMs = 0;
  private pauseMs = 0;

  /** Who leads the same term as at the last try was not relieved. */
  mayTry(term: number, nowMs: number): boolean {
    return term !== this.term || nowMs >= this.dueMs;
  }

  note(term: number, nowMs: number): void {
    this.pauseMs = term === this.term ? Math.min(2 * this.pauseMs, longestPauseMs) : firstPauseMs;
    this.term = term;
    this.dueMs = nowMs + this.pauseMs;
  }
}
