/** bucket info, bucket config: the settings of one bucket. */
import type { MapBucket } from '../../wire/index.js';
import {
  askBucket,
  bucketData,
  bucketLines,
  nameArgument,
  orderBucket,
  settingOptions,
  settingsGiven,
} from '../buckets.js';
import type { Context } from '../context.js';
import { exitCodes } from '../exit-codes.js';
import { write } from '../io.js';
import { json } from '../output.js';
import { type Command, text } from './command.js';

async function show(context: Context, bucket: MapBucket, epoch: number): Promise<void> {
  const { io, args, cluster } = context;
  const lines = bucketLines(bucket).map(([name, value]) => `${name.padEnd(13)}${value}\n`);
  const data = { cluster, epoch, bucket: bucketData(bucket) };
  await write(io.out, args.output === 'json' ? json(data) : lines.join(''));
}

async function showBucket(context: Context, name: string): Promise<number> {
  const client = await context.connect();
  const { bucket, epoch } = await askBucket(client, context.cluster, name, context.timeoutMs);
  await show(context, bucket, epoch);
  return exitCodes.ok;
}

export const bucketInfo: Command = {
  command: 'info <name>',
  describe: 'Show the settings of a bucket',
  builder: (parser) => nameArgument(parser).example('$0 bucket info sessions', 'its id, time to live, limits'),
  run: (context, args) => showBucket(context, text(args, 'name')),
};

export const bucketConfig: Command = {
  command: 'config <name>',
  describe: 'Change the settings of a bucket while it is in use; without options: show them',
  builder: (parser) =>
    settingOptions(nameArgument(parser))
      .example('$0 bucket config sessions --ttl 30m', 'of what is written from now on')
      .example('$0 bucket config users --max-value 0 --cache-share 0', 'back to what is usual'),
  async run(context, args) {
    const name = text(args, 'name');
    const settings = settingsGiven(args);
    if (Object.keys(settings).length === 0) return showBucket(context, name);
    const client = await context.connect();
    const request = { op: 'configureBucket', name, ...settings } as const;
    const { bucket, epoch } = await orderBucket(client, request, context.timeoutMs);
    await show(context, bucket, epoch);
    return exitCodes.ok;
  },
};
