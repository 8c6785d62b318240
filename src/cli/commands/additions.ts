/** incr, append: what adds to a value without reading it first. */
import { RingraftError } from '../../base/index.js';
import { exitCodes } from '../exit-codes.js';
import { write } from '../io.js';
import { json } from '../output.js';
import { type Command, optionalText, text } from './command.js';
import { keyFields, withRequestId, writeOptions } from './key-options.js';
import { valueFor } from './keys.js';

function amountFrom(text: string | undefined): number {
  if (text === undefined) return 1;
  const amount = /^[+-]?\d{1,16}$/.test(text) ? Number(text) : Number.NaN;
  if (!Number.isSafeInteger(amount)) throw new RingraftError('BAD_REQUEST', `not a whole number within 2^53: ${text}`);
  return amount;
}

export const incr: Command = {
  command: 'incr <key> [by]',
  describe: 'Add to a number and print what it comes to',
  builder: (parser) =>
    withRequestId(parser)
      .positional('key', { type: 'string', describe: 'The key; one that is not there counts from 0' })
      .positional('by', { type: 'string', describe: 'The amount [default: 1]' })
      .option('ttl', { type: 'string', requiresArg: true, describe: 'Forget the key after this long (10s, 5m, 1h)' })
      .example('$0 incr visits', 'one more')
      .example('$0 incr stock -- -5', 'five less')
      .example('$0 incr visits --request-id order-17', 'counted once, however often it is run'),
  async run(context, args) {
    const key = context.key(text(args, 'key'));
    const by = amountFrom(optionalText(args, 'by'));
    const client = await context.connect();
    const { value, revision } = await client.incr(context.args.bucket, key, by, writeOptions(context, args));
    const isJson = context.args.output === 'json';
    await write(context.io.out, isJson ? json({ ...keyFields(key), value, revision }) : `${value}\n`);
    return exitCodes.ok;
  },
};

export const append: Command = {
  command: 'append <key> [value]',
  describe: 'Add to the end of a value (from standard input when it is left out)',
  builder: (parser) =>
    withRequestId(parser)
      .positional('key', { type: 'string', describe: 'The key; one that is not there begins empty' })
      .positional('value', { type: 'string', describe: 'What is added' })
      .option('from-file', { type: 'string', requiresArg: true, describe: 'Take it from this file' })
      .option('ttl', { type: 'string', requiresArg: true, describe: 'Forget the key after this long' })
      .example('$0 append log "one more line"', 'behind what is there'),
  async run(context, args) {
    const key = context.key(text(args, 'key'));
    const value = await valueFor(context, args);
    const client = await context.connect();
    const { bytes, revision } = await client.append(context.args.bucket, key, value, writeOptions(context, args));
    const { output } = context.args;
    if (output === 'json') await write(context.io.out, json({ ...keyFields(key), bytes, revision }));
    else if (output === 'table') await write(context.io.out, `revision ${revision}, ${bytes} bytes\n`);
    return exitCodes.ok;
  },
};
