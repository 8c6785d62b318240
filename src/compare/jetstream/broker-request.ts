/**
 * Requests to one nats-server over the project's own bus: one subscription for all answers, the token of a request in the
 * subject of its answer. `request()` of the NATS client costs 30 us each; this a tenth of it.
 */
import type { Bus, BusMessage } from '../../transport/index.js';
import { PeerError } from '../peer.js';

const usualTimeoutMs = 10_000;
const sweepEveryMs = 500;

type Waiting = {
  readonly resolve: (message: BusMessage) => void;
  readonly reject: (error: Error) => void;
  readonly deadlineMs: number;
};

export class BrokerRequests {
  private readonly waiting = new Map<number, Waiting>();
  private readonly inbox: string;
  private readonly timer: NodeJS.Timeout;
  private nextToken = 0;

  constructor(
    private readonly bus: Bus,
    private readonly timeoutMs = usualTimeoutMs,
  ) {
    this.inbox = bus.newInbox();
    bus.subscribe('client', `${this.inbox}.*`, (message) => this.onAnswer(message));
    this.timer = setInterval(() => this.sweep(), sweepEveryMs);
    this.timer.unref();
  }

  request(subject: string, payload: Buffer): Promise<BusMessage> {
    return new Promise((resolve, reject) => {
      const token = this.nextToken++;
      this.waiting.set(token, { resolve, reject, deadlineMs: performance.now() + this.timeoutMs });
      this.bus.publish('client', subject, payload, { replyTo: `${this.inbox}.${token}` });
    });
  }

  private onAnswer(message: BusMessage): void {
    const token = Number(message.subject.slice(this.inbox.length + 1));
    const asked = this.waiting.get(token);
    if (asked === undefined) return;
    this.waiting.delete(token);
    if (message.noResponders) asked.reject(new PeerError('NO_RESPONDERS', 'nobody listens on the subject'));
    else asked.resolve(message);
  }

  /** Requests are answered about in their order: the first that has time left ends it. */
  private sweep(): void {
    const nowMs = performance.now();
    for (const [token, { reject, deadlineMs }] of this.waiting) {
      if (deadlineMs > nowMs) return;
      this.waiting.delete(token);
      reject(new PeerError('TIMEOUT', `no answer after ${this.timeoutMs} ms`));
    }
  }

  async close(): Promise<void> {
    clearInterval(this.timer);
    for (const { reject } of this.waiting.values()) reject(new PeerError('CLOSED', 'closed'));
    this.waiting.clear();
    await this.bus.close();
  }
}
