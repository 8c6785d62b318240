/**
 * When the next operation may begin: after an answer (closed loop), or when it is due (open loop).
 *
 * A closed loop asks less of a cluster that stalls, and its percentiles hide the stall: the operations that others would
 * have sent meanwhile never happen ("coordinated omission"). An open loop sends what is due, and each operation counts
 * from when it was due: a stall is charged to all that were due during it.
 */
import type { Schedule } from './schedule.js';

/** The event loop is not asked to wake more often: what falls due in between is sent together. */
const tickMs = 1;
/** Errors that come at once must not become a busy loop. */
const restAfterFailureMs = 5;

export type Pace = {
  /** When the operation is or was due that may begin now, `busy` others being under way; undefined: none may. */
  next(nowMs: number, busy: number): number | undefined;
  /** How many are due and could not begin. */
  waiting(nowMs: number): number;
  /** How long until it has to be asked again although nothing was answered; undefined: not again. */
  sleepMs(nowMs: number): number | undefined;
  /** How long the place of an operation that failed stays empty. */
  readonly restAfterFailureMs: number;
};

/** So many under way until the end, each answer followed by the next operation. */
export class ClosedPace implements Pace {
  readonly restAfterFailureMs = restAfterFailureMs;

  constructor(
    private readonly concurrency: number,
    private readonly endMs: number,
  ) {}

  next(nowMs: number, busy: number): number | undefined {
    return busy < this.concurrency && nowMs < this.endMs ? nowMs : undefined;
  }

  waiting(): number {
    return 0;
  }

  sleepMs(): undefined {
    return undefined;
  }
}

/** What the schedule says, in its order, at most so many under way. */
export class OpenPace implements Pace {
  readonly restAfterFailureMs = 0;
  private begun = 0;

  constructor(
    private readonly schedule: Schedule,
    private readonly maxInFlight: number,
  ) {}

  next(nowMs: number, busy: number): number | undefined {
    if (busy >= this.maxInFlight || this.waiting(nowMs) === 0) return undefined;
    return this.schedule.dueMs(this.begun++);
  }

  waiting(nowMs: number): number {
    return this.schedule.dueBy(nowMs) - this.begun;
  }

  sleepMs(nowMs: number): number | undefined {
    const nextDue = this.schedule.dueBy(nowMs);
    return nextDue < this.schedule.total ? Math.max(tickMs, this.schedule.dueMs(nextDue) - nowMs) : undefined;
  }
}
