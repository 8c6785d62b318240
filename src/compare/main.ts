/** `npm run bench:compare`: Ringraft beside others on this machine. Everything it starts it stops. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { isRingraftError, messageOf, RingraftError, systemClock } from '../base/index.js';
import { colorsFor, exitCodes, json } from '../cli/index.js';
import { connectNats } from '../transport/index.js';
import { drawChart, type Figure } from './charts.js';
import { figuresOf, withFigures } from './docs-page.js';
import { EtcdPeer } from './etcd/peer.js';
import { installPackage } from './install.js';
import type { ConnectBus } from './jetstream/client.js';
import { JetStreamPeer } from './jetstream/peer.js';
import { machineOf } from './machine.js';
import { type CompareFlags, compareUsage, parseCompareFlags } from './options.js';
import type { Peer, PeerName } from './peer.js';
import { tablesOf } from './report.js';
import { type Comparison, type Meta, ResultBook } from './results.js';
import { RingraftPeer } from './ringraft/peer.js';
import { hasProcessorTime } from './server-processes.js';
import { Session } from './session.js';

const docsDirectory = fileURLToPath(new URL('../../../docs', import.meta.url));
const figures: readonly Figure[] = ['throughput', 'latency'];

/** Somebody asked for the end. */
class Stopped extends Error {}

const startedMs = systemClock.nowMs();
const say = (text: string): void => {
  process.stderr.write(`${((systemClock.nowMs() - startedMs) / 1000).toFixed(1).padStart(7)} s  ${text}\n`);
};

function newPeer(name: PeerName, brokers: number): Peer {
  const connectBus: ConnectBus = (url) => connectNats({ servers: [url], name: 'compare' }, ['client']);
  switch (name) {
    case 'ringraft':
      return new RingraftPeer(brokers);
    case 'etcd':
      return new EtcdPeer();
    case 'jetstream':
      return new JetStreamPeer(connectBus, false);
    case 'jetstream-sync':
      return new JetStreamPeer(connectBus, true);
  }
}

/** Those that can run here, and why the others cannot. */
function available({ peers, install, brokers }: CompareFlags): {
  readonly peers: readonly Peer[];
  readonly skipped: readonly string[];
} {
  const skipped: string[] = [];
  const found = peers
    .map((name) => newPeer(name, brokers))
    .filter((peer) => {
      if (install && peer.debianPackage !== undefined && peer.missing() !== undefined) {
        installPackage(peer.debianPackage, say);
      }
      const why = peer.missing();
      if (why === undefined) return true;
      const how = peer.debianPackage === undefined ? '' : ` (--install installs ${peer.debianPackage})`;
      skipped.push(`${peer.title}: ${why}${how}`);
      return false;
    });
  for (const text of skipped) say(`left out: ${text}`);
  return { peers: found, skipped };
}

async function measure(flags: CompareFlags, stop: AbortSignal): Promise<Comparison> {
  if (!hasProcessorTime())
    throw new RingraftError('BAD_REQUEST', 'CPU time is read from /proc, which this system lacks');
  const { peers, skipped } = available(flags);
  const { directory: given, keep, workloads, repeats, seconds, shards } = flags;
  if (given !== undefined) mkdirSync(given, { recursive: true });
  const directory = mkdtempSync(join(given ?? tmpdir(), 'ringraft-compare-'));
  const meta: Meta = {
    command: ['npm run bench:compare --', ...process.argv.slice(2)].join(' '),
    date: new Date().toISOString().slice(0, 10),
    machine: machineOf(directory),
    systems: peers.map((peer) => {
      const { name, title, deployment, client } = peer;
      return { name, title, version: peer.version(), deployment, client };
    }),
    repeats,
    seconds,
    shards,
    skipped,
  };
  const book = new ResultBook();
  const session = new Session({ ...flags, peers, directory, say }, book);
  const stopped = new Promise<never>((_, reject) => {
    stop.addEventListener('abort', () => reject(new Stopped()));
  });
  try {
    await Promise.race([session.run(), stopped]);
  } catch (error) {
    if (!(error instanceof Stopped)) throw error;
    say('stopping');
  } finally {
    await session.stop();
    if (keep) say(`data and logs are in ${directory}`);
    else rmSync(directory, { recursive: true, force: true });
  }
  return book.comparison(meta, workloads);
}

async function writeDocs(comparison: Comparison): Promise<void> {
  const drawn: Figure[] = [];
  for (const figure of figures) {
    const svg = await drawChart(comparison, figure);
    if (svg === undefined) continue;
    writeFileSync(join(docsDirectory, `benchmarks-${figure}.svg`), svg);
    drawn.push(figure);
  }
  const path = join(docsDirectory, 'benchmarks.md');
  writeFileSync(path, withFigures(readFileSync(path, 'utf8'), figuresOf(comparison, drawn)));
  say(`written: ${path}`);
}

async function main(): Promise<number> {
  const flags = parseCompareFlags(process.argv.slice(2));
  if (flags === undefined) {
    process.stdout.write(compareUsage);
    return exitCodes.ok;
  }
  if (flags.list) {
    for (const { name, describe } of flags.workloads) process.stdout.write(`${name.padEnd(22)}${describe}\n`);
    return exitCodes.ok;
  }
  const stopping = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(name, () => stopping.abort());
  const comparison =
    flags.from === undefined
      ? await measure(flags, stopping.signal)
      : (JSON.parse(readFileSync(flags.from, 'utf8')) as Comparison);
  process.stdout.write(flags.json ? json(comparison) : tablesOf(comparison, colorsFor(process.stdout, process.env)));
  if (stopping.signal.aborted) return exitCodes.interrupted;
  if (flags.docs) await writeDocs(comparison);
  return isComplete(comparison) ? exitCodes.ok : exitCodes.error;
}

/** Every workload has a result of at least Ringraft. */
const isComplete = ({ workloads }: Comparison): boolean =>
  workloads.length > 0 && workloads.every(({ results }) => results.ringraft !== undefined);

/** Standard output may be a pipe that is still being read. */
function end(code: number): void {
  process.exitCode = code;
  process.stdout.write('', () => process.exit(code));
}

main().then(end, (error: unknown) => {
  const isKnown = isRingraftError(error);
  say(isKnown ? `${error.code}: ${messageOf(error)}` : String((error as Error).stack));
  const isUsage = isRingraftError(error, 'BAD_REQUEST');
  if (isUsage) say('npm run bench:compare -- --help shows how it is used');
  end(isUsage ? exitCodes.usage : exitCodes.error);
});
