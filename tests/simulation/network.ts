/**
 * The network of a run: every process has a NATS server of its own beside it, and the servers are joined by links that
 * lose, delay, double and reorder messages, one direction at a time.
 *
 * A cut link is noticed by the servers only after a while: until then messages vanish, later the sender is told that
 * nobody listens, although the listener may be alive on the other side (DESIGN section 5, "the trap").
 */
import { emptyBytes, RingraftError } from '../../src/base/index.js';
import type { Bus, BusMessage, BusSubscription, Lane, PublishOptions } from '../../src/transport/index.js';
import { matches } from '../support/subjects.js';
import type { Life } from './life.js';
import type { World } from './world.js';

type Listener = {
  readonly owner: Endpoint;
  readonly lane: Lane;
  readonly pattern: readonly string[];
  readonly handler: (message: BusMessage) => void;
  readonly queue: string | undefined;
};

/** What is wrong with the network at the moment; rates are probabilities a message. */
export type NetworkWeather = {
  loss: number;
  duplication: number;
  reorder: number;
  /** Largest extra delay of a message. */
  jitterMs: number;
  /** A bit of the payload changes, on the lanes between nodes. */
  damage: number;
};

const lanesWithChecksums: ReadonlySet<Lane> = new Set<Lane>(['raft', 'snapshot']);

/** A message on its way to one listener. */
export type Passage = {
  readonly from: string;
  readonly to: string;
  readonly lane: Lane;
  readonly message: BusMessage;
};

const leastDelayMs = 0.05;
const usualDelayMs = 0.4;

export class Network {
  readonly weather: NetworkWeather = { loss: 0, duplication: 0, reorder: 0, jitterMs: 0, damage: 0 };
  private readonly listeners = new Set<Listener>();
  /** `from>to` of links that are cut, and since when. */
  private readonly cuts = new Map<string, { readonly noticedAtMs: number }>();
  private readonly lastArrivalMs = new Map<string, number>();
  private inboxes = 0;
  /** Sees every message before the weather does; false: it is lost. */
  watch: (passage: Passage) => boolean = () => true;
  readonly counts = { messages: 0, lost: 0, doubled: 0, reordered: 0, refused: 0, damaged: 0 };

  constructor(readonly world: World) {}

  connect(name: string, life: Life): Endpoint {
    return new Endpoint(this, name, life);
  }

  newInbox(): string {
    return `_INBOX.${this.inboxes++}`;
  }

  /** Nothing passes from one to the other until `mend`. */
  cut(from: string, to: string, noticedAfterMs: number): void {
    const key = `${from}>${to}`;
    if (!this.cuts.has(key)) this.cuts.set(key, { noticedAtMs: this.world.nowMs + noticedAfterMs });
  }

  mend(from: string, to: string): void {
    this.cuts.delete(`${from}>${to}`);
  }

  mendAll(): void {
    this.cuts.clear();
  }

  isCut(from: string, to: string): boolean {
    return from !== to && this.cuts.has(`${from}>${to}`);
  }

  /** Whether the server of `from` still believes that `to`'s subscriptions can be reached. */
  private isReachable(from: string, to: string): boolean {
    const cut = this.cuts.get(`${from}>${to}`);
    return from === to || cut === undefined || this.world.nowMs < cut.noticedAtMs;
  }

  add(listener: Listener): void {
    this.listeners.add(listener);
  }

  remove(listener: Listener): void {
    this.listeners.delete(listener);
  }

  /** The process is gone, and so are its subscriptions. */
  disconnect(endpoint: Endpoint): void {
    for (const listener of this.listeners) if (listener.owner === endpoint) this.listeners.delete(listener);
  }

  publish(from: Endpoint, lane: Lane, subject: string, payload: Buffer, options: PublishOptions): void {
    this.counts.messages++;
    const tokens = subject.split('.');
    const found: Listener[] = [];
    const queues = new Map<string, Listener[]>();
    for (const listener of this.listeners) {
      if (!matches(listener.pattern, tokens) || !this.isReachable(from.name, listener.owner.name)) continue;
      if (listener.queue === undefined) {
        found.push(listener);
        continue;
      }
      const queue = queues.get(listener.queue);
      if (queue === undefined) queues.set(listener.queue, [listener]);
      else queue.push(listener);
    }
    for (const queue of queues.values()) found.push(this.world.pick(queue));
    const { replyTo, headers } = options;
    if (found.length === 0) {
      if (replyTo !== undefined) this.refuse(from, replyTo);
      return;
    }
    const message: BusMessage = { subject, payload, replyTo, headers, noResponders: false };
    for (const listener of found) this.send(from, lane, listener, message);
  }

  private refuse(from: Endpoint, replyTo: string): void {
    this.counts.refused++;
    const tokens = replyTo.split('.');
    const message = { subject: replyTo, payload: emptyBytes, replyTo: undefined, headers: undefined };
    for (const listener of this.listeners) {
      if (listener.owner !== from || !matches(listener.pattern, tokens)) continue;
      from.life.schedule(2 * leastDelayMs, () => this.deliver(listener, { ...message, noResponders: true }));
    }
  }

  private send(sender: Endpoint, lane: Lane, listener: Listener, message: BusMessage): void {
    const { world, weather, counts } = this;
    const from = sender.name;
    const to = listener.owner.name;
    if (
      !this.watch({ from, to, lane, message }) ||
      this.isCut(from, to) ||
      (from !== to && world.chance(weather.loss))
    ) {
      counts.lost++;
      return;
    }
    let copies = 1;
    if (from !== to && world.chance(weather.duplication)) {
      counts.doubled++;
      copies = 2;
    }
    for (; copies > 0; copies--) {
      let delayMs = leastDelayMs + world.fraction() * usualDelayMs;
      if (from !== to && weather.jitterMs > 0) delayMs += world.fraction() * weather.jitterMs;
      const key = `${from}>${to}>${lane}`;
      const earliest = this.lastArrivalMs.get(key) ?? 0;
      let arrivalMs = world.nowMs + delayMs;
      if (world.chance(weather.reorder)) counts.reordered++;
      else {
        // A connection is a queue: nothing overtakes.
        arrivalMs = Math.max(arrivalMs, earliest);
        this.lastArrivalMs.set(key, arrivalMs);
      }
      const { owner } = listener;
      world.at(arrivalMs - world.nowMs, () => {
        if (this.isCut(from, to) || sender.lostUnsent) counts.lost++;
        else owner.life.run(() => this.deliver(listener, this.damage(lane, message)));
      });
    }
  }

  private damage(lane: Lane, message: BusMessage): BusMessage {
    const { world, weather, counts } = this;
    const { payload } = message;
    if (weather.damage === 0 || payload.length === 0 || !lanesWithChecksums.has(lane)) return message;
    if (!world.chance(weather.damage)) return message;
    counts.damaged++;
    const bytes = Buffer.from(payload);
    const at = Math.floor(world.fraction() * bytes.length);
    bytes[at] = (bytes[at] as number) ^ (1 << Math.floor(world.fraction() * 8));
    return { ...message, payload: bytes };
  }

  private deliver(listener: Listener, message: BusMessage): void {
    if (!this.listeners.has(listener) || !listener.owner.connected) return;
    this.world.note(message.payload.length);
    // A handler may keep or change what it gets: nobody else shares it.
    listener.handler({ ...message, payload: Buffer.from(message.payload) });
  }
}

/** The bus of one process. */
export class Endpoint implements Bus {
  readonly maxPayloadBytes = 64 * 1024;
  connected = true;
  /** The process died with what it had sent still in its own buffers. */
  lostUnsent = false;
  private readonly onChange: ((lane: Lane, connected: boolean) => void)[] = [];

  constructor(
    private readonly network: Network,
    readonly name: string,
    readonly life: Life,
  ) {}

  subscribe(
    lane: Lane,
    subject: string,
    handler: (message: BusMessage) => void,
    options: { readonly queue?: string } = {},
  ): BusSubscription {
    const listener = { owner: this, lane, pattern: subject.split('.'), handler, queue: options.queue };
    this.network.add(listener);
    return { unsubscribe: () => this.network.remove(listener) };
  }

  publish(lane: Lane, subject: string, payload: Buffer, options: PublishOptions = {}): void {
    if (payload.length > this.maxPayloadBytes) throw new RingraftError('TOO_LARGE', 'too large for the bus');
    if (this.connected && !this.life.isDead) this.network.publish(this, lane, subject, payload, options);
  }

  isConnected(): boolean {
    return this.connected;
  }

  onConnectionChange(listener: (lane: Lane, connected: boolean) => void): void {
    this.onChange.push(listener);
  }

  /** The connections to the server beside the process go, or come back. */
  setConnected(connected: boolean): void {
    if (this.connected === connected) return;
    this.connected = connected;
    this.life.run(() => {
      for (const lane of ['raft', 'snapshot', 'client'] as const) {
        for (const listener of this.onChange) listener(lane, connected);
      }
    });
  }

  onError(): void {}

  newInbox(): string {
    return this.network.newInbox();
  }

  flush(): Promise<void> {
    return Promise.resolve();
  }

  close(): Promise<void> {
    this.network.disconnect(this);
    return Promise.resolve();
  }
}
