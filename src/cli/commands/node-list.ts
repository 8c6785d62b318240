/** node ls: every node on one line: what it tells itself, and what the manager, when there is one, says of it. */
import { isRingraftError } from '../../base/index.js';
import type { RingraftClient } from '../../client/index.js';
import type { ClusterMap, ClusterView, Liveness, MapNode, NodeCondition } from '../../wire/index.js';
import { exitCodes } from '../exit-codes.js';
import { type Heard, heardOf, linkWarnings } from '../link-warnings.js';
import { nodeIn, viewIfManaged } from '../managing.js';
import { type Colors, colorsFor, table } from '../output.js';
import { type NodeState, type SurveyedNode, survey } from '../survey.js';
import { formatAge, formatBytes } from '../values.js';
import { show, watch, watchOption } from '../watch.js';
import { type Command, flag } from './command.js';

/** A cluster without a manager should not make a listing slow. */
const mostManagerMs = 1000;

type Row = {
  readonly id: string;
  readonly state: NodeState;
  readonly zone: string;
  readonly weight: number;
  readonly condition: NodeCondition;
  /** By the manager's failure detector; null: no manager answers. So are the next five, or where it has not heard of it. */
  readonly liveness: Liveness | null;
  readonly lastHeardAgoMs: number | null;
  /** Replicas that the map places there, and those it is still to hand over. */
  readonly placed: number | null;
  readonly leaving: number | null;
  readonly diskUsedBytes: number | null;
  readonly diskFreeBytes: number | null;
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

type Listing = {
  readonly cluster: string;
  /** null: none answers. */
  readonly manager: string | null;
  readonly nodes: readonly Row[];
  readonly warnings: readonly string[];
};

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

type OwnFacts = Pick<Row, keyof typeof unknown>;
type ManagerFacts = Pick<
  Row,
  'condition' | 'liveness' | 'lastHeardAgoMs' | 'placed' | 'leaving' | 'diskUsedBytes' | 'diskFreeBytes'
>;

function managerFacts({ id, condition }: MapNode, view: ClusterView | undefined): ManagerFacts {
  const node = view && nodeIn(view, id);
  return {
    condition: node?.condition ?? condition,
    liveness: node?.liveness ?? null,
    lastHeardAgoMs: node?.lastHeardAgoMs ?? null,
    placed: node?.replicas ?? null,
    leaving: node?.leaving ?? null,
    diskUsedBytes: node?.facts?.diskUsedBytes ?? null,
    diskFreeBytes: node?.facts?.diskFreeBytes ?? null,
  };
}

function factsOf({ status }: SurveyedNode): OwnFacts {
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

/** What the manager and we see differently. */
function disagreements({ id, state, liveness }: Row): readonly string[] {
  if (liveness === 'alive' && state !== 'up') return [`${id} is alive to the manager, but does not answer here`];
  if (liveness === 'dead' && state === 'up') return [`${id} answers here, but is dead to the manager`];
  return [];
}

function listing(
  { cluster, nodes: placed }: ClusterMap,
  nodes: readonly SurveyedNode[],
  view: ClusterView | undefined,
): Listing {
  const rows = nodes.map((node, at): Row => {
    const entry = placed[at] as MapNode;
    const { zone, weight } = view === undefined ? entry : (nodeIn(view, node.id) ?? entry);
    const heardBy = heardOf(node.id, nodes);
    return { id: node.id, state: node.state, zone, weight, ...managerFacts(entry, view), ...factsOf(node), heardBy };
  });
  const full = rows.flatMap(({ id, logFull }) => (logFull === true ? [`the disk of ${id}'s log is full`] : []));
  const warnings = [...linkWarnings(nodes), ...full, ...rows.flatMap(disagreements)];
  return { cluster, manager: view?.manager ?? null, nodes: rows, warnings };
}

/** By whoever heard it last. */
function heardText(heard: readonly Heard[]): string {
  if (heard.length === 0) return '-';
  const ages = heard.flatMap(({ heardAgoMs }) => (heardAgoMs === null ? [] : [heardAgoMs]));
  return ages.length === 0 ? 'never' : formatAge(Math.min(...ages));
}

type Column = {
  readonly name: string;
  readonly isLeft?: boolean;
  readonly text: (row: Row, colors: Colors) => string | number;
};

const dash = (value: number | null, format: (value: number) => string = String): string =>
  value === null ? '-' : format(value);

const columns = {
  node: { name: 'NODE', isLeft: true, text: ({ id }) => id },
  state: {
    name: 'STATE',
    isLeft: true,
    text({ state, liveness }, colors) {
      const isWell = (liveness ?? state) === 'alive' || (liveness ?? state) === 'up';
      return isWell ? colors.green(liveness ?? state) : colors.red(liveness ?? state);
    },
  },
  condition: {
    name: 'CONDITION',
    isLeft: true,
    text({ condition, leaving, placed }, colors) {
      if (condition === 'up') return condition;
      const left = (placed ?? 0) + (leaving ?? 0);
      return colors.yellow(condition === 'draining' && left > 0 ? `${condition} ${left}` : condition);
    },
  },
  zone: { name: 'ZONE', isLeft: true, text: ({ zone }) => zone },
  weight: { name: 'WEIGHT', text: ({ weight }) => weight },
  replicas: { name: 'REPLICAS', text: ({ replicas }) => dash(replicas) },
  groups: { name: 'GROUPS', text: ({ replicas, placed }) => dash(replicas ?? placed) },
  leaders: { name: 'LEADERS', text: ({ leaders }) => dash(leaders) },
  quiet: { name: 'QUIET', text: ({ quiet }) => dash(quiet) },
  damaged: {
    name: 'DAMAGED',
    text: ({ damaged }, colors) => ((damaged ?? 0) > 0 ? colors.red(String(damaged)) : dash(damaged)),
  },
  memory: { name: 'MEMORY', text: ({ memoryBytes }) => dash(memoryBytes, formatBytes) },
  log: { name: 'LOG', text: ({ logBytes }) => dash(logBytes, formatBytes) },
  used: { name: 'USED', text: ({ diskUsedBytes }) => dash(diskUsedBytes, formatBytes) },
  free: { name: 'FREE', text: ({ diskFreeBytes }) => dash(diskFreeBytes, formatBytes) },
  version: { name: 'VERSION', isLeft: true, text: ({ version }) => version ?? '-' },
  uptime: { name: 'UPTIME', text: ({ uptimeMs }) => dash(uptimeMs, formatAge) },
  heard: {
    name: 'HEARD',
    text: ({ liveness, lastHeardAgoMs, heardBy }) =>
      liveness === null || lastHeardAgoMs === null ? heardText(heardBy) : formatAge(lastHeardAgoMs),
  },
} satisfies Record<string, Column>;

/** At most a hundred characters wide, as long as names are short; `wide` shows all there is. */
function columnsFor({ manager, nodes }: Listing, isWide: boolean): readonly Column[] {
  const c = columns;
  const hasDamage = nodes.some(({ damaged }) => (damaged ?? 0) > 0);
  const hasConditions = nodes.some(({ condition }) => condition !== 'up');
  const first = [c.node, c.state, ...(manager !== null || hasConditions ? [c.condition] : []), c.zone, c.weight];
  const damaged = hasDamage ? [c.damaged] : [];
  const disk = [c.used, c.free];
  if (isWide) {
    return [...first, c.groups, c.leaders, c.quiet, ...damaged, c.memory, c.log, ...disk, c.version, c.uptime, c.heard];
  }
  if (manager !== null) return [...first, c.groups, c.leaders, ...damaged, ...disk, c.version, c.heard];
  return [...first, c.replicas, c.leaders, c.quiet, ...damaged, c.memory, c.log, c.version, c.uptime, c.heard];
}

function drawn(found: Listing, isWide: boolean, colors: Colors): string {
  const { cluster, manager, nodes, warnings } = found;
  const shown = columnsFor(found, isWide);
  const body = table(
    shown.map(({ name, isLeft }) => ({ name, right: isLeft !== true })),
    nodes.map((row) => shown.map(({ text }) => text(row, colors))),
    colors,
  );
  const up = nodes.filter(({ state }) => state === 'up').length;
  const managed = manager === null ? '' : `, managed by ${manager}`;
  const warned = warnings.map((warning) => `${colors.yellow('warning:')} ${warning}\n`).join('');
  return `cluster ${cluster}, ${up} of ${nodes.length} nodes up${managed}\n${body}${warned}`;
}

/** The map, asked anew each time: nodes come and go. While nobody answers: as it was. */
function mapReader(client: RingraftClient): (timeoutMs: number) => Promise<ClusterMap> {
  let last: ClusterMap | undefined;
  return async (timeoutMs) => {
    try {
      last = (await client.map(timeoutMs)).map;
    } catch (error) {
      if (last === undefined || !isRingraftError(error)) throw error;
    }
    return last;
  };
}

export const nodeList: Command = {
  command: ['ls', 'list'],
  describe: 'Every node: whether it is well, what it holds, when it was last heard',
  builder: (parser) =>
    watchOption(parser)
      .option('wide', { type: 'boolean', describe: 'Every column there is' })
      .example('$0 node ls', 'all nodes; silent: it is there and does not answer')
      .example('$0 node ls --watch', 'while you restart them one by one')
      .example('$0 node ls --watch -o json', 'a line of JSON every second'),
  async run(context, args) {
    const { io } = context;
    const client = await context.connect();
    const colors = colorsFor(io.out, io.env);
    const readMap = mapReader(client);
    const watched = {
      async look(timeoutMs: number): Promise<Listing> {
        const map = await readMap(timeoutMs);
        const ids = map.nodes.map(({ id }) => id);
        const [view, nodes] = await Promise.all([
          viewIfManaged(client, Math.min(mostManagerMs, timeoutMs)),
          survey(client, ids, timeoutMs),
        ]);
        return listing(map, nodes, view);
      },
      draw: (found: Listing): string => drawn(found, flag(args, 'wide'), colors),
      data: (found: Listing): Listing => found,
    };
    if (flag(args, 'watch')) await watch(context, watched);
    else await show(context, watched);
    return exitCodes.ok;
  },
};
