/** Links shaped by proxies: one for each pair of brokers, one for each node and its broker. */
import type { Clock, Random } from '../base/index.js';
import type { LinkBackEnd, ShapedLinkState } from './link-back-end.js';
import { LinkProxy } from './link-proxy.js';
import { ShapedLink } from './shaped-link.js';
import { isSameLink, isSameShape } from './shaping.js';
import type { Endpoint, Link } from './types.js';

/** Who dials `from` -> `to` connects to `listenPort`; we connect to `targetPort`. */
export type ProxiedPair = {
  readonly from: Endpoint;
  readonly to: Endpoint;
  readonly listenPort: number;
  readonly targetPort: number;
};

const loopback = '127.0.0.1';

type PairState = { readonly proxy: LinkProxy; readonly links: readonly (Link & { readonly line: ShapedLink })[] };

class ProxyBackEnd implements LinkBackEnd {
  readonly links: readonly Link[];

  constructor(private readonly pairs: readonly PairState[]) {
    this.links = pairs.flatMap(({ links }) => links.map(({ from, to }) => ({ from, to })));
  }

  /** Bytes are ours: everything can be done to them. */
  async check(): Promise<void> {}

  async apply(shapes: readonly ShapedLinkState[]): Promise<void> {
    // All lines first, so that no proxy dials through a partition that is half there.
    const changed = this.pairs.filter(({ links }) => links.map((link) => setShape(link, shapes)).some(Boolean));
    for (const { proxy } of changed) proxy.reshape();
  }

  async reset(wanted: readonly Link[]): Promise<number> {
    const hit = this.pairs.filter(({ links }) => links.some((link) => wanted.some((other) => isSameLink(link, other))));
    return hit.reduce((sum, { proxy }) => sum + proxy.reset(), 0);
  }

  async close(): Promise<void> {
    await Promise.all(this.pairs.map(({ proxy }) => proxy.close()));
  }
}

function setShape(link: Link & { readonly line: ShapedLink }, shapes: readonly ShapedLinkState[]): boolean {
  const shape = shapes.find((each) => isSameLink(each, link))?.shape;
  if (shape === undefined || isSameShape(shape, link.line.shape)) return false;
  link.line.setShape(shape);
  return true;
}

async function openPair({ from, to, listenPort, targetPort }: ProxiedPair, clock: Clock, random: Random) {
  const [forward, backward] = [new ShapedLink(random), new ShapedLink(random)];
  const options = { listenHost: loopback, listenPort, target: { host: loopback, port: targetPort } };
  const proxy = await LinkProxy.listen(options, { forward, backward }, clock);
  return {
    proxy,
    links: [
      { from, to, line: forward },
      { from: to, to: from, line: backward },
    ],
  };
}

/** Resolves once all proxies listen; UNREACHABLE, and none does, when one port is taken. */
export async function openProxyBackEnd(
  pairs: readonly ProxiedPair[],
  clock: Clock,
  random: Random,
): Promise<LinkBackEnd> {
  const opened = await Promise.allSettled(pairs.map((pair) => openPair(pair, clock, random)));
  const backEnd = new ProxyBackEnd(opened.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : [])));
  const failed = opened.find((each) => each.status === 'rejected');
  if (failed === undefined) return backEnd;
  await backEnd.close();
  throw failed.reason;
}
