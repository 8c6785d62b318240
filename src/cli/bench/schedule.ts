/** When the operations of an open loop are due: operation k at start + k / rate, whatever became of those before it. */
export class Schedule {
  /** How many fall due before the end. */
  readonly total: number;

  constructor(
    private readonly startMs: number,
    endMs: number,
    readonly perSecond: number,
  ) {
    this.total = this.countWhile(endMs, (dueMs) => dueMs < endMs);
  }

  dueMs(operation: number): number {
    return this.startMs + (operation * 1000) / this.perSecond;
  }

  /** How many are due at that time; they are numbered from 0. */
  dueBy(nowMs: number): number {
    return Math.min(
      this.total,
      this.countWhile(nowMs, (dueMs) => dueMs <= nowMs),
    );
  }

  /** How many are due about then, by whoever says which are; what is guessed is off by one at most, by rounding. */
  private countWhile(aboutMs: number, isDue: (dueMs: number) => boolean): number {
    let count = Math.max(0, Math.floor(((aboutMs - this.startMs) * this.perSecond) / 1000));
    while (isDue(this.dueMs(count))) count++;
    while (count > 0 && !isDue(this.dueMs(count - 1))) count--;
    return count;
  }
}
