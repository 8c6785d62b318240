/**
 * Who hears whom: a connection to every broker, past the links that are shaped, and a subscription at each.
 *
 * Invariants:
 * 1. The subscriptions stand from the first connection on: interest has spread long before a fault is asked about.
 * 2. A message counts only for the probe that sent it; what a cut held back is not taken for an open link later.
 */
import { type Clock, pause, type Random } from '../base/index.js';
import type { Bus, BusMessage } from '../transport/index.js';
import type { Endpoint, Reach } from './types.js';

const lane = 'client';
const retryMs = 100;

type Broker = { readonly endpoint: Endpoint; bus: Bus | undefined };

type RunningProbe = {
  readonly missing: Set<string>;
  readonly heardMs: Map<string, number>;
  readonly done: () => void;
};

const pairKey = (from: Endpoint, to: Endpoint): string => `${from} ${to}`;

export class ReachProber {
  private readonly brokers: readonly Broker[];
  private readonly running = new Map<string, RunningProbe>();
  private readonly subjectPrefix: string;
  private isClosed = false;

  /** `connect` may fail: it is asked again until it does not. */
  constructor(
    endpoints: readonly Endpoint[],
    private readonly connect: (endpoint: Endpoint) => Promise<Bus>,
    private readonly clock: Clock,
    private readonly random: Random,
  ) {
    this.brokers = endpoints.map((endpoint) => ({ endpoint, bus: undefined }));
    this.subjectPrefix = `_probe.${this.newToken()}`;
  }

  /** Connects in the background: brokers may start later. */
  start(): void {
    for (const broker of this.brokers) void this.join(broker);
  }

  /** How many brokers it has subscribed at. */
  get joined(): number {
    return this.brokers.filter(({ bus }) => bus !== undefined).length;
  }

  /** Resolves when all have heard all, or after so long. */
  async probe(timeoutMs: number, bytes = 0): Promise<readonly Reach[]> {
    const pairs = this.brokers.flatMap(({ endpoint: from }) =>
      this.brokers.filter(({ endpoint }) => endpoint !== from).map(({ endpoint: to }) => ({ from, to })),
    );
    const missing = new Set(pairs.map(({ from, to }) => pairKey(from, to)));
    const heardMs = new Map<string, number>();
    const token = this.newToken();
    const startedMs = this.clock.nowMs();
    await new Promise<void>((resolve) => {
      const timer = this.clock.after(timeoutMs, resolve);
      const done = (): void => {
        timer.cancel();
        resolve();
      };
      this.running.set(token, { missing, heardMs, done });
      if (missing.size === 0) done();
      this.publish(token, bytes);
    });
    this.running.delete(token);
    return pairs.map(({ from, to }) => {
      const atMs = heardMs.get(pairKey(from, to));
      return { from, to, reached: atMs !== undefined, ...(atMs === undefined ? {} : { afterMs: atMs - startedMs }) };
    });
  }

  async close(): Promise<void> {
    this.isClosed = true;
    for (const { done } of this.running.values()) done();
    await Promise.all(this.brokers.map(({ bus }) => bus?.close()));
  }

  private newToken(): string {
    return `${this.random.nextU32().toString(36)}${this.random.nextU32().toString(36)}`;
  }

  private subjectOf(endpoint: Endpoint): string {
    return `${this.subjectPrefix}.${endpoint}`;
  }

  private async join(broker: Broker): Promise<void> {
    while (!this.isClosed) {
      const bus = await this.connect(broker.endpoint).catch(() => undefined);
      if (bus !== undefined) return this.listen(broker, bus);
      await pause(this.clock, retryMs);
    }
  }

  private async listen(broker: Broker, bus: Bus): Promise<void> {
    bus.subscribe(lane, this.subjectOf(broker.endpoint), (message) => this.heard(broker.endpoint, message));
    // A broker may end at once: the client subscribes again when it is back.
    await bus.flush(lane).catch(() => {});
    broker.bus = bus;
    if (this.isClosed) await bus.close();
  }

  private publish(token: string, bytes: number): void {
    const filling = ' '.repeat(Math.floor(bytes));
    for (const { endpoint: from, bus } of this.brokers) {
      if (bus === undefined) continue;
      for (const { endpoint: to } of this.brokers) {
        if (to !== from) bus.publish(lane, this.subjectOf(to), Buffer.from(`${token} ${from} ${filling}`));
      }
    }
  }

  private heard(to: Endpoint, { payload }: BusMessage): void {
    const [token = '', from = ''] = payload.toString().split(' ');
    const probe = this.running.get(token);
    if (probe?.missing.delete(pairKey(from, to)) === true) probe.heardMs.set(pairKey(from, to), this.clock.nowMs());
    if (probe?.missing.size === 0) probe.done();
  }
}
