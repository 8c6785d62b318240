/**
 * The sending side of one snapshot: a window of chunks over a lane that may lose messages (go-back-N), at the rate that
 * the node's bandwidth for snapshots leaves it.
 *
 * Wire: messages to the transfer's subject with headers `Snap-Kind` (begin, chunk, end), `Snap-Seq` and `Snap-Crc` (CRC-32 of
 * body, kind and number; what is damaged counts as lost); begin's body is JSON, a chunk's body is bytes. Answers, of kind
 * `answer` and number 0, come to the reply subject as JSON `{"ack": seq}` (everything up to it is staged) or `{"error": "..."}`.
 * begin is 0, chunks count from 1, end is the last chunk's number plus one.
 */
import { crc32 } from 'node:zlib';
import { BackgroundWork, type Clock, emptyBytes, RingraftError, type ShardId, type Timer } from '../base/index.js';
import type { SnapshotRequest } from '../raft/index.js';
import type { Bus, BusMessage, BusSubscription } from '../transport/index.js';
import type { TokenBucket } from './token-bucket.js';

export type SnapshotBegin = { readonly shardId: ShardId; readonly request: SnapshotRequest };
export type SnapshotAnswer = { readonly ack: number } | { readonly error: string };
const snapshotKindHeader = 'Snap-Kind';
const snapshotSequenceHeader = 'Snap-Seq';
const snapshotChecksumHeader = 'Snap-Crc';

type Step = { readonly kind: string; readonly sequence: number; readonly body: Buffer };

const checksum = ({ kind, sequence, body }: Step): string => crc32(`${kind} ${sequence}`, crc32(body)).toString(16);

export const stepHeaders = (step: Step): Readonly<Record<string, string>> => ({
  [snapshotKindHeader]: step.kind,
  [snapshotSequenceHeader]: String(step.sequence),
  [snapshotChecksumHeader]: checksum(step),
});

/** undefined: it was damaged on its way. The body is the message's. */
export function stepOf({ headers, payload }: BusMessage): Step | undefined {
  const kind = headers?.[snapshotKindHeader] ?? '';
  const step = { kind, sequence: Number(headers?.[snapshotSequenceHeader]), body: payload };
  return headers?.[snapshotChecksumHeader] === checksum(step) ? step : undefined;
}

/** Small enough to take no noticeable time on either side. */
const chunkBytes = 64 * 1024;
const windowChunks = 8;
const retryMs = 1000;
const maxTries = 8;

export class SnapshotTransfer {
  private readonly inbox: string;
  private readonly subscription: BusSubscription;
  private unanswered: Step[] = [];
  private failure: RingraftError | undefined;
  private wake: () => void = () => {};
  private timer: Timer | undefined;
  private tries = 0;

  constructor(
    private readonly parts: {
      readonly bus: Bus;
      readonly clock: Clock;
      readonly subject: string;
      /** Asked before each step: false once the transfer has become pointless. */
      readonly isWanted: () => boolean;
      /** Waited for before each chunk. */
      readonly bandwidth: TokenBucket;
      /** Told of everything that goes, what goes again included. */
      readonly onBytes: (bytes: number) => void;
    },
  ) {
    this.inbox = parts.bus.newInbox();
    this.subscription = parts.bus.subscribe('snapshot', this.inbox, (message) => this.receive(message));
  }

  close(): void {
    this.timer?.cancel();
    this.subscription.unsubscribe();
  }

  /** Sends it all; resolves with the bytes sent once the receiver has staged and checked the whole. */
  async run(begin: SnapshotBegin, nextChunk: (maxBytes: number) => Promise<Buffer | undefined>): Promise<number> {
    let sequence = 0;
    let bytes = 0;
    const work = new BackgroundWork(this.parts.clock);
    this.post('begin', sequence, Buffer.from(JSON.stringify(begin)));
    await this.untilUnanswered(0);
    const maxBytes = Math.min(chunkBytes, Math.floor(this.parts.bus.maxPayloadBytes / 2));
    for (;;) {
      const chunk = await nextChunk(maxBytes);
      if (chunk === undefined) break;
      bytes += chunk.length;
      await work.rest();
      await this.parts.bandwidth.take(chunk.length);
      this.post('chunk', ++sequence, chunk);
      await this.untilUnanswered(windowChunks - 1);
    }
    await this.untilUnanswered(0);
    this.post('end', ++sequence, emptyBytes);
    await this.untilUnanswered(0);
    return bytes;
  }

  private post(kind: string, sequence: number, body: Buffer): void {
    const message = { kind, sequence, body };
    this.unanswered.push(message);
    this.publish(message);
    this.arm();
  }

  private publish(step: Step): void {
    // A message may be sent again, and the bus owns what it is given.
    const body = Buffer.from(step.body);
    this.parts.bus.publish('snapshot', this.parts.subject, body, { replyTo: this.inbox, headers: stepHeaders(step) });
    this.parts.onBytes(body.length);
  }

  private arm(): void {
    this.timer?.cancel();
    if (this.unanswered.length === 0) return;
    this.timer = this.parts.clock.after(retryMs, () => {
      if (++this.tries >= maxTries) {
        this.fail(new RingraftError('TIMEOUT', 'the receiver of a snapshot does not answer'));
        return;
      }
      for (const message of this.unanswered) {
        this.parts.bandwidth.charge(message.body.length);
        this.publish(message);
      }
      this.arm();
    });
  }

  private receive(message: BusMessage): void {
    if (message.noResponders) {
      this.fail(new RingraftError('UNREACHABLE', 'nobody listens where the snapshot should go'));
      return;
    }
    const step = stepOf(message);
    if (step === undefined) return;
    const answer = JSON.parse(step.body.toString()) as SnapshotAnswer;
    if ('error' in answer) {
      this.fail(new RingraftError('CONFLICT', answer.error));
      return;
    }
    const before = this.unanswered.length;
    this.unanswered = this.unanswered.filter(({ sequence }) => sequence > answer.ack);
    if (this.unanswered.length === before) return;
    this.tries = 0;
    this.arm();
    this.wake();
  }

  private fail(error: RingraftError): void {
    this.failure ??= error;
    this.wake();
  }

  private async untilUnanswered(most: number): Promise<void> {
    for (;;) {
      if (!this.parts.isWanted()) this.failure ??= new RingraftError('NOT_LEADER', 'leadership was lost');
      if (this.failure !== undefined) throw this.failure;
      if (this.unanswered.length <= most) return;
      await new Promise<void>((resolve) => {
        this.wake = resolve;
      });
    }
  }
}
