/**
 * A bus inside one test: every message takes `latencyMs` of the test's clock, and a filter may lose any of them.
 * Nobody listening on a subject answers with "no responders", as NATS does.
 */
import { type Clock, emptyBytes, RingraftError } from '../../src/base/index.js';
import type { Bus, BusMessage, BusSubscription, Lane, PublishOptions } from '../../src/transport/index.js';
import { matches } from './subjects.js';

type Listener = {
  readonly pattern: readonly string[];
  readonly handler: (message: BusMessage) => void;
  readonly queue: string | undefined;
};

/** What is published, before it is delivered. */
export type Published = { readonly subject: string; readonly payload: Buffer; readonly options: PublishOptions };

export class LocalBus implements Bus {
  readonly maxPayloadBytes: number;
  private readonly listeners = new Set<Listener>();
  private readonly onChange: ((lane: Lane, connected: boolean) => void)[] = [];
  private readonly onRefusal: ((lane: Lane, error: RingraftError) => void)[] = [];
  private inboxes = 0;
  private connected = true;
  closed = false;
  /** False: the message is lost. */
  filter: (message: Published) => boolean = () => true;
  /** Milliseconds that a message takes. */
  delayMs: (message: Published) => number;
  readonly published: Published[] = [];

  constructor(
    private readonly clock: Clock,
    options: { readonly maxPayloadBytes?: number; readonly latencyMs?: number } = {},
  ) {
    this.maxPayloadBytes = options.maxPayloadBytes ?? 1024 * 1024;
    const { latencyMs = 1 } = options;
    this.delayMs = () => latencyMs;
  }

  subscribe(
    _lane: Lane,
    subject: string,
    handler: (message: BusMessage) => void,
    options: { readonly queue?: string } = {},
  ): BusSubscription {
    const listener = { pattern: subject.split('.'), handler, queue: options.queue };
    this.listeners.add(listener);
    return { unsubscribe: () => void this.listeners.delete(listener) };
  }

  publish(_lane: Lane, subject: string, payload: Buffer, options: PublishOptions = {}): void {
    if (payload.length > this.maxPayloadBytes) throw new RingraftError('TOO_LARGE', 'too large for the bus');
    if (!this.connected) return;
    const message = { subject, payload, options };
    this.published.push(message);
    if (this.filter(message)) this.clock.after(this.delayMs(message), () => this.deliver(message));
  }

  private deliver(message: Published): void {
    const { subject, payload, options } = message;
    const tokens = subject.split('.');
    const found = [...this.listeners].filter(({ pattern }) => matches(pattern, tokens));
    const { replyTo, headers } = options;
    if (found.length === 0) {
      if (replyTo !== undefined) this.clock.after(this.delayMs(message), () => this.refuse(replyTo));
      return;
    }
    const queues = new Set<string>();
    for (const { handler, queue } of found) {
      if (queue !== undefined && queues.has(queue)) continue;
      if (queue !== undefined) queues.add(queue);
      handler({ subject, payload, replyTo, headers, noResponders: false });
    }
  }

  private refuse(subject: string): void {
    const tokens = subject.split('.');
    for (const { pattern, handler } of [...this.listeners]) {
      if (!matches(pattern, tokens)) continue;
      handler({ subject, payload: emptyBytes, replyTo: undefined, headers: undefined, noResponders: true });
    }
  }

  setConnected(connected: boolean): void {
    this.connected = connected;
    for (const listener of this.onChange) listener('client', connected);
  }

  isConnected(): boolean {
    return this.connected;
  }

  onConnectionChange(listener: (lane: Lane, connected: boolean) => void): void {
    this.onChange.push(listener);
  }

  onError(listener: (lane: Lane, error: RingraftError) => void): void {
    this.onRefusal.push(listener);
  }

  /** What NATS says when permissions do not let a message or a subscription through; the test sees to the rest. */
  refuseUser(subject: string): void {
    const error = new RingraftError('DENIED', `not permitted: ${subject}`, { fields: { subject } });
    for (const listener of this.onRefusal) listener('client', error);
  }

  pendingBytes(): number {
    return 0;
  }

  newInbox(): string {
    return `_INBOX.test${this.inboxes++}`;
  }

  async flush(): Promise<void> {}

  async close(): Promise<void> {
    this.closed = true;
  }

  /** Requests and answers as any client would make them. */
  request(subject: string, payload: Buffer, headers?: Readonly<Record<string, string>>): Promise<BusMessage> {
    return new Promise((resolve) => {
      const replyTo = this.newInbox();
      const subscription = this.subscribe('client', replyTo, (message) => {
        subscription.unsubscribe();
        resolve(message);
      });
      this.publish('client', subject, payload, headers === undefined ? { replyTo } : { replyTo, headers });
    });
  }
}
