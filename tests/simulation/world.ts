/**
 * The simulated world: one queue of events on one virtual clock, and one source of randomness, both from the seed.
 *
 * Invariants:
 * 1. Events run in the order of their time, then of their scheduling; nothing else makes anything happen.
 * 2. Between two events every promise that can settle has settled, so that a run is the same each time.
 */
import { type Random, randomBetween, seededRandom } from '../../src/base/index.js';

type Event = { readonly atMs: number; readonly order: number; readonly action: () => void; cancelled: boolean };

export type Scheduled = { cancel(): void };

export class World {
  nowMs = 0;
  events = 0;
  private order = 0;
  private readonly heap: Event[] = [];
  readonly random: Random;
  private stopped = false;
  /** Runs after every event, with the process it happened to; what it throws ends the run. */
  afterEvent: (process: string | undefined) => void = () => {};
  /** The process whose code runs. */
  running: string | undefined;
  private failure: unknown;
  private digestState = 0x811c9dc5;

  constructor(readonly seed: number) {
    this.random = seededRandom(Math.imul(seed + 1, 0x9e3779b1));
  }

  /** A whole number of [min, max]. */
  between(min: number, max: number): number {
    return randomBetween(this.random, min, max);
  }

  /** A fraction of [0, 1). */
  fraction(): number {
    return this.random.nextU32() / 0x1_0000_0000;
  }

  chance(probability: number): boolean {
    return probability > 0 && this.fraction() < probability;
  }

  pick<T>(choices: readonly T[]): T {
    const choice = choices[this.between(0, choices.length - 1)];
    if (choice === undefined) throw new Error('nothing to choose from');
    return choice;
  }

  /** A source of its own for one part, so that parts do not shift each other's numbers. */
  fork(): Random {
    return seededRandom(this.random.nextU32());
  }

  /** What happened becomes part of the run's fingerprint. */
  note(value: number): void {
    this.digestState = Math.imul(this.digestState ^ (value >>> 0), 0x01000193) >>> 0;
  }

  get digest(): string {
    return this.digestState.toString(16).padStart(8, '0');
  }

  at(delayMs: number, action: () => void): Scheduled {
    const event: Event = { atMs: this.nowMs + Math.max(0, delayMs), order: this.order++, action, cancelled: false };
    this.push(event);
    return {
      cancel: () => {
        event.cancelled = true;
      },
    };
  }

  /** Ends the run at once with this failure. */
  fail(error: unknown): void {
    this.failure ??= error;
    this.stopped = true;
  }

  /** Runs events until `atMs`, or until `isDone` says so; throws what `fail` was told. */
  async runUntil(atMs: number, isDone: () => boolean = () => false): Promise<void> {
    await settle();
    while (!this.stopped && !isDone()) {
      const event = this.heap[0];
      if (event === undefined || event.atMs > atMs) {
        this.nowMs = Math.max(this.nowMs, atMs);
        break;
      }
      this.pop();
      if (event.cancelled) continue;
      this.nowMs = event.atMs;
      this.events++;
      this.running = undefined;
      try {
        event.action();
        await settle();
        this.afterEvent(this.running);
      } catch (error) {
        this.fail(error);
      }
    }
    if (this.failure !== undefined) throw this.failure;
  }

  private before(a: Event, b: Event): boolean {
    return a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order);
  }

  private push(event: Event): void {
    const { heap } = this;
    let at = heap.push(event) - 1;
    while (at > 0) {
      const parent = (at - 1) >>> 1;
      if (!this.before(event, heap[parent] as Event)) break;
      heap[at] = heap[parent] as Event;
      at = parent;
    }
    heap[at] = event;
  }

  private pop(): void {
    const { heap } = this;
    const last = heap.pop() as Event;
    if (heap.length === 0) return;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && this.before(heap[child + 1] as Event, heap[child] as Event)) child++;
      if (!this.before(heap[child] as Event, last)) break;
      heap[at] = heap[child] as Event;
      at = child;
    }
    heap[at] = last;
  }
}

const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
