/** cluster status: what the manager sees and does. */
import type { ClusterView, NodeView } from '../../wire/index.js';
import type { Context } from '../context.js';
import { exitCodes } from '../exit-codes.js';
import { type Health, healthOf, isNodeWell } from '../health.js';
import { mapWithLeaders } from '../local/leaders.js';
import { askView } from '../managing.js';
import { drawMoves, movesSummary } from '../moves.js';
import { type Colors, colorsFor, table } from '../output.js';
import { settingsLine } from '../settings.js';
import { counted, formatAge, formatCount } from '../values.js';
import { show, type Watched, watch, watchOption } from '../watch.js';
import { type Command, flag } from './command.js';

type Found = { readonly cluster: string; readonly view: ClusterView; readonly shards: number } & Health;

function countsOf<Name extends string>(names: readonly Name[]): Partial<Record<Name, number>> {
  const counts: Partial<Record<Name, number>> = {};
  for (const name of names) counts[name] = (counts[name] ?? 0) + 1;
  return counts;
}

const countsText = (names: readonly string[]): string =>
  Object.entries(countsOf(names))
    .map(([name, count]) => `${count} ${name}`)
    .join(', ');

function drawUnwell(nodes: readonly NodeView[], colors: Colors): string {
  if (nodes.length === 0) return '';
  const names = ['NODE', 'STATE', 'CONDITION', 'ZONE', 'REPLICAS', 'LEAVING', 'HEARD'];
  const right = ['REPLICAS', 'LEAVING', 'HEARD'];
  const rows = nodes.map(({ id, liveness, condition, zone, replicas, leaving, lastHeardAgoMs }) => [
    id,
    liveness === 'alive' ? colors.green(liveness) : colors.red(liveness),
    condition,
    zone,
    replicas,
    leaving,
    lastHeardAgoMs === null ? 'never' : formatAge(lastHeardAgoMs),
  ]);
  return `\n${table(
    names.map((name) => ({ name, right: right.includes(name) })),
    rows,
    colors,
  )}`;
}

function drawn({ cluster, view, shards, leaderless, problems }: Found, colors: Colors): string {
  const { epoch, manager, nodes, moves, settings } = view;
  const state = problems.length === 0 ? colors.green('healthy') : colors.red(counted(problems.length, 'problem'));
  const led = leaderless.length === 0 ? 'all led' : `${formatCount(leaderless.length)} without a leader`;
  const lines = [
    `cluster ${cluster}, epoch ${epoch}, managed by ${manager}: ${state}`,
    `nodes     ${nodes.length}: ${countsText(nodes.map(({ condition }) => condition))}; ${countsText(nodes.map(({ liveness }) => liveness))}`,
    `shards    ${formatCount(shards)}, ${led}`,
    `moves     ${movesSummary(view)}`,
    `settings  ${settingsLine(settings)}`,
  ];
  const unusual = nodes.filter((node) => node.condition !== 'up' || !isNodeWell(node));
  const parts = [
    `${lines.join('\n')}\n`,
    drawUnwell(unusual, colors),
    moves.length === 0 ? '' : `\n${drawMoves(moves, colors)}`,
    problems.length === 0 ? '' : '\n',
    ...problems.map((problem) => `${colors.red('problem:')} ${problem}\n`),
  ];
  return parts.join('');
}

const dataOf = ({ cluster, view, shards, leaderless, problems }: Found): object => ({
  cluster,
  healthy: problems.length === 0,
  ...view,
  problems,
  conditions: countsOf(view.nodes.map(({ condition }) => condition)),
  liveness: countsOf(view.nodes.map(({ liveness }) => liveness)),
  shards,
  leaderless,
});

async function watched(context: Context): Promise<Watched<Found>> {
  const client = await context.connect();
  const colors = colorsFor(context.io.out, context.io.env);
  return {
    async look(timeoutMs) {
      const view = await askView(client, timeoutMs);
      const { map, leaders } = await mapWithLeaders(client, timeoutMs);
      return { cluster: map.cluster, view, shards: map.shards.length, ...healthOf(view, map, leaders) };
    },
    draw: (found) => drawn(found, colors),
    data: dataOf,
  };
}

export const clusterStatus: Command = {
  command: 'status',
  describe: 'What the manager sees and does (exit code 1 when there are problems, 5 without a manager)',
  builder: (parser) =>
    watchOption(parser)
      .example('$0 cluster status', 'nodes, moves under way, problems, settings')
      .example('$0 cluster status --watch', 'while nodes come and go'),
  async run(context, args) {
    const found = await watched(context);
    if (flag(args, 'watch')) {
      await watch(context, found);
      return exitCodes.ok;
    }
    const { problems } = await show(context, found);
    return problems.length === 0 ? exitCodes.ok : exitCodes.error;
  },
};
