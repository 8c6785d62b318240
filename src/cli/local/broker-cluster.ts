/**
 * Several nats-servers that are one cluster, joined directly: as in production, where none of them may be the only one. Nodes
 * and clients know all of them and connect to any. (Where links are to be disturbed each node has its own: topology.ts.)
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { freePorts } from './brokers.js';
import type { BrokerPlan } from './topology.js';

const host = '127.0.0.1';

export async function planBrokerCluster(
  stateDirectory: string,
  count: number,
  natsServer: string,
): Promise<readonly BrokerPlan[]> {
  const directory = join(stateDirectory, 'brokers');
  mkdirSync(directory, { recursive: true });
  const ports = await freePorts(2 * count);
  const [clientPorts, routePorts] = [ports.slice(0, count), ports.slice(count)];
  const routes = routePorts.map((port) => `"nats://${host}:${port}"`).join(', ');
  return clientPorts.map((port, at) => {
    const name = `nats-server-${at + 1}`;
    const path = join(directory, `${name}.conf`);
    const text = `server_name: "${name}"
listen: "${host}:${port}"
cluster {
  name: "ringraft"
  listen: "${host}:${routePorts[at]}"
  routes: [${routes}]
}
`;
    writeFileSync(path, text);
    return { name, url: `nats://${host}:${port}`, command: [natsServer, '-c', path] };
  });
}
