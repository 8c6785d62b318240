/** ring: where the shards lie. */
import { fairShares, pointCount, ringSize } from '../../ring/index.js';
import type { Context } from '../context.js';
import { exitCodes } from '../exit-codes.js';
import { write } from '../io.js';
import { colorsFor, json, table } from '../output.js';
import { drawRing } from '../ring/draw.js';
import { describe, type Layout, percent, readLayout } from '../ring/layout.js';
import { counted } from '../values.js';
import { type Command, flag } from './command.js';
import { ringPlan } from './ring-plan.js';

const usualColumns = 80;

const position = (at: number): string => at.toString(16).padStart(8, '0');

function nodeRows({ nodes, shards, replication }: Layout) {
  const fair = fairShares(nodes, shards.length, replication);
  const replicas = shards.reduce((sum, shard) => sum + shard.replicas.length, 0);
  const copies = ringSize * (replicas / Math.max(1, shards.length));
  return nodes.map(({ id, zone, weight }, at) => {
    const held = shards.filter((shard) => shard.replicas.includes(id));
    return {
      id,
      zone,
      weight,
      virtualNodes: pointCount(weight),
      wantedShare: shards.length === 0 ? 0 : (fair[at] as number) / (shards.length * replication),
      heldShare: replicas === 0 ? 0 : held.reduce((sum, { start, end }) => sum + end - start, 0) / copies,
      replicas: held.length,
      preferredLeaders: shards.filter((shard) => shard.replicas[0] === id).length,
    };
  });
}

async function print({ io, args }: Context, layout: Layout, show: { shards: boolean; draw: boolean }): Promise<void> {
  const nodes = nodeRows(layout);
  const shards = layout.shards.map(({ shardId, start, end, replicas }) => ({
    id: shardId,
    start,
    end,
    replicas,
    leaving: layout.leaving.get(shardId) ?? [],
  }));
  if (args.output === 'json') {
    const { cluster, source, replication } = layout;
    await write(io.out, json({ cluster, source, replication, nodes, system: layout.system ?? null, shards }));
    return;
  }
  const colors = colorsFor(io.out, io.env);
  await write(io.out, `${describe(layout)}\n`);
  const names = ['NODE', 'ZONE', 'WEIGHT', 'VIRTUAL NODES', 'WANTED', 'HELD', 'REPLICAS', 'LEADERS'];
  const rows = nodes.map((node) => [
    node.id,
    node.zone,
    node.weight,
    node.virtualNodes,
    percent(node.wantedShare),
    percent(node.heldShare),
    node.replicas,
    node.preferredLeaders,
  ]);
  const columns = names.map((name, at) => ({ name, right: at > 1 }));
  await write(io.out, table(columns, rows, colors));
  if (layout.leaving.size > 0) {
    const verb = layout.leaving.size === 1 ? 'is' : 'are';
    await write(io.out, `${counted(layout.leaving.size, 'shard')} ${verb} being moved: \`kvctl shard moves\`\n`);
  }
  if (show.draw) await write(io.out, `\n${drawRing(layout, Math.min(io.out.columns ?? usualColumns, 120), colors)}`);
  if (!show.shards) return;
  const arcs: (string | number)[][] = shards.map(({ id, start, end, replicas, leaving }) => [
    id,
    `${position(start)}-${position(end - 1)}`,
    `${replicas.join(' ')}${leaving.length === 0 ? '' : ` (leaving: ${leaving.join(' ')})`}`,
  ]);
  if (layout.system !== undefined) arcs.unshift(['system', 'none', layout.system.join(' ')]);
  await write(
    io.out,
    `\n${table([{ name: 'SHARD', right: true }, { name: 'ARC' }, { name: 'REPLICAS' }], arcs, colors)}`,
  );
}

export const ring: Command = {
  command: 'ring',
  describe: 'Show which node holds how much of the ring, and what a change of nodes would move',
  builder: (parser) =>
    parser
      .option('draw', { type: 'boolean', global: false, describe: 'Draw the ring: a row a node, a cell a shard' })
      .option('shards', { type: 'boolean', global: false, describe: 'Every shard: its arc, its replicas' })
      .option('offline', {
        type: 'boolean',
        describe: 'Ask no cluster: the placement that the configuration gives a fresh one',
      })
      .example('$0 ring', 'shares of the ring: wanted by weight, and held')
      .example('$0 ring --draw', 'and a picture of it')
      .example('$0 ring --offline -c five.json', 'of a cluster that does not run yet')
      .example('$0 ring plan --add n4:d', 'what a fourth node would be given'),
  async run(context, args) {
    const layout = await readLayout(context, flag(args, 'offline'));
    await print(context, layout, { shards: flag(args, 'shards'), draw: flag(args, 'draw') });
    return exitCodes.ok;
  },
  below: [ringPlan],
};
