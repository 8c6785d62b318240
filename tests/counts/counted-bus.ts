/** A bus of fixed latency that counts what passes, by who speaks to whom. Nothing is copied on the way. */
import { emptyBytes } from '../../src/base/index.js';
import type { Bus, BusMessage, BusSubscription, Lane, PublishOptions } from '../../src/transport/index.js';
import type { EventLoop } from './event-loop.js';

export type Kind = 'client' | 'node';
export const legs = ['client to node', 'node to node', 'node to client'] as const;
export type Leg = (typeof legs)[number];
export type LegCounts = { messages: number; bytes: number };

type Listener = { readonly kind: Kind; readonly handler: (message: BusMessage) => void };

export const hopMs = 0.1;

export class CountedNetwork {
  readonly counts: Record<Leg, LegCounts> = {
    'client to node': { messages: 0, bytes: 0 },
    'node to node': { messages: 0, bytes: 0 },
    'node to client': { messages: 0, bytes: 0 },
  };
  /** By subject, or by its root where that ends in `.*`. */
  private readonly listeners = new Map<string, Listener[]>();
  /** What a subject leads to, until a subscription changes. */
  private readonly routes = new Map<string, Listener | undefined>();
  private inboxes = 0;

  constructor(private readonly loop: EventLoop) {}

  connect(kind: Kind): Bus {
    return {
      maxPayloadBytes: 1024 * 1024,
      subscribe: (_lane, subject, handler) => this.subscribe(subject, { kind, handler }),
      publish: (_lane: Lane, subject: string, payload: Buffer, options: PublishOptions = {}) =>
        this.publish(kind, subject, payload, options),
      isConnected: () => true,
      onConnectionChange: () => {},
      onError: () => {},
      newInbox: () => `_INBOX.${this.inboxes++}`,
      flush: () => Promise.resolve(),
      close: () => Promise.resolve(),
    };
  }

  private subscribe(subject: string, listener: Listener): BusSubscription {
    const all = this.listeners.get(subject) ?? [];
    all.push(listener);
    this.listeners.set(subject, all);
    this.routes.clear();
    return {
      unsubscribe: () => {
        all.splice(all.indexOf(listener), 1);
        this.routes.clear();
      },
    };
  }

  private publish(from: Kind, subject: string, payload: Buffer, { replyTo, headers }: PublishOptions): void {
    const listener = this.listenerOf(subject);
    if (listener === undefined) {
      if (replyTo !== undefined) this.refuse(replyTo);
      return;
    }
    const counts = this.counts[`${from} to ${listener.kind}` as Leg];
    counts.messages++;
    counts.bytes += payload.length;
    this.loop.at(hopMs, () => listener.handler({ subject, payload, replyTo, headers, noResponders: false }));
  }

  private refuse(subject: string): void {
    this.loop.at(hopMs, () => {
      const message = { subject, payload: emptyBytes, replyTo: undefined, headers: undefined, noResponders: true };
      this.listenerOf(subject)?.handler(message);
    });
  }

  /** Of a queue group the first one. */
  private listenerOf(subject: string): Listener | undefined {
    if (this.routes.has(subject)) return this.routes.get(subject);
    const root = subject.slice(0, subject.lastIndexOf('.'));
    const found = (this.listeners.get(subject) ?? this.listeners.get(`${root}.*`))?.[0];
    this.routes.set(subject, found);
    return found;
  }
}
