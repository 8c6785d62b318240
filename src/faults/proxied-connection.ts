/** One connection through a proxy: the dialler's socket, ours to its target, and a pump each way. */
import { Socket } from 'node:net';
import type { Clock } from '../base/index.js';
import { Pump } from './pump.js';
import type { ShapedLink } from './shaped-link.js';

/** The links of a connection: the dialler's bytes go forward, the answer's come back. */
export type LinkPair = { readonly forward: ShapedLink; readonly backward: ShapedLink };

export type Target = { readonly host: string; readonly port: number };

export class ProxiedConnection {
  private readonly upstream = new Socket({ allowHalfOpen: true });
  private readonly forward: Pump;
  private readonly backward: Pump;
  private state: 'waiting' | 'dialling' | 'open' = 'waiting';
  private isOver = false;

  constructor(
    private readonly dialler: Socket,
    private readonly links: LinkPair,
    private readonly target: Target,
    clock: Clock,
    private readonly onOver: () => void,
  ) {
    const { dialler: down, upstream: up } = this;
    this.forward = new Pump(down, up, links.forward, clock);
    this.backward = new Pump(up, down, links.backward, clock);
    for (const socket of [down, up]) {
      // What broke is seen by 'close', which follows.
      socket.on('error', () => {});
      socket.on('close', () => this.settle());
    }
    // Who gives up before the other side has heard of it leaves no trace there.
    down.on('end', () => {
      if (this.state === 'waiting') this.destroy();
    });
    this.dial();
  }

  /** After a link got another shape. */
  reshape(): void {
    this.dial();
    this.forward.reshape();
    this.backward.reshape();
  }

  reset(): void {
    this.dialler.resetAndDestroy();
    if (this.state === 'waiting') this.upstream.destroy();
    else this.upstream.resetAndDestroy();
    this.forward.discard();
    this.backward.discard();
  }

  destroy(): void {
    this.dialler.destroy();
    this.upstream.destroy();
    this.forward.discard();
    this.backward.discard();
  }

  /** A handshake takes both ways: over a cut one the connection waits, as packets of it would be repeated. */
  private dial(): void {
    const { forward, backward } = this.links;
    if (this.state !== 'waiting' || this.isOver || forward.shape.cut || backward.shape.cut) return;
    this.state = 'dialling';
    this.upstream.setNoDelay(true);
    this.upstream.connect(this.target.port, this.target.host, () => {
      this.state = 'open';
      this.forward.open();
      this.backward.open();
    });
  }

  private settle(): void {
    // One that was never connected has nobody to be told.
    if (this.state !== 'open') {
      this.dialler.resetAndDestroy();
      this.upstream.destroy();
    }
    if (this.isOver || !this.dialler.destroyed || !this.upstream.destroyed) return;
    this.isOver = true;
    this.forward.discard();
    this.backward.discard();
    this.onOver();
  }
}
