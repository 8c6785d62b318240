/**
 * When operations leave. What is sent in one go travels in one message a node, and costs every process on its way little more than a
 * single operation would. So while many operations are in flight, those called lately wait for others: until they are a good
 * part of all there are, and no longer than the last sending is ago `gatherMs`. With few in flight each turn's leave at its end.
 */
import type { Clock, Timer } from '../base/index.js';

const gatherMs = 1;
const manyInFlight = 32;
/** So many times as many are in flight as wait to be sent: there is little left to wait for. */
const enoughPart = 4;

/** Operations in flight, those that wait to be sent among them. */
export type SendLoad = { readonly toSend: number; readonly inFlight: number };

export class SendPacing {
  private lastSentMs = Number.NEGATIVE_INFINITY;
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

  stop(): void {
    this.timer?.cancel();
    this.timer = undefined;
  }

  private readonly onEndOfTurn = (): void => {
    this.isTurnWaiting = false;
    const { toSend, inFlight } = this.load();
    if (toSend === 0) return;
    const agoMs = this.clock.nowMs() - this.lastSentMs;
    if (inFlight < manyInFlight || toSend * enoughPart >= inFlight || agoMs >= gatherMs) this.sendNow();
    else this.timer ??= this.clock.after(gatherMs - agoMs, this.sendNow);
  };

  private readonly sendNow = (): void => {
    this.stop();
    this.lastSentMs = this.clock.nowMs();
    this.send();
  };
}
