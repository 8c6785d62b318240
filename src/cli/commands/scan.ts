/** scan and count: the keys of a bucket, in order. */

import { RingraftError } from '../../base/index.js';
import type { ScanOptions } from '../../client/index.js';
import type { Context } from '../context.js';
import { exitCodes } from '../exit-codes.js';
import { write } from '../io.js';
import { colorsFor, json, table } from '../output.js';
import { parseCount } from '../values.js';
import { type Arguments, availableOf, type Command, flag, optionalText } from './command.js';
import { keyFields, valueFields } from './key-options.js';
import { shownKey, shownValue } from './shown.js';

const availableOption = { type: 'boolean', describe: 'Without a leader: from any replicas, possibly stale' } as const;

/** What is asked of reads in the order of keys; who sees only the keys is told when they may be old. */
function scanLevel(context: Context, args: Arguments): ScanOptions {
  const { consistency } = context.args;
  if (consistency !== undefined && consistency !== 'linearizable' && consistency !== 'one') {
    throw new RingraftError('BAD_REQUEST', `a scan is linearizable or of level one, not ${consistency}`);
  }
  return {
    timeoutMs: context.timeoutMs,
    ...(consistency === undefined ? {} : { consistency }),
    ...availableOf(args),
    onLevel: (level) => {
      if (level === 'one') context.io.err.write('kvctl: possibly stale: read at level one\n');
    },
  };
}

export const scan: Command = {
  command: ['scan', 'ls'],
  describe: 'List keys and values in the order of the keys',
  builder: (parser) =>
    parser
      .option('prefix', { alias: 'p', type: 'string', requiresArg: true, describe: 'Only keys that begin with this' })
      .option('limit', { alias: 'n', type: 'string', requiresArg: true, describe: 'At most so many' })
      .option('keys-only', { alias: 'k', type: 'boolean', describe: 'Only the keys' })
      .option('available', availableOption)
      .option('reverse', { alias: 'r', type: 'boolean', describe: 'From the last key to the first' })
      .example('$0 scan -b cities --prefix FR/ --limit 10', 'the first ten')
      .example('$0 scan -b cities -p IS/ -k -o raw', 'keys alone, one a line'),
  async run(context, args) {
    const prefix = optionalText(args, 'prefix');
    const limit = optionalText(args, 'limit');
    const keysOnly = flag(args, 'keysOnly');
    const options: ScanOptions = {
      keysOnly,
      reverse: flag(args, 'reverse'),
      ...scanLevel(context, args),
      ...(prefix === undefined ? {} : { prefix: context.key(prefix) }),
      ...(limit === undefined ? {} : { limit: parseCount(limit, '--limit', 1) }),
    };
    const client = await context.connect();
    const { out } = context.io;
    const { output = 'table' } = context.args;
    const rows: (readonly (string | number)[])[] = [];
    const items: object[] = [];
    for await (const { key, value, revision } of client.scan(context.args.bucket, options)) {
      if (context.io.signal.aborted) return exitCodes.interrupted;
      if (output === 'raw') {
        await write(
          out,
          keysOnly ? `${context.keyText(key)}\n` : `${context.keyText(key)}\t${context.valueText(value)}\n`,
        );
      } else if (output === 'json') {
        items.push({ ...keyFields(key), ...(keysOnly ? {} : valueFields(value)), revision });
      } else {
        const name = shownKey(context, key);
        rows.push(keysOnly ? [name, revision] : [name, revision, shownValue(value)]);
      }
    }
    if (output === 'json') await write(out, json(items));
    if (output === 'table') {
      const columns = [{ name: 'KEY' }, { name: 'REVISION', right: true }, ...(keysOnly ? [] : [{ name: 'VALUE' }])];
      if (rows.length > 0) await write(out, table(columns, rows, colorsFor(out, context.io.env)));
      else context.io.err.write('no keys\n');
    }
    return exitCodes.ok;
  },
};

export const count: Command = {
  command: 'count [prefix]',
  describe: 'Count the keys of a bucket, or those that begin with a prefix',
  builder: (parser) =>
    parser
      .positional('prefix', { type: 'string', describe: 'What the keys begin with' })
      .option('available', availableOption)
      .example('$0 count -b cities', 'all of them')
      .example('$0 count -b cities IS/', 'those of Iceland'),
  async run(context, args) {
    const prefix = optionalText(args, 'prefix');
    const bounds = prefix === undefined ? {} : { prefix: context.key(prefix) };
    const client = await context.connect();
    const keys = await client.count(context.args.bucket, { ...bounds, ...scanLevel(context, args) });
    await write(context.io.out, context.args.output === 'json' ? json({ count: keys }) : `${keys}\n`);
    return exitCodes.ok;
  },
};
