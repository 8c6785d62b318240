/** node ls: every node on one line, asked directly. */
import type { ClusterMap, MapNode } from '../../wire/index.js';
import type { Context } from '../context.js';
import { exitCodes } from '../exit-codes.js';
import { type Io, write } from '../io.js';
import { type Heard, heardOf, linkWarnings } from '../link-warnings.js';
import { type Colors, colorsFor, json, table } from '../output.js';
import { type NodeState, type SurveyedNode, survey } from '../survey.js';
import { formatAge, formatBytes } from '../values.js';
import { type Command, flag } from './command.js';

const refreshMs = 1000;

type Row = {
  readonly id: string;
  readonly state: NodeState;
  readonly zone: string;
  readonly weight: number;
  /** From here on null while the node does not answer. */
  readonly replicas: number | null;
  readonly leaders: number | null;
  readonly quiet: number | null;
  readonly damaged: number | null;
  readonly memoryBytes: number | null;
  readonly logBytes: number | null;
  readonly logFull: boolean | null;
  readonly version: string | null;
  readonly uptimeMs: number | null;
  readonly heardBy: readonly Heard[];
};

type Listing = { readonly cluster: string; readonly nodes: readonly Row[]; readonly warnings: readonly string[] };

const unknown = {
  replicas: null,
  leaders: null,
  quiet: null,
  damaged: null,
  memoryBytes: null,
  logBytes: null,
  logFull: null,
  version: null,
  uptimeMs: null,
};

function factsOf({ status }: SurveyedNode): Omit<Row, 'id' | 'state' | 'zone' | 'weight' | 'heardBy'> {
  if (status === undefined) return unknown;
  const { shards } = status;
  return {
    replicas: shards.length,
    leaders: shards.filter(({ role }) => role === 'leader').length,
    quiet: shards.filter(({ isQuiet }) => isQuiet === true).length,
    damaged: shards.filter(({ role }) => role === 'damaged').length,
    memoryBytes: status.memory.residentBytes,
    logBytes: status.wal.bytesOnDisk,
    logFull: status.wal.isFull,
    version: status.version,
    uptimeMs: status.uptimeMs ?? Math.max(0, Date.now() - status.startedAtMs),
  };
}

function listing({ cluster, nodes: placed }: ClusterMap, nodes: readonly SurveyedNode[]): Listing {
  const rows = nodes.map((node, at) => {
    const { zone, weight } = placed[at] as MapNode;
    return { id: node.id, state: node.state, zone, weight, ...factsOf(node), heardBy: heardOf(node.id, nodes) };
  });
  const full = rows.flatMap(({ id, logFull }) => (logFull === true ? [`the disk of ${id}'s log is full`] : []));
  return { cluster, nodes: rows, warnings: [...linkWarnings(nodes), ...full] };
}

/** By whoever heard it last. */
function heardText(heard: readonly Heard[]): string {
  if (heard.length === 0) return '-';
  const ages = heard.flatMap(({ heardAgoMs }) => (heardAgoMs === null ? [] : [heardAgoMs]));
  return ages.length === 0 ? 'never' : formatAge(Math.min(...ages));
}

function drawn({ cluster, nodes, warnings }: Listing, colors: Colors): string {
  const dash = (value: number | null, format: (value: number) => string = String): string =>
    value === null ? '-' : format(value);
  const stateText = (state: NodeState): string => (state === 'up' ? colors.green(state) : colors.red(state));
  const hasDamage = nodes.some(({ damaged }) => (damaged ?? 0) > 0);
  const names = ['NODE', 'STATE', 'ZONE', 'WEIGHT', 'REPLICAS', 'LEADERS', 'QUIET'];
  if (hasDamage) names.push('DAMAGED');
  names.push('MEMORY', 'LOG', 'VERSION', 'UPTIME', 'HEARD');
  const left = ['NODE', 'STATE', 'ZONE', 'VERSION'];
  const rows = nodes.map((node) => [
    node.id,
    stateText(node.state),
    node.zone,
    node.weight,
    dash(node.replicas),
    dash(node.leaders),
    dash(node.quiet),
    ...(hasDamage ? [(node.damaged ?? 0) > 0 ? colors.red(String(node.damaged)) : dash(node.damaged)] : []),
    dash(node.memoryBytes, formatBytes),
    dash(node.logBytes, formatBytes),
    node.version ?? '-',
    dash(node.uptimeMs, formatAge),
    heardText(node.heardBy),
  ]);
  const up = nodes.filter(({ state }) => state === 'up').length;
  const body = table(
    names.map((name) => ({ name, right: !left.includes(name) })),
    rows,
    colors,
  );
  const warned = warnings.map((warning) => `${colors.yellow('warning:')} ${warning}\n`).join('');
  return `cluster ${cluster}, ${up} of ${nodes.length} nodes up\n${body}${warned}`;
}

const pause = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    const timer = setTimeout(done, refreshMs);
    function done(): void {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    }
    signal.addEventListener('abort', done);
  });

/** On a terminal in place of what was shown before, without a flicker; elsewhere below it. */
function shown(text: string, isFirst: boolean, { out }: Io): string {
  const dated = `${new Date().toTimeString().slice(0, 8)}  ${text}`;
  if (out.isTTY !== true) return isFirst ? dated : `\n${dated}`;
  return `${isFirst ? '\x1b[2J' : ''}\x1b[H${dated.replaceAll('\n', '\x1b[K\n')}\x1b[J`;
}

async function watch({ io, args, timeoutMs, ...context }: WatchParts): Promise<void> {
  const { signal } = io;
  for (let isFirst = true; !signal.aborted; isFirst = false) {
    const found = await context.look(Math.min(refreshMs, timeoutMs));
    const text = args.output === 'json' ? `${JSON.stringify(found)}\n` : shown(context.draw(found), isFirst, io);
    await write(io.out, text);
    if (!signal.aborted) await pause(signal);
  }
}

type WatchParts = Pick<Context, 'io' | 'args' | 'timeoutMs'> & {
  readonly look: (timeoutMs: number) => Promise<Listing>;
  readonly draw: (found: Listing) => string;
};

export const nodeList: Command = {
  command: ['ls', 'list'],
  describe: 'Every node: whether it answers, what it holds, when its peers last heard it',
  builder: (parser) =>
    parser
      .option('watch', { alias: 'w', type: 'boolean', describe: 'Again every second, until Ctrl-C' })
      .example('$0 node ls', 'all nodes; silent: it is there and does not answer')
      .example('$0 node ls --watch', 'while you restart them one by one')
      .example('$0 node ls --watch -o json', 'a line of JSON every second'),
  async run(context, args) {
    const { io, timeoutMs } = context;
    const client = await context.connect();
    const { map } = await client.map(timeoutMs);
    const ids = map.nodes.map(({ id }) => id);
    const colors = colorsFor(io.out, io.env);
    const look = async (mostMs: number): Promise<Listing> => listing(map, await survey(client, ids, mostMs));
    const draw = (found: Listing): string => drawn(found, colors);
    if (flag(args, 'watch')) {
      await watch({ io, args: context.args, timeoutMs, look, draw });
      return exitCodes.ok;
    }
    const found = await look(timeoutMs);
    await write(io.out, context.args.output === 'json' ? json(found) : draw(found));
    return exitCodes.ok;
  },
};
