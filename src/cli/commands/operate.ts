/** metrics: the figures of one node. */
import { exitCodes } from '../exit-codes.js';
import { write } from '../io.js';
import { type Command, text } from './command.js';

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
