/** bucket rm: a bucket with all it holds. */
import { askBucket, nameArgument, orderBucket } from '../buckets.js';
import { confirmed } from '../confirm.js';
import { exitCodes } from '../exit-codes.js';
import { write } from '../io.js';
import { json } from '../output.js';
import { type Command, flag, text } from './command.js';

export const bucketRemove: Command = {
  command: ['rm <name>', 'remove <name>'],
  describe: 'Remove a bucket with all it holds, for good',
  builder: (parser) =>
    nameArgument(parser)
      .option('yes', { alias: 'y', type: 'boolean', describe: 'Do not ask' })
      .example('$0 bucket rm sessions --yes', 'its name may be used again; what it held does not come back'),
  async run(context, args) {
    const name = text(args, 'name');
    const { io, timeoutMs } = context;
    const client = await context.connect();
    if (!flag(args, 'yes')) {
      const { bucket } = await askBucket(client, context.cluster, name, timeoutMs);
      const question = `Remove bucket ${name} (id ${bucket.id}) with all it holds, for good?`;
      if (!(await confirmed(io, question))) {
        io.err.write('nothing was removed\n');
        return io.signal.aborted ? exitCodes.interrupted : exitCodes.error;
      }
    }
    const { bucket, epoch } = await orderBucket(client, { op: 'removeBucket', name }, timeoutMs);
    const data = { cluster: context.cluster, epoch, name, id: bucket.id, removed: true };
    const line = `bucket ${name} (id ${bucket.id}) is removed (epoch ${epoch})\n`;
    await write(io.out, context.args.output === 'json' ? json(data) : line);
    return exitCodes.ok;
  },
};
