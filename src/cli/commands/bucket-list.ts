/** bucket ls: the buckets there are. */
import { askBuckets, bucketColumns, bucketData, bucketRow } from '../buckets.js';
import { exitCodes } from '../exit-codes.js';
import { write } from '../io.js';
import { colorsFor, json, table } from '../output.js';
import type { Command } from './command.js';

export const bucketList: Command = {
  command: ['ls', 'list'],
  describe: 'List the buckets and their settings',
  builder: (parser) => parser.example('$0 bucket ls -o json', 'for programs'),
  async run(context) {
    const { io, timeoutMs } = context;
    const client = await context.connect();
    const { epoch, buckets } = await askBuckets(client, timeoutMs);
    if (context.args.output === 'json') {
      await write(io.out, json({ cluster: context.cluster, epoch, buckets: buckets.map(bucketData) }));
    } else {
      await write(io.out, table(bucketColumns, buckets.map(bucketRow), colorsFor(io.out, io.env)));
    }
    return exitCodes.ok;
  },
};
