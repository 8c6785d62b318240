/**
 * One direction between two endpoints as a line of its own: when bytes that enter it leave it. Connections over one link
 * share its rate.
 *
 * Invariant: what a connection sent earlier never leaves later (order is TCP's promise; see `Lane`).
 */
import type { Random } from '../base/index.js';
import { isUnshaped, type LinkShape, unshaped } from './shaping.js';

/** How long TCP waits before it repeats a lost packet; twice as long each further time, up to its limit. */
const firstRetransmissionMs = 200;
const mostRetransmissionMs = 120_000;

const nextShare = (random: Random): number => random.nextU32() / 0x1_0000_0000;

export class ShapedLink {
  private current: LinkShape = unshaped;
  private isPlain = true;
  /** Until when the line is taken by what entered before. */
  private busyUntilMs = 0;

  constructor(private readonly random: Random) {}

  get shape(): LinkShape {
    return this.current;
  }

  /** Bytes pass as they come. */
  get isUnshaped(): boolean {
    return this.isPlain;
  }

  /** What waits at a rate has to ask anew: the rate may be another. */
  setShape(shape: LinkShape): void {
    this.current = shape;
    this.isPlain = isUnshaped(shape);
    this.busyUntilMs = 0;
  }

  /** How many bytes are worth moving at a time, so that a narrow link trickles instead of jerking. */
  get portionBytes(): number {
    return Math.max(256, Math.floor(this.current.bytesPerSecond / 50));
  }

  /** When these bytes are through, were they alone. */
  throughMs(arrivedMs: number, nowMs: number, bytes: number): number {
    const { bytesPerSecond, delayMs, jitterMs } = this.current;
    let sentMs = arrivedMs;
    if (bytesPerSecond !== Number.POSITIVE_INFINITY) {
      sentMs = Math.max(nowMs, this.busyUntilMs) + (bytes / bytesPerSecond) * 1000;
      this.busyUntilMs = sentMs;
    }
    const jitter = jitterMs === 0 ? 0 : (nextShare(this.random) * 2 - 1) * jitterMs;
    return sentMs + Math.max(0, delayMs + jitter) + this.retransmissionMs();
  }

  private retransmissionMs(): number {
    const { lossShare } = this.current;
    if (lossShare === 0) return 0;
    let waitedMs = 0;
    let nextMs = firstRetransmissionMs;
    while (nextShare(this.random) < lossShare && lossShare < 1) {
      waitedMs += nextMs;
      nextMs = Math.min(nextMs * 2, mostRetransmissionMs);
    }
    return waitedMs;
  }
}
