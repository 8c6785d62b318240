/**
 * A load on a cluster from beginning to end: begins operations when its pace says so, measures what becomes of them,
 * and waits for the last answers.
 *
 * 1. One timer serves all operations that fall due; none has its own.
 * 2. After the end what is due is still sent and answers are still waited for, but not longer than `answerLimitMs`.
 * 3. After an interrupt nothing more is sent, and answers have half a second: kvctl is ended two seconds after Ctrl-C.
 */
import { type Clock, isRingraftError, type Timer } from '../../base/index.js';
import type { Measurements } from './measurements.js';
import type { Pace } from './pace.js';

const answerLimitInterruptedMs = 500;

export type LoadParts = {
  readonly clock: Clock;
  readonly pace: Pace;
  /** One operation. */
  readonly operate: () => Promise<void>;
  readonly measurements: Measurements;
  readonly endMs: number;
  readonly answerLimitMs: number;
  readonly signal: AbortSignal;
};

export class Load {
  inFlight = 0;
  mostInFlight = 0;
  /** Due, and not sent for all that is in flight. */
  waiting = 0;
  mostWaiting = 0;
  /** Due, and never sent: of a load that is over. */
  neverSent = 0;
  private resting = 0;
  private maySend = true;
  private hasEnded = false;
  private isOver = false;
  private finish: (failure?: unknown) => void = () => {};
  /** Cancelled at the end: a timer that is left keeps the process alive. */
  private wake: Timer | undefined;
  private limit: Timer | undefined;

  constructor(private readonly parts: LoadParts) {}

  /** Resolves when the last answer is there or is not waited for any more; rejects at once on what is no operating error. */
  run(): Promise<void> {
    const { signal } = this.parts;
    const interrupt = (): void => {
      this.neverSent = this.unsent();
      this.maySend = false;
      this.end(answerLimitInterruptedMs);
    };
    return new Promise<void>((resolve, reject) => {
      this.finish = (failure) => {
        if (this.isOver) return;
        this.isOver = true;
        if (failure === undefined) resolve();
        else reject(failure);
      };
      signal.addEventListener('abort', interrupt);
      if (signal.aborted) interrupt();
      else {
        this.endInTime();
        this.tick();
      }
    }).finally(() => {
      for (const timer of [this.wake, this.limit]) timer?.cancel();
      signal.removeEventListener('abort', interrupt);
      this.maySend = false;
    });
  }

  /** A timer may fire part of a millisecond early: the last second would not be whole. */
  private endInTime(): void {
    const { clock, endMs, answerLimitMs } = this.parts;
    const leftMs = endMs - clock.nowMs();
    if (leftMs <= 0) this.end(answerLimitMs);
    else this.limit = clock.after(leftMs, () => this.endInTime());
  }

  private tick(): void {
    this.send();
    if (this.isOver || !this.maySend) return;
    const sleepMs = this.parts.pace.sleepMs(this.parts.clock.nowMs());
    if (sleepMs !== undefined) this.wake = this.parts.clock.after(sleepMs, () => this.tick());
  }

  /** Begins everything that may begin. */
  private send(): void {
    const { clock, pace } = this.parts;
    while (this.maySend && !this.isOver) {
      const nowMs = clock.nowMs();
      const dueMs = pace.next(nowMs, this.inFlight + this.resting);
      if (dueMs === undefined) {
        this.waiting = pace.waiting(nowMs);
        this.mostWaiting = Math.max(this.mostWaiting, this.waiting);
        break;
      }
      this.begin(dueMs, nowMs);
    }
    if (this.hasEnded && this.inFlight === 0 && (!this.maySend || this.waiting === 0)) this.conclude();
  }

  private begin(dueMs: number, sentMs: number): void {
    const { clock, operate, measurements } = this.parts;
    this.inFlight++;
    this.mostInFlight = Math.max(this.mostInFlight, this.inFlight);
    operate().then(
      () => {
        if (!this.isOver) measurements.succeeded({ dueMs, sentMs, finishedMs: clock.nowMs() });
        this.answered();
      },
      (error: unknown) => this.failed(error),
    );
  }

  private failed(error: unknown): void {
    const { clock, measurements, pace } = this.parts;
    if (this.isOver) return;
    if (!isRingraftError(error) || error.code === 'CLOSED') {
      this.finish(error);
      return;
    }
    measurements.didNotSucceed(error, clock.nowMs());
    if (pace.restAfterFailureMs > 0) {
      this.resting++;
      clock.after(pace.restAfterFailureMs, () => {
        this.resting--;
        this.send();
      });
    }
    this.answered();
  }

  private answered(): void {
    this.inFlight--;
    if (!this.isOver) this.send();
  }

  /** No more throughput from here on. */
  private end(answerLimitMs: number): void {
    const { clock, measurements } = this.parts;
    measurements.close(clock.nowMs());
    this.hasEnded = true;
    this.limit?.cancel();
    this.limit = clock.after(answerLimitMs, () => this.conclude());
    this.send();
  }

  private unsent(): number {
    return this.parts.pace.waiting(this.parts.clock.nowMs());
  }

  private conclude(): void {
    if (this.isOver) return;
    if (this.maySend) this.neverSent = this.unsent();
    this.parts.measurements.unanswered(this.inFlight, this.parts.clock.nowMs());
    this.finish();
  }
}
