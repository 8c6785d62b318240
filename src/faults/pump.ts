/**
 * One direction of one proxied connection: takes bytes from a socket, gives them to another as the link lets them through.
 *
 * Invariants:
 * 1. Bytes leave in the order they came, and the end of the stream after all of them.
 * 2. It holds `mostHeldBytes` and one read more at most; then it does not read, and TCP holds back the sender.
 * 3. With the link unshaped and nothing held, a chunk goes straight from socket to socket.
 */
import type { Socket } from 'node:net';
import type { Clock, Timer } from '../base/index.js';
import type { ShapedLink } from './shaped-link.js';

export const mostHeldBytes = 4 * 1024 * 1024;
/** Over a cut nothing is let in to wait, beyond what lets the end of a connection be seen. */
const mostHeldCutBytes = 64 * 1024;

/** `end`: no more will come. `reset`: the connection broke. */
type Item = Buffer | 'end' | 'reset';

type Held = { readonly item: Item; readonly arrivedMs: number; dueMs: number };

const sizeOf = (item: Item): number => (typeof item === 'string' ? 0 : item.length);

export class Pump {
  private held: Held[] = [];
  private heldBytes = 0;
  private lastDueMs = 0;
  private timer: Timer | undefined;
  private isOpen = false;
  private hasEnded = false;
  private isTargetGone = false;

  constructor(
    private readonly source: Socket,
    private readonly target: Socket,
    private readonly link: ShapedLink,
    private readonly clock: Clock,
  ) {
    source.on('data', (chunk: Buffer) => this.take(chunk));
    source.on('end', () => this.finish('end'));
    source.on('close', () => {
      if (!this.hasEnded || !source.writableFinished) this.finish('reset');
    });
    target.on('drain', () => this.flush());
    target.on('close', () => this.discard());
  }

  /** The target takes bytes from here on. */
  open(): void {
    this.isOpen = true;
    this.flush();
  }

  /** After the link got another shape: what waits, waits by the new one. */
  reshape(): void {
    this.lastDueMs = 0;
    const nowMs = this.clock.nowMs();
    for (const held of this.held) held.dueMs = this.dueMs(held.item, held.arrivedMs, nowMs);
    this.flush();
  }

  /** Nothing is held and no timer runs any more; what comes is dropped, so that the end is seen. */
  discard(): void {
    this.isTargetGone = true;
    this.timer?.cancel();
    this.timer = undefined;
    this.held = [];
    this.heldBytes = 0;
    this.source.resume();
  }

  private dueMs(item: Item, arrivedMs: number, nowMs: number): number {
    if (!this.link.isUnshaped) {
      this.lastDueMs = Math.max(this.lastDueMs, this.link.throughMs(arrivedMs, nowMs, sizeOf(item)));
    }
    return this.lastDueMs;
  }

  private take(chunk: Buffer): void {
    if (this.isTargetGone) return;
    if (this.held.length === 0 && this.isOpen && this.link.isUnshaped) {
      if (!this.target.write(chunk)) this.source.pause();
      return;
    }
    const { portionBytes } = this.link;
    for (let from = 0; from < chunk.length; from += portionBytes) this.hold(chunk.subarray(from, from + portionBytes));
    this.flush();
  }

  private finish(item: 'end' | 'reset'): void {
    this.hasEnded = true;
    if (this.isTargetGone) return;
    this.hold(item);
    this.flush();
  }

  private hold(item: Item): void {
    const nowMs = this.clock.nowMs();
    this.held.push({ item, arrivedMs: nowMs, dueMs: this.dueMs(item, nowMs, nowMs) });
    this.heldBytes += sizeOf(item);
  }

  private get isBlocked(): boolean {
    return !this.isOpen || this.link.shape.cut || this.target.writableNeedDrain;
  }

  private flush(): void {
    if (this.isTargetGone) return;
    const nowMs = this.clock.nowMs();
    let delivered = 0;
    for (const { item, dueMs } of this.held) {
      if (this.isBlocked || dueMs > nowMs) break;
      delivered++;
      this.heldBytes -= sizeOf(item);
      this.deliver(item);
    }
    // A reset has let go of everything.
    if (this.isTargetGone) return;
    this.held.splice(0, delivered);
    this.schedule(nowMs);
    this.keepPace();
  }

  private deliver(item: Item): void {
    if (item === 'end') this.target.end();
    else if (item === 'reset') this.target.resetAndDestroy();
    else this.target.write(item);
  }

  private schedule(nowMs: number): void {
    this.timer?.cancel();
    this.timer = undefined;
    const [first] = this.held;
    if (first === undefined || this.isBlocked) return;
    // Whole milliseconds, upwards: a timer that fires a fraction too early would do so again and again.
    this.timer = this.clock.after(Math.ceil(first.dueMs - nowMs), () => this.flush());
  }

  private keepPace(): void {
    const isFull = this.link.isUnshaped
      ? this.target.writableNeedDrain || this.heldBytes >= mostHeldCutBytes
      : this.heldBytes >= (this.link.shape.cut || !this.isOpen ? mostHeldCutBytes : mostHeldBytes);
    if (isFull) this.source.pause();
    else this.source.resume();
  }
}
