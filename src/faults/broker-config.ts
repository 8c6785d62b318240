/**
 * The configuration of one nats-server of a clustered topology.
 *
 * What matters, on nats-server 2.9: the route of a pair is configured on one side only, so that it stands on one
 * connection whose directions are known. Servers gossip each other's route address and dial it by themselves, round the
 * proxies, whenever the configured route is down: so every server advertises an address where nobody listens. Clients
 * are told of no other server, or they would move to one when theirs is cut off.
 */
import type { Endpoint } from './types.js';

export type BrokerOptions = {
  readonly name: Endpoint;
  /** The same for all brokers of the cluster. */
  readonly clusterName: string;
  /** Where it listens: 127.0.0.1 behind proxies, its own address in a namespace of its own. */
  readonly host: string;
  readonly clientPort: number;
  readonly routePort: number;
  /** `host:port` of the later hosts, as it reaches them: of its proxies, or their own. */
  readonly routes: readonly string[];
  /** A client that takes nothing for so long is dropped. */
  readonly writeDeadlineMs: number;
  /** So is one for which more is waiting. */
  readonly maxPendingBytes: number;
  /**
   * A link that answers no ping is given up after `pingsOutMax + 1` of these, when it was idle or new. While anything is
   * written to it, nats-server 2.9 puts its pings off: a cut below steady traffic shows only when the writes block.
   */
  readonly pingIntervalMs?: number;
  readonly pingsOutMax?: number;
};

/** Nobody listens there; it is what gossip spreads. */
const deadAddress = '127.0.0.1:1';

/** The text of its configuration file (`nats-server -c`). */
export function brokerConfig(options: BrokerOptions): string {
  const { name, clusterName, host, clientPort, routePort, routes, writeDeadlineMs, maxPendingBytes } = options;
  const { pingIntervalMs = 1000, pingsOutMax = 2 } = options;
  return `server_name: "${name}"
listen: "${host}:${clientPort}"
ping_interval: "${pingIntervalMs}ms"
ping_max: ${pingsOutMax}
write_deadline: "${writeDeadlineMs}ms"
max_pending: ${maxPendingBytes}
cluster {
  name: "${clusterName}"
  listen: "${host}:${routePort}"
  advertise: "${deadAddress}"
  no_advertise: true
  routes: [${routes.map((route) => `"nats://${route}"`).join(', ')}]
}
`;
}
