/** shard transfer-leader: another replica of a shard leads it from now on. */
import { RingraftError } from '../../base/index.js';
import { exitCodes } from '../exit-codes.js';
import { write } from '../io.js';
import { json } from '../output.js';
import { parseCount } from '../values.js';
import { type Arguments, type Command, optionalText, text } from './command.js';

function targetOf(args: Arguments): string {
  const [to, node] = [optionalText(args, 'to'), optionalText(args, 'node')];
  if ((to === undefined) === (node === undefined)) {
    throw new RingraftError('BAD_REQUEST', 'say once which node should lead: --to n2');
  }
  return (to ?? node) as string;
}

export const transferLeader: Command = {
  command: 'transfer-leader <shard> [node]',
  describe: 'Let another replica of a shard lead it; waits until it does',
  builder: (parser) =>
    parser
      .positional('shard', { type: 'string', describe: 'Number of the shard' })
      .positional('node', { type: 'string', describe: 'The same as --to' })
      .option('to', { type: 'string', requiresArg: true, describe: 'The node that should lead' })
      .example('$0 shard transfer-leader 7 --to n2', 'the preferred node takes over again when it is well'),
  async run(context, args) {
    const shard = parseCount(text(args, 'shard'), 'the shard', 1);
    const to = targetOf(args);
    const { io, timeoutMs } = context;
    const client = await context.connect();
    const { map, leaders } = await client.map(timeoutMs);
    const at = map.shards.findIndex(({ id }) => id === shard);
    const found = map.shards[at];
    if (found === undefined) throw new RingraftError('WRONG_SHARD', `cluster ${map.cluster} has no shard ${shard}`);
    if (!map.nodes.some(({ id }) => id === to)) {
      const ids = map.nodes.map(({ id }) => id).join(', ');
      throw new RingraftError('BAD_REQUEST', `cluster ${map.cluster} has no node ${to}; it has ${ids}`);
    }
    const from = leaders[at] ?? null;
    const startedMs = performance.now();
    await client.transferLeader(shard, to, timeoutMs);
    const tookMs = Math.round(performance.now() - startedMs);
    if (context.args.output === 'json') {
      await write(io.out, json({ shard, leader: to, from, tookMs }));
    } else if (from === to) {
      await write(io.out, `shard ${shard}: ${to} leads it already\n`);
    } else {
      await write(io.out, `shard ${shard}: ${to} leads, after ${tookMs} ms${from === null ? '' : ` (was ${from})`}\n`);
    }
    const preferred = found.replicas[0]?.nodeId;
    if (preferred !== undefined && preferred !== to) {
      io.err.write(`${preferred} is preferred for shard ${shard} and takes over again when it is well\n`);
    }
    return exitCodes.ok;
  },
};
