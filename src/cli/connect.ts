/** How kvctl and the quick start reach a cluster: the one place under `cli` that builds the NATS adapter. */
import type { RingraftClient } from '../client/index.js';
import { connectClient } from '../client/index.js';
import { initHash } from '../ring/index.js';
import { connectNats } from '../transport/index.js';
import type { ConnectRequest } from './context.js';

export async function connect({ config, servers, cluster, timeoutMs }: ConnectRequest): Promise<RingraftClient> {
  await initHash();
  const nats = { ...config?.nats, servers, name: 'kvctl', connectTimeoutMs: timeoutMs };
  const bus = await connectNats(nats, ['client']);
  try {
    return await connectClient(bus, { cluster, timeoutMs, ownsBus: true });
  } catch (error) {
    await bus.close();
    throw error;
  }
}
