/**
 * The message port: subjects, at-most-once delivery, nothing more. The NATS adapter speaks to a server; the memory
 * adapter stands in for it in tests and in the simulator. Loss, duplication (after a reconnect) and delay are
 * normal; two messages published on one lane to one subject are not reordered.
 *
 * Lanes are separate connections, so that bulk data cannot delay a heartbeat and a slow consumer on one cannot
 * drop another's messages (RAFT-PITFALLS 37, 38).
 */
import type { RingraftError } from '../base/index.js';

export const lanes = ['raft', 'snapshot', 'client'] as const;
export type Lane = (typeof lanes)[number];

/** Headers of a message beyond this are not read: they cost much time, and nothing of ours is as long. */
export const maxHeaderBytes = 8192;

/** Header names are case-sensitive; one value a name. */
export type BusHeaders = Readonly<Record<string, string>>;

export type BusMessage = {
  readonly subject: string;
  /** Valid only during the handler call, unless copied: adapters may reuse memory. Slices keep it alive. */
  readonly payload: Buffer;
  /** Never an internal subject, whatever the sender asked for. */
  readonly replyTo: string | undefined;
  readonly headers: BusHeaders | undefined;
  /** It had headers that cannot be read, or too many of them to be: `headers` is undefined. */
  readonly hasBadHeaders?: true;
  /** Nobody listens on the subject a message with this reply subject was sent to (NATS status 503). */
  readonly noResponders: boolean;
};

export type BusSubscription = { unsubscribe(): void };

export type PublishOptions = { readonly replyTo?: string; readonly headers?: BusHeaders };

export type Bus = {
  /** Largest payload of one message, bytes, as the server says; headers count too. */
  readonly maxPayloadBytes: number;
  subscribe(
    lane: Lane,
    subject: string,
    handler: (message: BusMessage) => void,
    options?: { readonly queue?: string },
  ): BusSubscription;
  /**
   * Sends at once, or drops when the lane is not connected (a stale message later would be worse than none).
   * The payload belongs to the bus from here on. Throws TOO_LARGE beyond `maxPayloadBytes`.
   */
  publish(lane: Lane, subject: string, payload: Buffer, options?: PublishOptions): void;
  isConnected(lane: Lane): boolean;
  /** Called on every connect and disconnect of a lane. */
  onConnectionChange(listener: (lane: Lane, connected: boolean) => void): void;
  /** Called for what a connection reports by itself: a permission violation, a slow consumer, a refused reconnect. */
  onError(listener: (lane: Lane, error: RingraftError) => void): void;
  /** A fresh subject that only this bus listens to; subscribe to it or to `${inbox}.*`. */
  newInbox(): string;
  /** One connection's round trip: everything published before it has reached the server. */
  flush(lane: Lane): Promise<void>;
  /** Sends what is pending, then closes every lane. Idempotent. */
  close(): Promise<void>;
};
