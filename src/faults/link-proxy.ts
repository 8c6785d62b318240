/**
 * A TCP proxy for one pair of endpoints: the dialler connects to us, we connect to the other.
 *
 * Invariant: at most `mostConnections` stand at a time; the oldest goes when there is one more. (Connections whose ends
 * are hidden by a cut would pile up otherwise: whoever dials dials again and again.)
 */
import { createServer, type Server, type Socket } from 'node:net';
import { type Clock, messageOf, RingraftError } from '../base/index.js';
import { type LinkPair, ProxiedConnection, type Target } from './proxied-connection.js';

const mostConnections = 256;

export type ProxyOptions = {
  readonly listenHost: string;
  /** 0: any free one. */
  readonly listenPort: number;
  readonly target: Target;
};

export class LinkProxy {
  private readonly connections = new Set<ProxiedConnection>();

  private constructor(
    private readonly server: Server,
    private readonly links: LinkPair,
    private readonly target: Target,
    private readonly clock: Clock,
  ) {
    server.on('connection', (socket: Socket) => this.accept(socket));
  }

  /** UNREACHABLE when the port is not free. */
  static listen({ listenHost, listenPort, target }: ProxyOptions, links: LinkPair, clock: Clock): Promise<LinkProxy> {
    return new Promise((resolve, reject) => {
      const server = createServer({ allowHalfOpen: true, noDelay: true });
      const proxy = new LinkProxy(server, links, target, clock);
      server.once('error', (cause) => {
        const message = `cannot listen on ${listenHost}:${listenPort}: ${messageOf(cause)}`;
        reject(new RingraftError('UNREACHABLE', message, { cause }));
      });
      server.listen(listenPort, listenHost, () => resolve(proxy));
    });
  }

  get port(): number {
    const address = this.server.address();
    return typeof address === 'object' && address !== null ? address.port : 0;
  }

  get connectionCount(): number {
    return this.connections.size;
  }

  /** After one of the links got another shape. */
  reshape(): void {
    for (const connection of this.connections) connection.reshape();
  }

  /** How many connections there were. */
  reset(): number {
    const { size } = this.connections;
    for (const connection of this.connections) connection.reset();
    return size;
  }

  close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.server.close(() => resolve()));
    for (const connection of this.connections) connection.destroy();
    return closed;
  }

  private accept(socket: Socket): void {
    const connection = new ProxiedConnection(socket, this.links, this.target, this.clock, () => {
      this.connections.delete(connection);
    });
    this.connections.add(connection);
    const [oldest] = this.connections;
    if (this.connections.size > mostConnections) oldest?.reset();
  }
}
