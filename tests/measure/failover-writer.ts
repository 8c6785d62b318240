/**
 * One shard's writer in a failover measurement. It begins a write every few milliseconds whether or not earlier ones
 * were answered: a client that waits for its last answer would begin none while the shard has no leader.
 *
 * Invariant: every write has a key of its own, so a lost one is not masked by the next.
 */
import { isRingraftError, messageOf } from '../../src/base/index.js';
import type { RingraftClient } from '../../src/client/index.js';
import type { Violations } from '../crash/violations.js';
import { readBack } from './keys.js';
import { bucket } from './program.js';

export type FirstWrite = { readonly begunMs: number; readonly answeredMs: number };

const states = { unknown: 0, acknowledged: 1, refused: 2 } as const;

export type WriteTotals = {
  acknowledged: number;
  unknown: number;
  failed: number;
  readonly codes: Record<string, number>;
};

export class FailoverWriter {
  /** The first write begun after `armedMs` to be acknowledged. */
  first: FirstWrite | undefined;
  /** The longest an acknowledged write took since `start`, those under way at the kill included. */
  slowestMs = 0;
  private armedMs = Number.POSITIVE_INFINITY;
  private readonly outcomes: number[] = [];
  private readonly inFlight = new Set<Promise<void>>();
  private timer: NodeJS.Timeout | undefined;

  constructor(
    private readonly client: RingraftClient,
    private readonly tag: string,
    private readonly totals: WriteTotals,
    private readonly violations: Violations,
  ) {}

  get written(): number {
    return this.outcomes.length;
  }

  start(intervalMs: number, timeoutMs: number): void {
    this.first = undefined;
    this.slowestMs = 0;
    this.armedMs = Number.POSITIVE_INFINITY;
    this.timer = setInterval(() => {
      const write = this.write(timeoutMs).finally(() => this.inFlight.delete(write));
      this.inFlight.add(write);
    }, intervalMs);
  }

  /** From this moment on, by `performance.now()`, writes count. */
  arm(nowMs: number): void {
    this.armedMs = nowMs;
  }

  async stop(): Promise<void> {
    clearInterval(this.timer);
    await Promise.all(this.inFlight);
  }

  private async write(timeoutMs: number): Promise<void> {
    const number = this.outcomes.length;
    this.outcomes.push(states.unknown);
    const begunMs = performance.now();
    try {
      await this.client.put(bucket, this.keyOf(number), this.valueOf(number), { timeoutMs });
      this.outcomes[number] = states.acknowledged;
      this.totals.acknowledged++;
      const answeredMs = performance.now();
      this.slowestMs = Math.max(this.slowestMs, answeredMs - begunMs);
      if (begunMs >= this.armedMs) this.first ??= { begunMs, answeredMs };
    } catch (error) {
      if (!isRingraftError(error)) {
        this.violations.add(`a client threw what is no operating error: ${messageOf(error)}`);
        return;
      }
      this.totals.codes[error.code] = (this.totals.codes[error.code] ?? 0) + 1;
      if (error.happened === 'no') this.outcomes[number] = states.refused;
      this.totals[error.happened === 'no' ? 'failed' : 'unknown']++;
    }
  }

  private keyOf(number: number): string {
    return `${this.tag}${number}`;
  }

  private valueOf(number: number): string {
    return `value ${number} of ${this.tag}`;
  }

  /** What was acknowledged is there, what was refused is not, and nothing else was made of either. */
  async verify(): Promise<void> {
    await readBack(
      this.client,
      this.outcomes.length,
      (number) => this.keyOf(number),
      (number, value) => {
        const outcome = this.outcomes[number];
        if (value === undefined) {
          if (outcome === states.acknowledged)
            this.violations.add(`${this.keyOf(number)}: an acknowledged write is lost`);
        } else if (outcome === states.refused) {
          this.violations.add(`${this.keyOf(number)}: a refused write took effect`);
        } else if (value.toString() !== this.valueOf(number)) {
          this.violations.add(`${this.keyOf(number)}: holds ${value.toString().slice(0, 80)}`);
        }
      },
    );
  }
}
