/**
 * So many bytes a second and no more, for all who take from it together, in the order they ask.
 *
 * Invariants:
 * 1. In any stretch of time no more is given out than the rate allows for it, but for a burst of `burstMs` and the last
 *    portion: whoever is first in line gets its portion as soon as nothing is owed, and the others wait until it is paid.
 * 2. There is one timer at most, and none while nobody waits.
 */
import type { Clock, Timer } from '../base/index.js';

/** What a bucket nobody took from is worth. */
const burstMs = 50;

type Waiter = { readonly bytes: number; readonly proceed: () => void };

export class TokenBucket {
  /** Below zero: owed. */
  private level: number;
  private filledMs: number;
  private readonly waiting: Waiter[] = [];
  private timer: Timer | undefined;
  private isClosed = false;

  constructor(
    private readonly clock: Clock,
    private bytesPerSecond: number,
  ) {
    this.level = this.mostLevel;
    this.filledMs = clock.nowMs();
  }

  /** Resolves once so many bytes may go. */
  take(bytes: number): Promise<void> {
    if (this.isClosed) return Promise.resolve();
    return new Promise((resolve) => {
      this.waiting.push({ bytes, proceed: resolve });
      if (this.timer === undefined) this.serve();
    });
  }

  /** So many bytes go without having waited: whoever comes next waits for them as well. */
  charge(bytes: number): void {
    this.fill();
    this.level -= bytes;
  }

  /** Holds at once, for those who wait as well. */
  setRate(bytesPerSecond: number): void {
    if (bytesPerSecond === this.bytesPerSecond) return;
    this.fill();
    this.bytesPerSecond = bytesPerSecond;
    this.level = Math.min(this.level, this.mostLevel);
    this.serve();
  }

  /** Everybody may go: nothing is limited any more. */
  close(): void {
    this.isClosed = true;
    this.timer?.cancel();
    this.timer = undefined;
    for (const { proceed } of this.waiting.splice(0)) proceed();
  }

  private get mostLevel(): number {
    return (this.bytesPerSecond * burstMs) / 1000;
  }

  private fill(): void {
    const nowMs = this.clock.nowMs();
    const earned = ((nowMs - this.filledMs) / 1000) * this.bytesPerSecond;
    this.level = Math.min(this.level + earned, this.mostLevel);
    this.filledMs = nowMs;
  }

  private serve(): void {
    this.timer?.cancel();
    this.timer = undefined;
    this.fill();
    for (;;) {
      if (this.waiting.length === 0) return;
      if (this.level < 0) break;
      const { bytes, proceed } = this.waiting.shift() as Waiter;
      this.level -= bytes;
      proceed();
    }
    this.timer = this.clock.after(Math.ceil((-this.level / this.bytesPerSecond) * 1000), () => this.serve());
  }
}
