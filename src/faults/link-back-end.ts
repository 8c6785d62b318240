/** What shapes links, as a port: proxies without any privilege, or network namespaces. */
import type { LinkShape } from './shaping.js';
import type { Link, LinkFault } from './types.js';

export type ShapedLinkState = Link & { readonly shape: LinkShape };

export type LinkBackEnd = {
  /** All links there are. */
  readonly links: readonly Link[];
  /** Throws BAD_REQUEST, saying why, when it cannot do this to one of its links. */
  check(effects: LinkFault['effects']): Promise<void>;
  /** Resolves once every link is as said; `shapes` names all of them. */
  apply(shapes: readonly ShapedLinkState[]): Promise<void>;
  /** Ends the connections that run over any of these links; how many there were. */
  reset(links: readonly Link[]): Promise<number>;
  close(): Promise<void>;
};
