/** Time that moves only when a test says so. Between two events all promises that can settle do. */
import type { Clock, Timer } from '../../src/base/index.js';

type Scheduled = { readonly atMs: number; readonly order: number; readonly action: () => void; cancelled: boolean };

/** The wall clock when a virtual one begins. */
export const wallStartMs = 1_700_000_000_000;

export class VirtualClock implements Clock {
  private time = 0;
  private order = 0;
  private timers: Scheduled[] = [];
  private deferred: (() => void)[] = [];

  nowMs(): number {
    return this.time;
  }

  wallMs(): number {
    return wallStartMs + Math.floor(this.time);
  }

  after(delayMs: number, action: () => void): Timer {
    const timer: Scheduled = { atMs: this.time + delayMs, order: this.order++, action, cancelled: false };
    this.timers.push(timer);
    return {
      cancel: () => {
        timer.cancelled = true;
      },
    };
  }

  defer(action: () => void): void {
    this.deferred.push(action);
  }

  /** Timers that have not fired. */
  get armed(): number {
    return this.timers.filter((timer) => !timer.cancelled).length;
  }

  /** Runs everything that falls due within the next `durationMs`. */
  async advance(durationMs: number): Promise<void> {
    const endMs = this.time + durationMs;
    while (await this.step(endMs));
    this.time = endMs;
  }

  /** Runs until the promise settles; throws when it has not after `maxMs` of virtual time. */
  async until<T>(promise: Promise<T>, maxMs = 60_000): Promise<T> {
    let settled = false;
    const mark = (): void => {
      settled = true;
    };
    promise.then(mark, mark);
    const endMs = this.time + maxMs;
    await letPromisesSettle();
    while (!settled && (await this.step(endMs))) await letPromisesSettle();
    if (!settled) throw new Error(`still pending after ${maxMs} virtual ms`);
    return promise;
  }

  /** Runs what was deferred by now, and not what that defers. */
  async turn(): Promise<void> {
    if (this.deferred.length > 0) await this.step(this.time);
  }

  /** One event; false when none is due by `endMs`. */
  private async step(endMs: number): Promise<boolean> {
    await letPromisesSettle();
    if (this.deferred.length > 0) {
      const due = this.deferred;
      this.deferred = [];
      for (const action of due) action();
      return true;
    }
    this.timers = this.timers.filter((timer) => !timer.cancelled);
    let next: Scheduled | undefined;
    for (const timer of this.timers) {
      if (next === undefined || timer.atMs < next.atMs || (timer.atMs === next.atMs && timer.order < next.order)) {
        next = timer;
      }
    }
    if (next === undefined || next.atMs > endMs) return false;
    this.timers.splice(this.timers.indexOf(next), 1);
    this.time = Math.max(this.time, next.atMs);
    next.action();
    return true;
  }
}

const letPromisesSettle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
