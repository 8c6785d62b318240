/**
 * Long work beside the operations of users: it does a little at a time and rests in between, so that whoever waits for an
 * answer waits for one slice of it at most, and so that the processor has time for others.
 */
import { type Clock, pause } from './clock.js';

/** A slice that took less goes on at once. */
const leastSliceMs = 1;
/** Rests so many times as long as it worked: a quarter of the time is its own. */
const restTimes = 3;
/** A slice that waited for the disk is no reason to rest for long. */
const mostRestMs = 20;

/** Of one piece of work, which begins here. Call `rest` after each slice of it. */
export class BackgroundWork {
  private resumedMs: number;

  constructor(private readonly clock: Clock) {
    this.resumedMs = clock.nowMs();
  }

  async rest(): Promise<void> {
    const workedMs = this.clock.nowMs() - this.resumedMs;
    if (workedMs < leastSliceMs) return;
    const restMs = Math.min(restTimes * workedMs, mostRestMs);
    await pause(this.clock, restMs);
    this.resumedMs = this.clock.nowMs();
  }
}
