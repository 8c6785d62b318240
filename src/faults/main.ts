#!/usr/bin/env node
/**
 * The fault server: shapes the links of one local cluster, for as long as the cluster runs. Started by the supervisor
 * with the path of its configuration, before the brokers; ends on SIGTERM.
 */
import { isRingraftError, messageOf, systemClock, systemRandom } from '../base/index.js';
import { connectNats } from '../transport/index.js';
import { runCommand } from './command-runner.js';
import { serveFaultControl } from './control-server.js';
import { FaultBook } from './fault-book.js';
import type { LinkBackEnd } from './link-back-end.js';
import { openNetnsBackEnd } from './netns-back-end.js';
import { openProxyBackEnd } from './proxy-back-end.js';
import { ReachProber } from './reach-prober.js';
import { type FaultServerConfig, readFaultServerConfig } from './server-config.js';
import { brokerOf } from './types.js';

const exitCodes = { stopped: 0, error: 1, usage: 2 } as const;
const connectTimeoutMs = 1000;

function openBackEnd(config: FaultServerConfig): Promise<LinkBackEnd> {
  if (config.backEnd === 'netns') return openNetnsBackEnd(config.netns, config.hosts, runCommand);
  const nodes = config.nodes.map(({ node, ...ports }) => ({ from: node, to: brokerOf(node), ...ports }));
  return openProxyBackEnd([...config.pairs, ...nodes], systemClock, systemRandom);
}

function buildProber({ hosts }: FaultServerConfig): ReachProber {
  const serverOf = new Map(
    hosts.map(({ node, address, clientPort }) => [brokerOf(node), `nats://${address}:${clientPort}`]),
  );
  const connect = (endpoint: string) =>
    connectNats({ servers: [serverOf.get(endpoint) as string], name: `reach of ${endpoint}`, connectTimeoutMs }, [
      'client',
    ]);
  return new ReachProber([...serverOf.keys()], connect, systemClock, systemRandom);
}

const say = (text: string): void => {
  process.stdout.write(`${new Date().toISOString()} ${text}\n`);
};

async function start(configPath: string): Promise<void> {
  const config = readFaultServerConfig(configPath);
  const backEnd = await openBackEnd(config);
  const prober = buildProber(config);
  const server = await serveFaultControl(new FaultBook(backEnd, prober), config.controlSocket);
  prober.start();
  say(`shapes ${backEnd.links.length} links (${config.backEnd}), told by ${config.controlSocket}`);
  const stop = async (signal: string): Promise<void> => {
    say(`stops: ${signal}`);
    await server.close();
    await Promise.all([backEnd.close(), prober.close()]);
    process.exit(exitCodes.stopped);
  };
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => void stop(signal));
}

const [configPath] = process.argv.slice(2);
if (configPath === undefined) {
  process.stderr.write('usage: faults/main.js CONFIG.json\n');
  process.exit(exitCodes.usage);
}
start(configPath).catch((error: unknown) => {
  say(isRingraftError(error) ? `${error.code}: ${error.message}` : messageOf(error));
  process.exit(isRingraftError(error, 'CONFIG') ? exitCodes.usage : exitCodes.error);
});
