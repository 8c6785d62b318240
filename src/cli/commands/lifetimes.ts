/** exists, ttl, touch: whether a key is there, and for how long. */
import { RingraftError } from '../../base/index.js';
import { exitCodes } from '../exit-codes.js';
import { write } from '../io.js';
import { json } from '../output.js';
import { formatAge } from '../values.js';
import { type Command, flag, optionalText, text } from './command.js';
import {
  factFields,
  keyFields,
  readOptions,
  reportMissing,
  warnIfStale,
  withReadOptions,
  withRequestId,
  writeOptions,
} from './key-options.js';

export const exists: Command = {
  command: 'exists <key>',
  describe: 'Say whether there is such a key',
  builder: (parser) =>
    withReadOptions(parser.positional('key', { type: 'string', describe: 'The key' }))
      .example('$0 exists paris', 'true, or false and exit code 3')
      .example('$0 exists paris -o json', 'with its revision'),
  async run(context, args) {
    const key = context.key(text(args, 'key'));
    const client = await context.connect();
    const found = await client.exists(context.args.bucket, key, readOptions(context, args));
    if (found !== undefined) warnIfStale(context, found);
    const isThere = found !== undefined;
    const facts = found === undefined ? {} : factFields(found);
    const isJson = context.args.output === 'json';
    await write(context.io.out, isJson ? json({ ...keyFields(key), found: isThere, ...facts }) : `${isThere}\n`);
    return isThere ? exitCodes.ok : exitCodes.notFound;
  },
};

export const ttl: Command = {
  command: 'ttl <key>',
  describe: 'Print how long a key has to live',
  builder: (parser) =>
    withReadOptions(parser.positional('key', { type: 'string', describe: 'The key' }))
      .example('$0 ttl lock', 'a duration, or "for ever"')
      .example('$0 ttl lock -o raw', 'milliseconds, -1: for ever'),
  async run(context, args) {
    const key = context.key(text(args, 'key'));
    const client = await context.connect();
    const found = await client.exists(context.args.bucket, key, readOptions(context, args));
    if (found === undefined) return reportMissing(context, text(args, 'key'));
    warnIfStale(context, found);
    const { expiresAtMs } = found;
    const ttlMs = expiresAtMs === undefined ? -1 : Math.max(0, expiresAtMs - context.clock.wallMs());
    const { out } = context.io;
    if (context.args.output === 'json') await write(out, json({ ...keyFields(key), ttlMs, ...factFields(found) }));
    else if (context.args.output === 'raw') await write(out, `${ttlMs}\n`);
    else await write(out, ttlMs < 0 ? 'for ever\n' : `${formatAge(ttlMs)}\n`);
    return exitCodes.ok;
  },
};

export const touch: Command = {
  command: 'touch <key>',
  describe: 'Give a key another time to live',
  builder: (parser) =>
    withRequestId(parser)
      .positional('key', { type: 'string', describe: 'The key' })
      .option('ttl', { type: 'string', requiresArg: true, describe: 'How long from now (10s, 5m, 1h)' })
      .option('forever', { type: 'boolean', describe: 'Without an end' })
      .conflicts('ttl', 'forever')
      .example('$0 touch lock --ttl 30s', 'exit code 3 when there is no such key')
      .example('$0 touch session --forever', 'it lives until it is deleted'),
  async run(context, args) {
    if (optionalText(args, 'ttl') === undefined && !flag(args, 'forever')) {
      throw new RingraftError('BAD_REQUEST', 'touch takes --ttl or --forever');
    }
    const key = context.key(text(args, 'key'));
    const { ttlMs, ...options } = writeOptions(context, args);
    const client = await context.connect();
    const { found, revision } = await client.touch(context.args.bucket, key, ttlMs, options);
    const { output } = context.args;
    if (output === 'json') await write(context.io.out, json({ ...keyFields(key), found, revision }));
    else if (output === 'table' && found) await write(context.io.out, `revision ${revision}\n`);
    return found ? exitCodes.ok : reportMissing(context, text(args, 'key'));
  },
};
