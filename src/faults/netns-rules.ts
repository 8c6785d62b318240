/** Shapes of links as what iptables-restore and `tc -batch` read. Pure. */
import type { LinkShape } from './shaping.js';

/** One direction between two hosts, as the router sees it. */
export type RoutedLink = {
  readonly fromAddress: string;
  readonly toAddress: string;
  /** The router's interface towards the receiver. */
  readonly device: string;
  readonly shape: LinkShape;
};

/** Between a node and its broker, inside one namespace. */
export type LocalLink = { readonly direction: 'toBroker' | 'toNode'; readonly shape: LinkShape };

const probability = (share: number): string => share.toFixed(6);

/** The end of a rule that drops what a shape loses; undefined: it loses nothing. */
function dropOf({ cut, lossShare }: LinkShape): string | undefined {
  if (cut) return '-j DROP';
  if (lossShare > 0) return `-m statistic --mode random --probability ${probability(lossShare)} -j DROP`;
  return undefined;
}

/** The whole table: iptables-restore puts it in force at once, in place of what was. */
const filterTable = (rules: readonly string[]): string =>
  ['*filter', ':INPUT ACCEPT [0:0]', ':FORWARD ACCEPT [0:0]', ':OUTPUT ACCEPT [0:0]', ...rules, 'COMMIT', ''].join(
    '\n',
  );

export const routerTable = (links: readonly RoutedLink[]): string =>
  filterTable(
    links.flatMap(({ fromAddress, toAddress, shape }) => {
      const drop = dropOf(shape);
      return drop === undefined ? [] : [`-A FORWARD -s ${fromAddress} -d ${toAddress} ${drop}`];
    }),
  );

export const hostTable = (links: readonly LocalLink[], clientPort: number): string =>
  filterTable(
    links.flatMap(({ direction, shape }) => {
      const drop = dropOf(shape);
      const port = direction === 'toNode' ? 'sport' : 'dport';
      return drop === undefined ? [] : [`-A INPUT -i lo -p tcp --${port} ${clientPort} ${drop}`];
    }),
  );

/** Beyond what any of these links carries. */
const wideOpen = '10gbit';
const firstClass = 0x10;

export const needsNetem = ({ delayMs, jitterMs }: LinkShape): boolean => delayMs > 0 || jitterMs > 0;

const isQueued = (shape: LinkShape): boolean => needsNetem(shape) || Number.isFinite(shape.bytesPerSecond);

function classLines({ fromAddress, device, shape }: RoutedLink, number: number): readonly string[] {
  const id = (firstClass + number).toString(16);
  // In the language of tc, bps are bytes a second.
  const rate = Number.isFinite(shape.bytesPerSecond) ? `${Math.ceil(shape.bytesPerSecond)}bps` : wideOpen;
  const netem = `qdisc add dev ${device} parent 1:${id} handle ${id}: netem limit 100000`;
  return [
    `class add dev ${device} parent 1: classid 1:${id} htb rate ${rate} quantum 1514`,
    `filter add dev ${device} parent 1: protocol ip prio 1 u32 match ip src ${fromAddress}/32 flowid 1:${id}`,
    ...(needsNetem(shape) ? [`${netem} delay ${shape.delayMs}ms ${shape.jitterMs}ms`] : []),
  ];
}

/** For each interface of the router the lines that queue what goes out by it; none: nothing is to be queued there. */
export function queueLines(links: readonly RoutedLink[]): ReadonlyMap<string, readonly string[]> {
  const devices = [...new Set(links.map(({ device }) => device))];
  return new Map(
    devices.map((device) => {
      const queued = links.filter((link) => link.device === device && isQueued(link.shape));
      if (queued.length === 0) return [device, []];
      const root = [
        `qdisc add dev ${device} root handle 1: htb default 1`,
        `class add dev ${device} parent 1: classid 1:1 htb rate ${wideOpen} quantum 60000`,
      ];
      return [device, [...root, ...queued.flatMap(classLines)]];
    }),
  );
}
