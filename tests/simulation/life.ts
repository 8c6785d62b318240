/**
 * One life of a simulated process: everything that reaches its code goes through here, so that a crash ends it between
 * two events, and a pause holds back what comes meanwhile.
 */
import type { Clock, Timer } from '../../src/base/index.js';
import type { World } from './world.js';

const wallStartMs = 1_700_000_000_000;
const leastDelayMs = 0.000_01;

/** A node's clocks; they outlive the process. */
export type ClockFault = {
  /** Monotonic milliseconds for one of the world. */
  rate: number;
  /** What the wall clock is off by. */
  wallOffsetMs: number;
};

export class Life {
  private dead = false;
  private paused = false;
  private held: (() => void)[] = [];
  private readonly startedAtMs: number;
  private monotonicMs: number;
  private lastWorldMs: number;
  readonly clock: Clock;

  constructor(
    readonly name: string,
    private readonly world: World,
    private readonly fault: ClockFault,
  ) {
    this.startedAtMs = world.nowMs;
    this.lastWorldMs = world.nowMs;
    // A monotonic clock says nothing across restarts.
    this.monotonicMs = 1000 + world.between(0, 1_000_000);
    this.clock = {
      nowMs: () => this.now(),
      wallMs: () => wallStartMs + Math.floor(world.nowMs + fault.wallOffsetMs),
      after: (delayMs, action) => this.after(delayMs, action),
      defer: (action) => void this.schedule(0.01, action),
    };
  }

  get isDead(): boolean {
    return this.dead;
  }

  get isPaused(): boolean {
    return this.paused;
  }

  get ageMs(): number {
    return this.world.nowMs - this.startedAtMs;
  }

  private now(): number {
    this.monotonicMs += (this.world.nowMs - this.lastWorldMs) * this.fault.rate;
    this.lastWorldMs = this.world.nowMs;
    return this.monotonicMs;
  }

  /** The rate changes: what has passed so far passed at the old one. */
  settleClock(): void {
    this.now();
  }

  private after(delayMs: number, action: () => void): Timer {
    let cancelled = false;
    // A delay that rounding makes nothing of would come before what it waits for, for ever.
    const worldMs = delayMs > 0 ? Math.max(leastDelayMs, delayMs / this.fault.rate) : 0;
    const event = this.schedule(worldMs, () => {
      if (!cancelled) action();
    });
    return {
      cancel: () => {
        cancelled = true;
        event.cancel();
      },
    };
  }

  /** Something outside of the process will happen to it, unless it is dead by then. */
  schedule(delayMs: number, action: () => void): { cancel(): void } {
    return this.world.at(delayMs, () => this.run(action));
  }

  /** Runs code of the process: never after its death, and later while it is paused. */
  run(action: () => void): void {
    if (this.dead) return;
    if (this.paused) {
      this.held.push(action);
      return;
    }
    this.world.running = this.name;
    action();
  }

  pause(): void {
    this.paused = true;
  }

  resume(): void {
    if (!this.paused) return;
    this.paused = false;
    const { held } = this;
    this.held = [];
    // One after another, as events of their own: promises settle in between as they would.
    for (const action of held) this.schedule(0, action);
  }

  end(): void {
    this.dead = true;
    this.held = [];
  }
}
