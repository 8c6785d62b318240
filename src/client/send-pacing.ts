/**
 * When operations leave. What is sent in one go travels in one message a node, and costs every process on its way little more than a
 * single operation would. So while many operations are in flight, those called lately wait for others: until they are most
 * of all there are, and no longer than the last sending is ago one and a half times what an answer takes. With few in flight
 * each turn's leave at its end.
 */
import type { Clock, Timer } from '../base/index.js';

const manyInFlight = 8;
/** So much of what is in flight waits to be sent: there is little left to wait for. */
const enoughPart = 2 / 3;
/** So much of the time from a sending to its answers may go by until the next one, within these bounds. */
const gatherPart = 3 / 2;
const leastGatherMs = 1;
const mostGatherMs = 10;
/** How much of the estimate the next answer replaces. */
const answerWeight = 1 / 64;

/** Operations in flight, those that wait to be sent among them. */
export type SendLoad = { readonly toSend: number; readonly inFlight: number };

export class SendPacing {
  private lastSentMs = Number.NEGATIVE_INFINITY;
  /** What an answer takes, smoothed. */
  private answerMs = 0;
  private isTurnWaiting = false;
  private timer: Timer | undefined;

  constructor(
    private readonly clock: Clock,
    private readonly load: () => SendLoad,
    private readonly send: () => void,
  ) {}

  /** There is something to send: `send` will be called, once for all such calls until then. */
  request(): void {
    if (this.isTurnWaiting) return;
    this.isTurnWaiting = true;
    this.clock.defer(this.onEndOfTurn);
  }

  /** An operation was answered so long after it was sent. */
  noteAnswer(tookMs: number): void {
    this.answerMs += (tookMs - this.answerMs) * answerWeight;
  }

  stop(): void {
    this.timer?.cancel();
    this.timer = undefined;
  }

  private readonly onEndOfTurn = (): void => {
    this.isTurnWaiting = false;
    const { toSend, inFlight } = this.load();
    if (toSend === 0) return;
    const agoMs = this.clock.nowMs() - this.lastSentMs;
    const gatherMs = Math.min(Math.max(this.answerMs * gatherPart, leastGatherMs), mostGatherMs);
    if (inFlight < manyInFlight || toSend >= inFlight * enoughPart || agoMs >= gatherMs) this.sendNow();
    else this.timer ??= this.clock.after(gatherMs - agoMs, this.sendNow);
  };

  private readonly sendNow = (): void => {
    this.stop();
    this.lastSentMs = this.clock.nowMs();
    this.send();
  };
}
