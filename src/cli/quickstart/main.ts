/**
 * `npm start`: the main job, shown and checked from beginning to end on this machine. Leaves the cluster running until
 * Ctrl-C, or stops it with `--exit`. Exit codes: 0 all checks held, 1 one did not, 130 interrupted.
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { isRingraftError, messageOf, packageRoot } from '../../base/index.js';
import type { RingraftClient } from '../../client/index.js';
import { connect } from '../connect.js';
import { exitCodes } from '../exit-codes.js';
import type { Io } from '../io.js';
import { isRunning, type LocalState, readState, serversOf, serverText } from '../local/state.js';
import { startLocalCluster, stopLocalCluster, untilReady } from '../local/supervisor.js';
import { colorsFor, table } from '../output.js';
import { formatCount } from '../values.js';
import { loadCities } from './cities.js';
import {
  CheckFailed,
  citiesBucket,
  compareAndSwap,
  killLeader,
  load,
  type Stage,
  untilCaughtUp,
  verify,
} from './steps.js';

const root = packageRoot();
const configPath = join(root, 'cluster.config.json');
const stateDirectory = join(root, '.ringraft');
const samples = ['FR/11/Paris', 'JP/40/Tokyo', 'IS/39/Reykjavík'];

const connectLocal = (state: LocalState, timeoutMs: number): Promise<RingraftClient> =>
  connect({ config: undefined, servers: serversOf(state), cluster: state.cluster, timeoutMs });

async function begin(io: Io, say: (text: string) => void): Promise<LocalState> {
  const running = readState(stateDirectory);
  if (running !== undefined && [...running.brokers, ...running.nodes].some(isRunning)) {
    say('A cluster of an earlier run is still there: stopping it.');
    await stopLocalCluster(stateDirectory);
  }
  const started = performance.now();
  const options = { configPath, stateDirectory, port: 0, fresh: true };
  const state = await startLocalCluster(options, process.env);
  if (io.signal.aborted) return state;
  await untilReady(stateDirectory, state, connectLocal);
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  const ids = state.nodes.map(({ id }) => id).join(', ');
  say(`  nats-server at ${serverText(state)}, nodes ${ids}, every shard has a leader (${seconds} s)`);
  return state;
}

/** Shows and checks everything; what it returns stands in the summary. */
async function show(stage: Stage, say: (text: string) => void, heading: (text: string) => void): Promise<string[][]> {
  const { client } = stage;
  const { map } = await client.map();
  heading('2. Load the cities of the world');
  const cities = loadCities();
  const loaded = await load(stage, cities);
  const loadRate = `${formatCount(loaded.count / loaded.seconds)}/s`;
  say(
    `  ${formatCount(loaded.count)} cities in ${loaded.seconds.toFixed(1)} s (${loadRate}), each on disk on a majority`,
  );

  heading('3. Read some back');
  const known = new Set(cities.map(({ key }) => key));
  const shown = samples.filter((key) => known.has(key));
  for (const key of shown.length > 0 ? shown : cities.slice(0, 3).map((city) => city.key)) {
    const found = await client.get(citiesBucket, key);
    if (found === undefined) throw new CheckFailed(`${key} is missing`);
    say(`  ${key} = ${found.value.toString()}  (revision ${found.revision}, ${found.consistency})`);
  }

  heading('4. Compare and swap');
  const record = cities[0];
  if (record === undefined) throw new CheckFailed('the data set is empty');
  const cas = await compareAndSwap(stage, record);
  say(`  ${record.key}: swapped, now revision ${cas.revision}`);
  say(`  the same again on the old revision: CONFLICT, it has revision ${cas.refusedAt} (nothing changed)`);

  heading('5. Kill a leader with SIGKILL while writing');
  const failover = await killLeader(stage, 0);
  say(`  shard ${failover.shard}: ${failover.killed} killed, ${failover.successor} leads now`);
  say(
    `  writes were away for ${Math.round(failover.awayMs)} ms; none failed, none was lost (${formatCount(failover.writes)} written)`,
  );
  const caughtUp = await untilCaughtUp(stage, failover.killed);
  say(`  ${failover.killed} is back and has caught up (${caughtUp.toFixed(1)} s)`);

  heading('6. Read every record back');
  const verified = await verify(stage, cities);
  const readRate = `${formatCount(verified.count / verified.seconds)}/s`;
  say(`  ${formatCount(verified.count)} of ${formatCount(cities.length)} records correct (${readRate}, linearizable)`);
  return [
    ['nodes, shards, replicas', `${map.nodes.length}, ${map.shards.length}, ${map.shards[0]?.replicas.length ?? 0}`],
    ['records stored', `${formatCount(loaded.count)} (${loadRate})`],
    ['records read back correct', `${formatCount(verified.count)} (${readRate})`],
    ['compare-and-swap', '1 done, 1 refused'],
    ['writes away after SIGKILL of a leader', `${Math.round(failover.awayMs)} ms`],
    ['acknowledged writes lost', '0'],
  ];
}

async function main(): Promise<number> {
  const interrupt = new AbortController();
  process.on('SIGINT', () => interrupt.abort());
  process.on('SIGTERM', () => interrupt.abort());
  const io: Io = {
    out: process.stdout,
    err: process.stderr,
    in: process.stdin,
    env: process.env,
    signal: interrupt.signal,
  };
  const colors = colorsFor(io.out, io.env);
  const say = (text: string): void => {
    io.out.write(`${text}\n`);
  };
  const heading = (text: string): void => say(`\n${colors.bold(text)}`);
  const exits = process.argv.includes('--exit');
  const aborted = new Promise<never>((_, reject) => {
    interrupt.signal.addEventListener('abort', () => reject(new Error('interrupted')), { once: true });
  });
  aborted.catch(() => {});
  let client: RingraftClient | undefined;
  try {
    say(colors.bold('Ringraft: a strongly consistent, sharded key-value store over NATS'));
    heading('1. Start a cluster on this machine');
    const state = await Promise.race([begin(io, say), aborted]);
    client = await connectLocal(state, 10_000);
    const summary = await Promise.race([show({ client, io, stateDirectory }, say, heading), aborted]);
    heading('Summary');
    io.out.write(table([{ name: 'WHAT' }, { name: 'FIGURE', right: true }], summary, colors));
    if (exits) return exitCodes.ok;
    heading('The cluster runs on. In another terminal, in this directory:');
    say(
      "  npx kvctl get -b cities 'FR/11/Paris'\n  npx kvctl scan -b cities --prefix IS/ --limit 10\n  npx kvctl put greeting hello && npx kvctl get greeting\n  npx kvctl status --shards\n  npx kvctl bench -b bench --op get",
    );
    say('\nCtrl-C stops it all.');
    await aborted;
    return exitCodes.ok;
  } catch (error) {
    if (interrupt.signal.aborted) {
      io.err.write('\nstopping ...\n');
      return exits ? exitCodes.interrupted : exitCodes.ok;
    }
    const what = error instanceof CheckFailed ? 'check failed' : isRingraftError(error) ? error.code : 'unexpected';
    io.err.write(`\n${what}: ${messageOf(error)}\n`);
    if (what === 'unexpected' && error instanceof Error) io.err.write(`${error.stack}\n`);
    return exitCodes.error;
  } finally {
    await client?.close().catch(() => {});
    await stopLocalCluster(stateDirectory);
  }
}

// `npx kvctl` of this checkout: npm links the binaries of dependencies, not the package's own.
function linkBinary(): void {
  const path = join(root, 'node_modules', '.bin', 'kvctl');
  const script = `#!/bin/sh\nexec "${process.execPath}" "${join(root, 'dist', 'bin', 'kvctl.js')}" "$@"\n`;
  if (existsSync(path) && readFileSync(path, 'utf8') === script) return;
  writeFileSync(path, script, { mode: 0o755 });
}

linkBinary();
process.exitCode = await main();
