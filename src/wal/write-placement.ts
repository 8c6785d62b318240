/**
 * Where a write of the log happens: on the thread of the event loop, or in Node's pool of threads.
 *
 * To hand a write to the pool and to hear of its end are two switches between threads, and on a machine that is busy each waits
 * for a core: a sync that takes 0.06 ms becomes one of 2 ms. A fast disk is done long before that. A slow one must not hold up
 * the event loop, so what decides is how long the writes made here took: the shortest of some, since that is what the disk takes
 * when nothing else is in the way.
 *
 * Invariant: a disk that is not fast holds up the event loop for a few writes in a while that doubles up to a minute.
 */
/** A disk is fast when its shortest write of some takes no longer. */
const fastMs = 0.25;
/** One write that takes so long is enough to leave it to the pool. */
const stallMs = 50;
/** More takes its time on any disk. */
const mostBytesHere = 64 * 1024;
const writesTried = 4;
const writesWatched = 32;
const firstPauseMs = 1000;
const longestPauseMs = 60_000;

export class WritePlacement {
  private pausedUntilMs = Number.NEGATIVE_INFINITY;
  private pauseMs = firstPauseMs;
  private shortestMs = Number.POSITIVE_INFINITY;
  private writesLeft = writesTried;

  /** Whether a write of so many bytes that begins now is made on this thread. */
  isHere(bytes: number, nowMs: number): boolean {
    return bytes <= mostBytesHere && nowMs >= this.pausedUntilMs;
  }

  /** A write on this thread has ended. */
  note(beganMs: number, endedMs: number): void {
    const tookMs = endedMs - beganMs;
    this.shortestMs = Math.min(this.shortestMs, tookMs);
    this.writesLeft--;
    if (tookMs >= stallMs) this.pause(endedMs);
    else if (this.writesLeft === 0) this.judge(endedMs);
  }

  private judge(nowMs: number): void {
    if (this.shortestMs > fastMs) {
      this.pause(nowMs);
      return;
    }
    this.pauseMs = firstPauseMs;
    this.watch(writesWatched);
  }

  private pause(nowMs: number): void {
    this.pausedUntilMs = nowMs + this.pauseMs;
    this.pauseMs = Math.min(2 * this.pauseMs, longestPauseMs);
    this.watch(writesTried);
  }

  private watch(writes: number): void {
    this.shortestMs = Number.POSITIVE_INFINITY;
    this.writesLeft = writes;
  }
}
