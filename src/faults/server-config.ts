/** What the fault server is started with: a JSON file that the supervisor writes. */
import { readFileSync } from 'node:fs';
import { messageOf, RingraftError } from '../base/index.js';
import { JsonReader } from './json-reader.js';
import type { NetnsPlan } from './netns-plan.js';
import type { ProxiedPair } from './proxy-back-end.js';

/** One node and its broker, as the prober reaches it: not through a proxy. */
export type FaultHost = { readonly node: string; readonly address: string; readonly clientPort: number };

type CommonConfig = {
  readonly controlSocket: string;
  /** Their order is that of the cluster: the earlier dials the later. */
  readonly hosts: readonly FaultHost[];
};

/** A node's way to its own broker: it connects to `listenPort`. */
export type ProxiedNode = { readonly node: string; readonly listenPort: number; readonly targetPort: number };

export type ProxyServerConfig = CommonConfig & {
  readonly backEnd: 'proxy';
  readonly pairs: readonly ProxiedPair[];
  readonly nodes: readonly ProxiedNode[];
};

export type NetnsServerConfig = CommonConfig & { readonly backEnd: 'netns'; readonly netns: NetnsPlan };

export type FaultServerConfig = ProxyServerConfig | NetnsServerConfig;

const readHost = (reader: JsonReader): FaultHost => ({
  node: reader.field('node').text(),
  address: reader.field('address').text(),
  clientPort: reader.field('clientPort').port(),
});

const readPorts = (reader: JsonReader): { readonly listenPort: number; readonly targetPort: number } => ({
  listenPort: reader.field('listenPort').port(),
  targetPort: reader.field('targetPort').port(),
});

const readPair = (reader: JsonReader): ProxiedPair => ({
  from: reader.field('from').text(),
  to: reader.field('to').text(),
  ...readPorts(reader),
});

const readNode = (reader: JsonReader): ProxiedNode => ({ node: reader.field('node').text(), ...readPorts(reader) });

const readNetns = (reader: JsonReader): NetnsPlan => ({
  id: reader.field('id').text(),
  router: reader.field('router').text(),
  subnet: reader.field('subnet').text(),
  rootDevice: reader.field('rootDevice').text(),
  rootAddress: reader.field('rootAddress').text(),
  gatewayAddress: reader.field('gatewayAddress').text(),
  hosts: reader.field('hosts').items((each) => ({
    node: each.field('node').text(),
    namespace: each.field('namespace').text(),
    device: each.field('device').text(),
    address: each.field('address').text(),
    gatewayAddress: each.field('gatewayAddress').text(),
  })),
});

/** CONFIG with what is wrong. */
export function parseFaultServerConfig(value: unknown): FaultServerConfig {
  const reader = new JsonReader(value, 'config', 'CONFIG');
  const common: CommonConfig = {
    controlSocket: reader.field('controlSocket').text(),
    hosts: reader.field('hosts').items(readHost),
  };
  const backEnd = reader.field('backEnd').oneOf(['proxy', 'netns']);
  if (backEnd === 'netns') return { ...common, backEnd, netns: readNetns(reader.field('netns')) };
  const pairs = reader.field('pairs').items(readPair);
  return { ...common, backEnd, pairs, nodes: reader.field('nodes').items(readNode) };
}

export function readFaultServerConfig(path: string): FaultServerConfig {
  let value: unknown;
  try {
    value = JSON.parse(readFileSync(path, 'utf8'));
  } catch (cause) {
    throw new RingraftError('CONFIG', `cannot read ${path}: ${messageOf(cause)}`, { cause });
  }
  return parseFaultServerConfig(value);
}
