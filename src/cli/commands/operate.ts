/** shard transfer-leader and metrics: running a cluster. */
import { exitCodes } from '../exit-codes.js';
import { write } from '../io.js';
import { parseCount } from '../values.js';
import { type Command, text } from './command.js';

export const transferLeader: Command = {
  command: 'transfer-leader <shard> <node>',
  describe: 'Let another replica of a shard lead it',
  builder: (parser) =>
    parser
      .positional('shard', { type: 'string', describe: 'Number of the shard' })
      .positional('node', { type: 'string', describe: 'The node that should lead' })
      .example('$0 shard transfer-leader 7 n2', 'the preferred leader takes over again when it is well'),
  async run(context, args) {
    const shard = parseCount(text(args, 'shard'), 'the shard', 1);
    const client = await context.connect();
    await client.transferLeader(shard, text(args, 'node'), context.timeoutMs);
    context.io.err.write(`shard ${shard}: asked ${text(args, 'node')} to lead\n`);
    return exitCodes.ok;
  },
};

export const metrics: Command = {
  command: 'metrics <node>',
  describe: 'Print the figures of a node as Prometheus text',
  builder: (parser) => parser.positional('node', { type: 'string', describe: 'The node' }),
  async run(context, args) {
    const client = await context.connect();
    await write(context.io.out, await client.metrics(text(args, 'node'), context.timeoutMs));
    return exitCodes.ok;
  },
};
