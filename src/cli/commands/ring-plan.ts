/** ring plan: what a change of nodes would move. Moves nothing. */
import { RingraftError } from '../../base/index.js';
import { type PlacementNode, type PlacementPlan, planPlacement } from '../../ring/index.js';
import type { Context } from '../context.js';
import { exitCodes } from '../exit-codes.js';
import { write } from '../io.js';
import { colorsFor, json, table } from '../output.js';
import { changedNodes, parseChanges } from '../ring/changes.js';
import { describe, type Layout, percent, readLayout } from '../ring/layout.js';
import { parseCount } from '../values.js';
import { type Command, flag, optionalText } from './command.js';

const share = (count: number): string => count.toFixed(1).replace(/\.0$/, '');

function nodeRows({ moves, replicasPerNode }: PlacementPlan, nodes: readonly PlacementNode[]) {
  return replicasPerNode.map(({ id, before, after, fair }) => {
    const node = nodes.find((known) => known.id === id);
    return {
      id,
      zone: node?.zone ?? null,
      weight: node?.weight ?? null,
      before,
      gains: moves.filter(({ to }) => to === id).length,
      loses: moves.filter(({ from }) => from === id).length,
      after,
      fair,
    };
  });
}

const countMoved = ({ moves }: PlacementPlan): number => moves.filter(({ to }) => to !== null).length;

function summary(plan: PlacementPlan, replicas: number): string {
  const moved = countMoved(plan);
  const dropped = plan.moves.length - moved;
  const alsoDropped = dropped === 0 ? '' : `, ${dropped} dropped`;
  if (moved === 0) return `nothing would move${alsoDropped}`;
  const ideal =
    plan.idealMoves === 0
      ? 'only bounds ask for it'
      : `ideal is ${share(plan.idealMoves)}, ratio ${(moved / plan.idealMoves).toFixed(2)}`;
  const part = `${moved} of ${replicas} replicas would move (${percent(plan.movedShare)}; ${ideal})`;
  return `${part}${alsoDropped}; bytes unknown`;
}

async function print(
  { io, args }: Context,
  layout: Layout,
  nodes: readonly PlacementNode[],
  plan: PlacementPlan,
  replication: number,
  listMoves: boolean,
): Promise<void> {
  const { cluster, source, shards } = layout;
  const replicas = shards.length * replication;
  const rows = nodeRows(plan, [...nodes, ...layout.nodes]);
  if (args.output === 'json') {
    const { idealMoves, movedShare, idealShare, moves } = plan;
    const moved = countMoved(plan);
    const ratio = idealMoves === 0 ? null : moved / idealMoves;
    const figures = { replicas, moved, ideal: idealMoves, ratio, movedShare, idealShare, bytes: null };
    await write(io.out, json({ cluster, source, replication, ...figures, nodes: rows, moves }));
    return;
  }
  const colors = colorsFor(io.out, io.env);
  await write(io.out, `${describe(layout)}\n${summary(plan, replicas)}\n`);
  const signed = (sign: string, count: number, paint: (text: string) => string): string =>
    count === 0 ? '-' : paint(`${sign}${count}`);
  const drawn = rows.map((row) => [
    row.id,
    row.zone ?? '-',
    row.weight ?? '-',
    row.before,
    signed('+', row.gains, colors.green),
    signed('-', row.loses, colors.yellow),
    row.after,
    share(row.fair),
  ]);
  const names = ['NODE', 'ZONE', 'WEIGHT', 'NOW', 'GAINS', 'LOSES', 'THEN', 'FAIR'];
  await write(
    io.out,
    table(
      names.map((name, at) => ({ name, right: at > 1 })),
      drawn,
      colors,
    ),
  );
  if (!listMoves || plan.moves.length === 0) return;
  const list = plan.moves.map(({ shardId, from, to }) => [shardId, from ?? '(new)', to ?? '(dropped)']);
  await write(io.out, `\n${table([{ name: 'SHARD', right: true }, { name: 'FROM' }, { name: 'TO' }], list, colors)}`);
}

export const ringPlan: Command = {
  command: 'plan',
  describe: 'What would move if nodes came or went; moves nothing',
  builder: (parser) =>
    parser
      .option('add', {
        type: 'string',
        requiresArg: true,
        describe: 'A node that comes, as node:zone, node:zone:weight or node:weight:zone; may be given several times',
      })
      .option('remove', {
        type: 'string',
        requiresArg: true,
        describe: 'A node that goes; may be given several times',
      })
      .option('replication', {
        type: 'string',
        requiresArg: true,
        describe: 'Replicas of a shard [default: as many as now]',
      })
      .option('moves', { type: 'boolean', describe: 'List every replica that would move' })
      .example('$0 ring plan --add n4:d', 'a fourth node in a zone of its own')
      .example(
        '$0 ring plan --add n4:a:2 --add n5:b --remove n2 --moves',
        'several changes at once, replica by replica',
      )
      .example('$0 ring plan --offline -c five.json --remove n5', 'of a cluster that does not run'),
  async run(context, args) {
    const changes = parseChanges(optionalText(args, 'add'), optionalText(args, 'remove'));
    const asked = optionalText(args, 'replication');
    const replicationAsked = asked === undefined ? undefined : parseCount(asked, '--replication', 1);
    const layout = await readLayout(context, flag(args, 'offline'));
    const nodes = changedNodes(layout.nodes, changes);
    const replication = replicationAsked ?? layout.replication;
    if (nodes.length < replication) {
      const message = `${replication} replicas need as many nodes, there would be ${nodes.length}`;
      throw new RingraftError('BAD_REQUEST', `${message}; remove fewer, or give --replication`);
    }
    const plan = planPlacement(layout.shards, nodes, replication);
    await print(context, layout, nodes, plan, replication, flag(args, 'moves'));
    return exitCodes.ok;
  },
};
