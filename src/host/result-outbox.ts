/**
 * Answers on their way out: one message per client and turn, however many operations it answers.
 *
 * Invariant: an answer is added once its operation is decided, and leaves at the end of that turn or, when it fills a
 * message, before.
 */
import type { Bus } from '../transport/index.js';
import { encodeResultBatch, type OperationResult } from '../wire/index.js';
import { errorResult } from './pending.js';

/** Bytes of one result on the wire beside its value and message; generous. */
const resultOverheadBytes = 64;

type Mailbox = { readonly replyTo: string; results: OperationResult[]; bytes: number };

export class ResultOutbox {
  private mailboxes = new Map<string, Mailbox>();
  /** The one that was added to last: answers to one message come one after another. */
  private last: Mailbox | undefined;
  /** Messages sent since the start. */
  messages = 0;
  /** Results sent since the start. */
  results = 0;

  constructor(
    private readonly bus: Bus,
    private readonly mapEpoch: () => number,
  ) {}

  add(replyTo: string, outcome: OperationResult): void {
    const { maxPayloadBytes } = this.bus;
    const result = this.sendable(outcome, maxPayloadBytes);
    const mailbox = this.last?.replyTo === replyTo ? this.last : this.mailboxOf(replyTo);
    const bytes = result.value.length + result.message.length + result.leaderHint.length + resultOverheadBytes;
    if (mailbox.bytes + bytes > maxPayloadBytes && mailbox.results.length > 0) this.send(mailbox);
    mailbox.results.push(result);
    mailbox.bytes += bytes;
  }

  private mailboxOf(replyTo: string): Mailbox {
    let mailbox = this.mailboxes.get(replyTo);
    if (mailbox === undefined) {
      mailbox = { replyTo, results: [], bytes: 0 };
      this.mailboxes.set(replyTo, mailbox);
    }
    this.last = mailbox;
    return mailbox;
  }

  /** A value can have grown, by appending, beyond what a message of this server carries. */
  private sendable(result: OperationResult, maxPayloadBytes: number): OperationResult {
    if (result.value.length + 2 * resultOverheadBytes <= maxPayloadBytes) return result;
    const message = `the value has ${result.value.length} bytes; a message of this NATS server carries ${maxPayloadBytes}`;
    return errorResult(result.requestId, 'TOO_LARGE', message);
  }

  flush(): void {
    if (this.mailboxes.size === 0) return;
    for (const mailbox of this.mailboxes.values()) if (mailbox.results.length > 0) this.send(mailbox);
    // A cleared one would hold on to the next table (see the client's NumberedTable).
    this.mailboxes = new Map();
    this.last = undefined;
  }

  private send(mailbox: Mailbox): void {
    this.messages++;
    this.results += mailbox.results.length;
    this.bus.publish(
      'client',
      mailbox.replyTo,
      encodeResultBatch({ results: mailbox.results, mapEpoch: this.mapEpoch() }),
    );
    mailbox.results = [];
    mailbox.bytes = 0;
  }
}
