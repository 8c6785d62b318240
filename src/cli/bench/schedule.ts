/** When the operations of an open loop are due: operation k at start + k / rate, whatever became of those before it. */
export class Schedule {
  /** How many fall due before the end. */
  readonly total: number;

  constructor(
    private readonly startMs: number,
    endMs: number,
    readonly perSecond: number,
  ) {
    this.total = this.countBefore(endMs);
  }

  dueMs(operation: number): number {
    return this.startMs + (operation * 1000) / this.perSecond;
  }

  /** How many are due at that time; they are numbered from 0. */
  dueBy(nowMs: number): number {
    let count = this.guess(nowMs);
    while (this.dueMs(count) <= nowMs) count++;
    while (count > 0 && this.dueMs(count - 1) > nowMs) count--;
    return Math.min(count, this.total);
  }

  private countBefore(endMs: number): number {
    let count = this.guess(endMs);
    while (this.dueMs(count) < endMs) count++;
    while (count > 0 && this.dueMs(count - 1) >= endMs) count--;
    return count;
  }

  /** Off by one at most, by rounding. */
  private guess(nowMs: number): number {
    return Math.max(0, Math.floor(((nowMs - this.startMs) * this.perSecond) / 1000));
  }
}
