/** bucket create: a new key space. */
import { bucketData, nameArgument, orderBucket, settingOptions, settingsGiven } from '../buckets.js';
import { exitCodes } from '../exit-codes.js';
import { write } from '../io.js';
import { json } from '../output.js';
import { type Command, text } from './command.js';

export const bucketCreate: Command = {
  command: 'create <name>',
  describe: 'Create a bucket; it can be used at once',
  builder: (parser) =>
    settingOptions(nameArgument(parser))
      .example('$0 bucket create sessions --ttl 1h', 'what is written there is gone after an hour')
      .example('$0 bucket create users --max-value 64KiB --cache-share 0.2', 'with a fifth of every cache'),
  async run(context, args) {
    const name = text(args, 'name');
    const settings = settingsGiven(args);
    const { io, timeoutMs } = context;
    const client = await context.connect();
    const { bucket, epoch } = await orderBucket(client, { op: 'createBucket', name, ...settings }, timeoutMs);
    const data = { cluster: context.cluster, epoch, bucket: bucketData(bucket) };
    const line = `bucket ${name} has id ${bucket.id} (epoch ${epoch})\n`;
    await write(io.out, context.args.output === 'json' ? json(data) : line);
    return exitCodes.ok;
  },
};
