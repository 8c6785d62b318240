/**
 * The one subject tree on which a client hears everything: results of batches, and answers to single requests.
 *
 * Results come on `<inbox>.<node number>-<epoch>` (see `NodeLink`), answers on `<inbox>.r<number>`.
 */
import { assert, type Clock, RingraftError, type Timer } from '../base/index.js';
import type { Bus, BusMessage, BusSubscription } from '../transport/index.js';

type Waiting = {
  readonly subject: string;
  readonly timer: Timer;
  readonly resolve: (message: BusMessage) => void;
  readonly reject: (error: RingraftError) => void;
};

const letterR = 0x72;

/** Whether the error says that nobody listens on the subject a request went to. */
export const isNoResponders = (error: unknown): boolean =>
  error instanceof RingraftError && error.code === 'UNREACHABLE' && error.fields.noResponders === true;

export class Inbox {
  private readonly root: string;
  private readonly tokenAt: number;
  private readonly subscription: BusSubscription;
  private readonly waiting = new Map<string, Waiting>();
  private nextRequest = 0;
  private onResults: (token: string, message: BusMessage) => void = () => {};
  /** NATS lets this user not listen to its own answers: `inboxPrefix` is missing, or another's. */
  private denial: RingraftError | undefined;
  private closed = false;

  constructor(
    private readonly bus: Bus,
    private readonly clock: Clock,
  ) {
    this.root = bus.newInbox();
    this.tokenAt = this.root.length + 1;
    const subject = `${this.root}.*`;
    bus.onError((lane, error) => {
      if (lane === 'client' && error.code === 'DENIED') this.refuse(error, subject);
    });
    this.subscription = bus.subscribe('client', subject, (message) => this.receive(message));
  }

  /** Where everything goes whose token does not begin with `r`. */
  handleResults(handler: (token: string, message: BusMessage) => void): void {
    this.onResults = handler;
  }

  subjectOf(token: string): string {
    return `${this.root}.${token}`;
  }

  private receive(message: BusMessage): void {
    const { subject } = message;
    if (subject.charCodeAt(this.tokenAt) !== letterR) {
      this.onResults(subject.slice(this.tokenAt), message);
      return;
    }
    const waiting = this.waiting.get(subject);
    if (waiting === undefined) return;
    this.waiting.delete(subject);
    waiting.timer.cancel();
    if (message.noResponders) {
      const fields = { subject: waiting.subject, noResponders: true };
      waiting.reject(new RingraftError('UNREACHABLE', `nobody listens on ${waiting.subject}`, { fields }));
    } else {
      waiting.resolve(message);
    }
  }

  /** Who may not ask, or may not hear, need not wait for the time-out. */
  private refuse(error: RingraftError, ownSubject: string): void {
    const { subject } = error.fields;
    if (subject === ownSubject) this.denial = error;
    for (const [replyTo, waiting] of this.waiting) {
      if (subject !== ownSubject && subject !== waiting.subject) continue;
      this.waiting.delete(replyTo);
      waiting.timer.cancel();
      waiting.reject(error);
    }
  }

  /**
   * One request, one answer. Rejects with UNREACHABLE at once when nobody listens on the subject, with TIMEOUT after
   * `timeoutMs`, with DENIED when NATS does not permit it, with CLOSED when the client is closed. The payload of the answer is valid as long as it is kept.
   */
  request(subject: string, payload: Buffer, timeoutMs: number): Promise<BusMessage> {
    return new Promise((resolve, reject) => {
      if (this.closed) {
        reject(new RingraftError('CLOSED', 'the client is closed'));
        return;
      }
      if (this.denial !== undefined) {
        reject(this.denial);
        return;
      }
      const replyTo = this.subjectOf(`r${this.nextRequest++}`);
      const timer = this.clock.after(Math.max(0, timeoutMs), () => {
        this.waiting.delete(replyTo);
        const fields = { subject };
        reject(new RingraftError('TIMEOUT', `no answer on ${subject} within ${Math.round(timeoutMs)} ms`, { fields }));
      });
      this.waiting.set(replyTo, { subject, timer, resolve, reject });
      try {
        this.bus.publish('client', subject, payload, { replyTo });
      } catch (error) {
        this.waiting.delete(replyTo);
        timer.cancel();
        reject(error);
      }
    });
  }

  close(): void {
    assert(!this.closed, 'an inbox closes once');
    this.closed = true;
    this.subscription.unsubscribe();
    for (const { timer, reject } of this.waiting.values()) {
      timer.cancel();
      reject(new RingraftError('CLOSED', 'the client was closed'));
    }
    this.waiting.clear();
  }
}
