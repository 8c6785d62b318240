/** Ringraft through its own TypeScript client, as any program would use it. */
import { prefixEnd } from '../../base/index.js';
import type { connect } from '../../cli/index.js';
import type { RingraftClient, Settled } from '../../client/index.js';
import type { PeerClient } from '../peer.js';
import type { Dataset, ReadLevel } from '../workload.js';
import { bucketName, clusterName } from './deployment.js';

const timeoutMs = 30_000;
/** The client asks each shard's leader itself. */
const routes = ['leaders'] as const;

export async function connectRingraft(servers: readonly string[], connectClient: typeof connect): Promise<PeerClient> {
  return new RingraftPeerClient(await connectClient({ config: undefined, servers, cluster: clusterName, timeoutMs }));
}

class RingraftPeerClient implements PeerClient {
  readonly routes = routes;

  constructor(private readonly client: RingraftClient) {}

  async takeRoute(): Promise<void> {}

  async put(key: string, value: Buffer): Promise<void> {
    await this.client.put(bucketName, key, value);
  }

  async get(key: string, level: ReadLevel): Promise<Uint8Array | undefined> {
    const found = await this.client.get(bucketName, key, { consistency: level === 'stale' ? 'one' : 'linearizable' });
    return found?.value;
  }

  async putMany(keys: readonly string[], value: Buffer): Promise<void> {
    succeeded(
      await this.client.putMany(
        bucketName,
        keys.map((key) => [key, value] as const),
      ),
    );
  }

  async getMany(keys: readonly string[]): Promise<number> {
    return succeeded(await this.client.getMany(bucketName, keys)).filter((found) => found !== undefined).length;
  }

  async scan({ prefix }: Dataset, from: string, limit: number): Promise<number> {
    const lt = prefixEnd(Buffer.from(`${prefix}/`));
    const bounds = { gte: Buffer.from(from), ...(lt === undefined ? {} : { lt }) };
    let items = 0;
    for await (const _ of this.client.scan(bucketName, { ...bounds, limit })) items++;
    return items;
  }

  close(): Promise<void> {
    return this.client.close();
  }
}

const succeeded = <T>(settled: readonly Settled<T>[]): readonly T[] =>
  settled.map((one) => {
    if (!one.ok) throw one.error;
    return one.result;
  });
