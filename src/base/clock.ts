/**
 * Time as a port, so that a simulation can own it. The real one is `systemClock`.
 */
export type Timer = { cancel(): void };

export type Clock = {
  /** Monotonic milliseconds since some fixed point; may carry a fraction. For durations and leases. */
  nowMs(): number;
  /** Wall clock, milliseconds since 1970, whole. Only for time stamps that stand in log entries and for people. */
  wallMs(): number;
  /** Calls `action` once after at least `delayMs`. */
  after(delayMs: number, action: () => void): Timer;
  /** Calls `action` once this turn's input has been taken, before the next turn's: where a turn's work is batched. */
  defer(action: () => void): void;
};

export const systemClock: Clock = {
  nowMs: () => performance.now(),
  wallMs: () => Date.now(),
  after(delayMs, action) {
    const handle = setTimeout(action, delayMs);
    return { cancel: () => clearTimeout(handle) };
  },
  defer(action) {
    setImmediate(action);
  },
};

/** Resolves after at least `delayMs`. */
export const pause = (clock: Clock, delayMs: number): Promise<void> =>
  new Promise((resolve) => clock.after(delayMs, resolve));
