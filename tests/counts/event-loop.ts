/**
 * Virtual time for counting: every latency is fixed, so a workload is the same run each time, and the loop itself takes
 * little memory, so that what is allocated is the product's.
 *
 * Invariants: 1. Events run in the order of their time, then of their scheduling. 2. Between two events every promise
 * that can settle has settled (each event is a turn of Node's own loop).
 */
import type { Clock } from '../../src/base/index.js';

type Event = { readonly atMs: number; action: () => void };

/** What one process asked of its clock. */
export type ClockCounts = { timers: number; turns: number };

const wallStartMs = 1_700_000_000_000;
const compactAt = 4096;
const nothing = (): void => {};

export class EventLoop {
  nowMs = 0;
  /** Ascending by time from `head` on; most events belong at the end. */
  private events: Event[] = [];
  private head = 0;

  at(delayMs: number, action: () => void): Event {
    const event = { atMs: this.nowMs + Math.max(0, delayMs), action };
    const { events } = this;
    let at = events.length;
    events.push(event);
    for (; at > this.head && (events[at - 1] as Event).atMs > event.atMs; at--) events[at] = events[at - 1] as Event;
    events[at] = event;
    return event;
  }

  clock(counts: ClockCounts): Clock {
    return {
      nowMs: () => this.nowMs,
      wallMs: () => wallStartMs + Math.floor(this.nowMs),
      after: (delayMs, action) => {
        counts.timers++;
        const event = this.at(delayMs, action);
        return {
          cancel: () => {
            event.action = nothing;
          },
        };
      },
      defer: (action) => {
        counts.turns++;
        this.at(0, action);
      },
    };
  }

  /** Runs until `isDone`; rejects with what an event throws, or when there is nothing left that could happen. */
  run(isDone: () => boolean): Promise<void> {
    return new Promise((resolve, reject) => {
      const step = (): void => {
        if (isDone()) {
          resolve();
          return;
        }
        try {
          this.next();
        } catch (error) {
          reject(error);
          return;
        }
        setImmediate(step);
      };
      setImmediate(step);
    });
  }

  runFor(durationMs: number): Promise<void> {
    let isOver = false;
    this.at(durationMs, () => {
      isOver = true;
    });
    return this.run(() => isOver);
  }

  private next(): void {
    const event = this.events[this.head];
    // A promise of Node's own may have to settle first.
    if (event === undefined) return;
    this.head++;
    if (this.head >= compactAt) {
      this.events = this.events.slice(this.head);
      this.head = 0;
    }
    this.nowMs = event.atMs;
    event.action();
  }
}
