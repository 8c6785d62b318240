/**
 * JetStream's KV over plain NATS messages, as its own clients do: a put is a message that is acknowledged, a get is a direct
 * get. It has no read that is linearizable: a direct get is answered by whatever replica, of what that has by then.
 */
import { pause, RingraftError, systemClock } from '../../base/index.js';
import type { Bus, BusMessage } from '../../transport/index.js';
import { type PeerClient, PeerError } from '../peer.js';
import { BrokerRequests } from './broker-request.js';
import { bucketLeader, directGetSubject, subjectOf } from './bucket.js';

/** Over all servers in turn, or all through the one that leads the stream. */
const routes = ['spread', 'leader'] as const;
const leaderTimeoutMs = 10_000;
const pollMs = 100;
const nothing = Buffer.alloc(0);

export type ConnectBus = (url: string) => Promise<Bus>;

/** Servers are called nats-1, nats-2... in the order of their URLs. */
export const serverName = (at: number): string => `nats-${at + 1}`;

export async function connectJetStream(urls: readonly string[], connectBus: ConnectBus): Promise<PeerClient> {
  const buses = await Promise.all(urls.map(connectBus));
  return new JetStreamClient(buses.map((bus) => new BrokerRequests(bus)));
}

class JetStreamClient implements PeerClient {
  readonly routes = routes;
  private used: readonly BrokerRequests[];
  private turn = 0;

  constructor(private readonly servers: readonly BrokerRequests[]) {
    this.used = servers;
  }

  async takeRoute(route: string): Promise<void> {
    this.used = route === 'leader' ? [await this.leader()] : this.servers;
  }

  private async leader(): Promise<BrokerRequests> {
    const deadlineMs = performance.now() + leaderTimeoutMs;
    for (;;) {
      try {
        const name = await bucketLeader(this.servers[0] as BrokerRequests);
        const found = this.servers.find((_, at) => serverName(at) === name);
        if (found === undefined) throw new RingraftError('NO_LEADER', `${name} leads, which is none of the servers`);
        return found;
      } catch (error) {
        if (!(error instanceof PeerError) || performance.now() > deadlineMs) throw error;
      }
      await pause(systemClock, pollMs);
    }
  }

  private request(subject: string, payload: Buffer): Promise<BusMessage> {
    this.turn = (this.turn + 1) % this.used.length;
    return (this.used[this.turn] as BrokerRequests).request(subject, payload);
  }

  async put(key: string, value: Buffer): Promise<void> {
    const { payload } = await this.request(subjectOf(key), value);
    const { seq, error } = JSON.parse(payload.toString()) as { seq?: number; error?: { description?: string } };
    if (seq === undefined) throw new PeerError('REFUSED', error?.description ?? 'not acknowledged');
  }

  async get(key: string): Promise<Uint8Array | undefined> {
    const { payload, headers } = await this.request(directGetSubject(key), nothing);
    return headers?.['Nats-Sequence'] === undefined ? undefined : payload;
  }

  async putMany(keys: readonly string[], value: Buffer): Promise<void> {
    await Promise.all(keys.map((key) => this.put(key, value)));
  }

  async getMany(keys: readonly string[]): Promise<number> {
    const found = await Promise.all(keys.map((key) => this.get(key)));
    return found.filter((value) => value !== undefined).length;
  }

  scan(): Promise<number> {
    throw new RangeError('JetStream has no scans');
  }

  async close(): Promise<void> {
    await Promise.all(this.servers.map((server) => server.close()));
  }
}
