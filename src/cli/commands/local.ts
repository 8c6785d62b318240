/** up, down, status: the cluster on this machine. */
import { join, resolve } from 'node:path';
import { isRingraftError, RingraftError } from '../../base/index.js';
import type { Context } from '../context.js';
import { exitCodes } from '../exit-codes.js';
import { write } from '../io.js';
import { mapWithLeaders } from '../local/leaders.js';
import { startMissingNodes } from '../local/nodes.js';
import { type Backend, backends, type LocalState, readState, serverText } from '../local/state.js';
import { type Connect, startLocalCluster, stopLocalCluster, untilReady } from '../local/supervisor.js';
import { colorsFor, json, table } from '../output.js';
import { fileNames } from '../secure/directory.js';
import { formatBytes, parseCount } from '../values.js';
import { type Arguments, type Command, flag, optionalText } from './command.js';

export type ConnectLocal = Connect;

const longMs = 3_600_000;

const count = (args: Arguments, name: string, least: number): number | undefined => {
  const given = optionalText(args, name);
  return given === undefined ? undefined : parseCount(given, `--${name}`, least);
};

/** A cluster that runs is what was asked for; those of its nodes that do not run are started. undefined: none runs. */
async function startAgain(
  context: Context,
  connect: Connect,
  secureDirectory: string | undefined,
): Promise<LocalState | undefined> {
  const { io, stateDirectory, processes } = context;
  const found = startMissingNodes(stateDirectory, processes);
  if (found === undefined) return undefined;
  const { state, started } = found;
  if (secureDirectory !== undefined && state.secureDirectory !== secureDirectory) {
    const how = state.secureDirectory === undefined ? 'unsecured' : `with ${state.secureDirectory}`;
    throw new RingraftError('CONFLICT', `a local cluster runs already, ${how}; \`kvctl down\` stops it`);
  }
  io.err.write(`a local cluster runs already, at ${serverText(state)}\n`);
  if (started.length === 0) return state;
  io.err.write(`starting ${started.join(', ')} again ...\n`);
  await untilReady(stateDirectory, state, connect, context);
  return state;
}

function secureDirectoryOf(context: Context, args: Arguments): string | undefined {
  const secure = optionalText(args, 'secure');
  if (secure === undefined) return undefined;
  if (context.args.config === undefined) return resolve(secure);
  throw new RingraftError('BAD_REQUEST', 'give --secure, whose directory has a configuration, or --config, not both');
}

const topologies = ['single', 'clustered'] as const;

/** undefined: one nats-server for all nodes. */
function backendOf(args: Arguments, secureDirectory: string | undefined): Backend | undefined {
  if (args.topology !== 'clustered') {
    if (args.backend === 'netns') throw new RingraftError('BAD_REQUEST', '--backend goes with --topology clustered');
    return undefined;
  }
  if (secureDirectory !== undefined) {
    throw new RingraftError('BAD_REQUEST', '--topology clustered is for tests: it goes without --secure');
  }
  return args.backend as Backend;
}

async function startFresh(
  context: Context,
  args: Arguments,
  connect: Connect,
  secureDirectory: string | undefined,
): Promise<LocalState> {
  const { io, stateDirectory } = context;
  const options = {
    configPath: secureDirectory === undefined ? context.configPath : join(secureDirectory, fileNames.nodes),
    secureDirectory,
    stateDirectory,
    port: count(args, 'port', 0) ?? 0,
    nodes: count(args, 'nodes', 1),
    shards: count(args, 'shards', 1),
    fresh: flag(args, 'fresh'),
    backend: backendOf(args, secureDirectory),
  };
  try {
    const state = await startLocalCluster(options, process.env, context);
    const { brokers, nodes } = state;
    const servers = brokers.length === 1 ? 'nats-server' : `${brokers.length} nats-servers`;
    io.err.write(`starting ${servers} and ${nodes.length} nodes ...\n`);
    await untilReady(stateDirectory, state, connect, context);
    return state;
  } catch (error) {
    // CONFLICT: somebody else's processes.
    if (!isRingraftError(error, 'CONFLICT')) await stopLocalCluster(stateDirectory, context);
    throw error;
  }
}

export const up = (connect: Connect): Command => ({
  command: 'up',
  describe: 'Start a cluster on this machine: one nats-server and the nodes of the configuration',
  builder: (parser) =>
    parser
      .option('port', { type: 'string', requiresArg: true, describe: 'Port of nats-server [default: any free one]' })
      .option('nodes', { type: 'string', requiresArg: true, describe: 'So many nodes instead of the configured ones' })
      .option('shards', {
        type: 'string',
        requiresArg: true,
        describe: 'So many shards instead of the configured number',
      })
      .option('secure', {
        type: 'string',
        requiresArg: true,
        describe: 'With the keys and permissions that `kvctl init --secure` wrote here',
      })
      .option('topology', {
        choices: topologies,
        default: 'single' as const,
        describe: 'One nats-server, or one for each node: then `kvctl fault` can cut them off',
      })
      .option('backend', {
        choices: backends,
        default: 'proxy' as const,
        describe: 'What cuts them off: proxies, or network namespaces (root)',
      })
      .option('fresh', { type: 'boolean', describe: 'Delete the data of an earlier cluster first' })
      .option('foreground', { type: 'boolean', describe: 'Stay until Ctrl-C, then stop it all' })
      .example('$0 up', 'three nodes, in the background; beside a cluster that runs: those that do not')
      .example('$0 up --nodes 5 --shards 64 --fresh', 'larger, and empty')
      .example('$0 up --topology clustered --nodes 5', 'to see what partitions do to it'),
  async run(context, args) {
    const { io, stateDirectory } = context;
    const secure = secureDirectoryOf(context, args);
    const state = (await startAgain(context, connect, secure)) ?? (await startFresh(context, args, connect, secure));
    await write(io.out, `${serverText(state)}\n`);
    if (!flag(args, 'foreground')) return exitCodes.ok;
    io.err.write('running; Ctrl-C stops it all\n');
    // A timer: nothing else keeps this process there.
    while (!io.signal.aborted) await context.pause(longMs);
    await stopLocalCluster(stateDirectory, context);
    return exitCodes.ok;
  },
});

export const down: Command = {
  command: 'down',
  describe: 'Stop the cluster on this machine (its data stay)',
  async run(context) {
    const { io, stateDirectory } = context;
    const stopped = await stopLocalCluster(stateDirectory, context);
    io.err.write(stopped === 0 ? 'nothing was running\n' : `stopped ${stopped} processes\n`);
    return exitCodes.ok;
  },
};

type NodeRow = {
  readonly id: string;
  readonly running: boolean;
  readonly pid: number | null;
  readonly memoryBytes: number | null;
  readonly replicas: number;
  readonly leaders: number;
  readonly maxLagEntries: number;
  readonly walBytes: number | null;
  /** Replicas that wait to be replaced. */
  readonly damaged: readonly { readonly shardId: number; readonly reason: string | null }[];
  /** The same and the new ones that do not vote yet. */
  readonly rebuilding: number;
};

async function nodeRow(context: Context, id: string, pid: number | null): Promise<NodeRow> {
  const client = await context.connect();
  try {
    const status = await client.nodeStatus(id, Math.min(2000, context.timeoutMs));
    const leading = status.shards.filter(({ role }) => role === 'leader');
    return {
      id,
      running: true,
      pid: status.pid,
      memoryBytes: status.memory.residentBytes,
      replicas: status.shards.length,
      leaders: leading.length,
      maxLagEntries: Math.max(0, ...leading.map(({ lagEntries }) => lagEntries ?? 0)),
      walBytes: status.wal.bytesOnDisk,
      damaged: status.shards
        .filter(({ role }) => role === 'damaged')
        .map(({ shardId, damage }) => ({ shardId, reason: damage })),
      rebuilding: status.shards.filter(({ role }) => role === 'damaged' || role === 'learner').length,
    };
  } catch (error) {
    if (!isRingraftError(error, 'UNREACHABLE') && !isRingraftError(error, 'TIMEOUT')) throw error;
    const nothing = { memoryBytes: null, replicas: 0, leaders: 0, maxLagEntries: 0, walBytes: null };
    return { id, running: false, pid, ...nothing, damaged: [], rebuilding: 0 };
  }
}

export const status: Command = {
  command: 'status',
  describe: 'What runs, who leads, who lags (exit code 1 when something does not run or is being rebuilt)',
  builder: (parser) => parser.option('shards', { type: 'boolean', describe: 'Every shard, with its replicas' }),
  async run(context, args) {
    const { io } = context;
    const local = readState(context.stateDirectory);
    if (
      local !== undefined &&
      context.args.server === undefined &&
      !local.brokers.some((broker) => context.processes.isRunning(broker))
    ) {
      throw new RingraftError('UNREACHABLE', 'the local cluster does not run any more: `kvctl up` starts it again');
    }
    const client = await context.connect();
    const { map, leaders } = await mapWithLeaders(client, context.timeoutMs);
    const pids = new Map(local?.nodes.map(({ id, pid }) => [id, pid]));
    const nodes = await Promise.all(map.nodes.map(({ id }) => nodeRow(context, id, pids.get(id) ?? null)));
    const leaderless = leaders.filter((leader) => leader === null).length;
    const isRebuilding = nodes.some(({ rebuilding }) => rebuilding > 0);
    const isWell = leaderless === 0 && !isRebuilding && nodes.every(({ running }) => running);
    const shards = map.shards.map((shard, at) => ({
      id: shard.id,
      leader: leaders[at] ?? null,
      replicas: shard.replicas.map(({ nodeId }) => nodeId),
    }));
    if (context.args.output === 'json') {
      const { cluster } = map;
      await write(
        io.out,
        json({
          cluster,
          natsUrl: local === undefined ? null : serverText(local),
          healthy: isWell,
          leaderless,
          nodes,
          shards,
        }),
      );
      return isWell ? exitCodes.ok : exitCodes.error;
    }
    const colors = colorsFor(io.out, io.env);
    const dash = (value: number | null, format: (value: number) => string = String): string =>
      value === null ? '-' : format(value);
    const columns = ['NODE', 'STATE', 'PID', 'MEMORY', 'REPLICAS', 'LEADERS', 'LAG', 'LOG'];
    if (isRebuilding) columns.push('REBUILDING');
    const rows = nodes.map((node) => [
      node.id,
      node.running ? colors.green('up') : colors.red('down'),
      dash(node.pid),
      dash(node.memoryBytes, formatBytes),
      node.replicas,
      node.leaders,
      node.maxLagEntries,
      dash(node.walBytes, formatBytes),
      ...(isRebuilding ? [node.rebuilding > 0 ? colors.red(String(node.rebuilding)) : '0'] : []),
    ]);
    const drawn = table(
      columns.map((name, at) => ({ name, right: at > 1 })),
      rows,
      colors,
    );
    const led = `${shards.length - leaderless} of ${shards.length} shards have a leader`;
    await write(io.out, `cluster ${map.cluster}, ${led}\n${drawn}`);
    if (flag(args, 'shards')) {
      const shardRows = shards.map(({ id, leader, replicas }) => [
        id,
        leader ?? colors.red('none'),
        replicas.join(' '),
      ]);
      await write(
        io.out,
        table([{ name: 'SHARD', right: true }, { name: 'LEADER' }, { name: 'REPLICAS' }], shardRows, colors),
      );
    }
    return isWell ? exitCodes.ok : exitCodes.error;
  },
};
