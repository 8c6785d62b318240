/** shard move, shard moves: replicas on their way from node to node. */
import { RingraftError } from '../../base/index.js';
import type { RingraftClient } from '../../client/index.js';
import type { ClusterView } from '../../wire/index.js';
import type { Context } from '../context.js';
import { exitCodes } from '../exit-codes.js';
import { write } from '../io.js';
import { askMap, askView, order, waitAsked, waitOptions, waitUntil } from '../managing.js';
import { drawMoves, movesSummary, phases } from '../moves.js';
import { colorsFor, json } from '../output.js';
import { startGauge } from '../progress.js';
import { parseCount, parseNodeId } from '../values.js';
import { show, watch, watchOption } from '../watch.js';
import { type Arguments, type Command, flag, optionalText, text } from './command.js';

type Move = { readonly shard: number; readonly from: string; readonly to: string };

function moveOf(args: Arguments, shard: number): Move {
  const [from, to] = [optionalText(args, 'from'), optionalText(args, 'to')];
  if (from === undefined || to === undefined) {
    throw new RingraftError('BAD_REQUEST', 'say from where to where: --from n1 --to n4 (or --cancel)');
  }
  if (from === to) throw new RingraftError('BAD_REQUEST', `--from and --to are both ${from}`);
  return { shard, from: parseNodeId(from, '--from'), to: parseNodeId(to, '--to') };
}

/** Where the map has the replica: with both nodes until it is done, with neither order any more when it was cancelled. */
async function isInPlace(client: RingraftClient, { shard, from, to }: Move, timeoutMs: number): Promise<boolean> {
  const map = await askMap(client, timeoutMs);
  const entry = [map.system, ...map.shards].find(({ id }) => id === shard);
  const placed: readonly string[] = entry?.replicas.map(({ nodeId }) => nodeId) ?? [];
  if (!placed.includes(to)) {
    throw new RingraftError(
      'CONFLICT',
      `the map no longer has shard ${shard} on ${to}: the move was cancelled or changed`,
    );
  }
  return !placed.includes(from) && entry?.leaving.length === 0;
}

/** False after Ctrl-C. */
async function untilMoved(context: Context, client: RingraftClient, move: Move, limitMs: number | undefined) {
  const { shard, from, to } = move;
  const gauge = startGauge(context.io, `shard ${shard} from ${from} to ${to}`, 'entries');
  const look = async (): Promise<boolean> => {
    const { moves } = await askView(client, context.timeoutMs);
    const found = moves.find(({ shardId }) => shardId === shard);
    if (found === undefined) {
      const isDone = await isInPlace(client, move, context.timeoutMs);
      if (!isDone) gauge.show(0, undefined, 'waits for its turn');
      return isDone;
    }
    const { matchIndex = 0, lastIndex } = found.progress ?? {};
    gauge.show(Math.min(matchIndex, lastIndex ?? matchIndex), lastIndex, phases[found.phase]);
    return false;
  };
  const onSilence = (reason: string): void => gauge.show(0, undefined, reason);
  const unmet = () => `shard ${shard} is not on ${to} alone yet; the move goes on`;
  try {
    return await waitUntil(context, { unmet, timeoutMs: limitMs, look, onSilence });
  } finally {
    gauge.stop();
  }
}

async function cancel(context: Context, args: Arguments, shard: number): Promise<number> {
  if (optionalText(args, 'from') !== undefined || optionalText(args, 'to') !== undefined) {
    throw new RingraftError('BAD_REQUEST', '--cancel needs no --from and no --to');
  }
  const client = await context.connect();
  const epoch = await order(client, { op: 'cancelMove', shard }, context.timeoutMs);
  const line = `shard ${shard}: its move is cancelled (epoch ${epoch})\n`;
  await write(context.io.out, context.args.output === 'json' ? json({ shard, epoch, cancelled: true }) : line);
  return exitCodes.ok;
}

export const shardMove: Command = {
  command: 'move <shard>',
  describe: 'Move a replica of a shard from one node to another, or cancel its move',
  builder: (parser) =>
    waitOptions(
      parser
        .positional('shard', { type: 'string', describe: 'Number of the shard' })
        .option('from', { type: 'string', requiresArg: true, describe: 'The node that gives its replica up' })
        .option('to', { type: 'string', requiresArg: true, describe: 'The node that gets one' })
        .option('cancel', { type: 'boolean', describe: 'End the move that is under way' }),
      'Stay until it is done',
    )
      .example('$0 shard move 7 --from n1 --to n4 --wait', 'copies, then swaps, then clears the old one away')
      .example('$0 shard move --cancel 7', 'the replica stays where it was'),
  async run(context, args) {
    const shard = parseCount(text(args, 'shard'), 'the shard');
    if (flag(args, 'cancel')) return cancel(context, args, shard);
    const move = moveOf(args, shard);
    const wait = waitAsked(args);
    const { io, timeoutMs } = context;
    const client = await context.connect();
    const epoch = await order(client, { op: 'move', ...move }, timeoutMs);
    const isDone = wait !== undefined && (await untilMoved(context, client, move, wait.timeoutMs));
    if (wait !== undefined && !isDone) {
      io.err.write(`the order stays in force: the move goes on; \`kvctl shard move --cancel ${shard}\` ends it\n`);
      return exitCodes.interrupted;
    }
    const path = `from ${move.from} to ${move.to}`;
    const line = isDone ? `shard ${shard} has moved ${path}\n` : `shard ${shard} moves ${path} (epoch ${epoch})\n`;
    await write(io.out, context.args.output === 'json' ? json({ ...move, epoch, done: isDone }) : line);
    return exitCodes.ok;
  },
};

export const shardMoves: Command = {
  command: 'moves',
  describe: 'Replicas that are being moved, and how far they are',
  builder: (parser) =>
    watchOption(parser)
      .example('$0 shard moves', 'those under way, and how many wait')
      .example('$0 shard moves --watch', 'again every second'),
  async run(context, args) {
    const client = await context.connect();
    const colors = colorsFor(context.io.out, context.io.env);
    const watched = {
      look: (timeoutMs: number): Promise<ClusterView> => askView(client, timeoutMs),
      draw: (view: ClusterView): string => {
        const table = view.moves.length === 0 ? '' : drawMoves(view.moves, colors);
        return `${movesSummary(view)}\n${table}`;
      },
      data: ({ epoch, moves, waitingMoves, problems }: ClusterView): object => ({
        epoch,
        moves,
        waitingMoves,
        problems,
      }),
    };
    if (flag(args, 'watch')) await watch(context, watched);
    else await show(context, watched);
    return exitCodes.ok;
  },
};
