/** get, mget, put, del, cas. */
import { readFile } from 'node:fs/promises';
import { isRingraftError, messageOf, RingraftError } from '../../base/index.js';
import type { Context } from '../context.js';
import { exitCodeOf, exitCodes } from '../exit-codes.js';
import { readAll, write } from '../io.js';
import { colorsFor, json, table } from '../output.js';
import { parserRules } from '../yargs.js';
import { type Arguments, type Command, flag, optionalText, text, texts } from './command.js';
import {
  factFields,
  keyFields,
  readOptions,
  reportMissing,
  valueFields,
  warnIfStale,
  withReadOptions,
  withRequestId,
  writeOptions,
} from './key-options.js';
import { shownKey, shownValue } from './shown.js';

export const get: Command = {
  command: 'get <key>',
  describe: 'Print the value of a key',
  builder: (parser) =>
    withReadOptions(parser.positional('key', { type: 'string', describe: 'The key' }))
      .example('$0 get paris', 'the value, byte for byte')
      .example('$0 get -b cities FR/11/Paris -o json', 'with its revision and the consistency it was read at')
      .example('$0 get paris --consistency one --max-staleness 2s', 'from any replica that is recent enough'),
  async run(context, args) {
    const key = context.key(text(args, 'key'));
    const client = await context.connect();
    const found = await client.get(context.args.bucket, key, readOptions(context, args));
    if (found === undefined) return reportMissing(context, text(args, 'key'));
    warnIfStale(context, found);
    const { out } = context.io;
    if (context.args.output === 'json') {
      await write(out, json({ ...keyFields(key), ...valueFields(found.value), ...factFields(found) }));
    } else if (context.args.valueEncoding !== 'utf8') {
      await write(out, `${context.valueText(found.value)}\n`);
    } else {
      await write(out, found.value);
      // A prompt should not stand behind the value; a pipe gets the exact bytes.
      if (out.isTTY === true && found.value.at(-1) !== 0x0a) await write(out, '\n');
    }
    return exitCodes.ok;
  },
};

export const mget: Command = {
  command: 'mget <keys..>',
  describe: 'Print the values of several keys',
  builder: (parser) =>
    withReadOptions(parser)
      // Without it only the last of them would count.
      .parserConfiguration({ ...parserRules, 'duplicate-arguments-array': true })
      .positional('keys', { type: 'string', array: true, describe: 'The keys' })
      .example('$0 mget paris rome oslo', 'exit code 3 when one is missing, after the others')
      .example('$0 mget paris rome -o json', 'each with its revision, or its error'),
  async run(context, args) {
    const names = texts(args, 'keys');
    const keys = names.map((name) => context.key(name));
    const client = await context.connect();
    const { out } = context.io;
    const { output = 'table' } = context.args;
    const items: object[] = [];
    const rows: (readonly (string | number)[])[] = [];
    let exitCode: number = exitCodes.ok;
    const settled = await client.getMany(context.args.bucket, keys, readOptions(context, args));
    for (const [at, key] of keys.entries()) {
      const outcome = settled[at];
      if (outcome?.ok === true && outcome.result !== undefined) {
        const { value, ...facts } = outcome.result;
        warnIfStale(context, facts);
        items.push({ ...keyFields(key), ...valueFields(value), ...factFields(facts) });
        rows.push([shownKey(context, key), facts.revision, shownValue(value)]);
        if (output === 'raw') await write(out, `${context.keyText(key)}\t${context.valueText(value)}\n`);
        continue;
      }
      const missing = new RingraftError('NOT_FOUND', `no such key: ${names[at]}`);
      const error = outcome?.ok === false ? outcome.error : missing;
      if (!isRingraftError(error)) throw error;
      const { code, message, happened } = error;
      items.push({ ...keyFields(key), error: { code, message, happened } });
      if (output !== 'json') context.io.err.write(`kvctl: ${code}: ${message}\n`);
      exitCode = Math.max(exitCode, exitCodeOf(error));
    }
    if (output === 'json') await write(out, json(items));
    const columns = [{ name: 'KEY' }, { name: 'REVISION', right: true }, { name: 'VALUE' }];
    if (output === 'table' && rows.length > 0) await write(out, table(columns, rows, colorsFor(out, context.io.env)));
    return exitCode;
  },
};

export async function valueFor(context: Context, args: Arguments): Promise<Buffer> {
  const file = optionalText(args, 'fromFile');
  const value = optionalText(args, 'value');
  if (file !== undefined && value !== undefined) {
    throw new RingraftError('BAD_REQUEST', 'give the value, or --from-file, not both');
  }
  if (file !== undefined) {
    return readFile(file).catch((cause: unknown) => {
      throw new RingraftError('BAD_REQUEST', `cannot read ${file}: ${messageOf(cause)}`, { cause });
    });
  }
  return value === undefined ? readAll(context.io.in) : context.value(value);
}

async function reportWritten(context: Context, key: Buffer, revision: number): Promise<void> {
  if (context.args.output === 'json') await write(context.io.out, json({ ...keyFields(key), revision }));
  else if (context.args.output === 'table') await write(context.io.out, `revision ${revision}\n`);
}

export const put: Command = {
  command: 'put <key> [value]',
  describe: 'Store a value (from standard input when it is left out)',
  builder: (parser) =>
    withRequestId(parser)
      .positional('key', { type: 'string', describe: 'The key' })
      .positional('value', { type: 'string', describe: 'The value' })
      .option('from-file', { type: 'string', requiresArg: true, describe: 'Take the value from this file' })
      .option('ttl', { type: 'string', requiresArg: true, describe: 'Forget the key after this long (10s, 5m, 1h)' })
      .example('$0 put greeting hello', 'a value from the command line')
      .example('$0 put n -- -5', 'a value that begins with a dash')
      .example('tar c . | $0 put backup', 'a value from standard input'),
  async run(context, args) {
    const key = context.key(text(args, 'key'));
    const value = await valueFor(context, args);
    const client = await context.connect();
    const { revision } = await client.put(context.args.bucket, key, value, writeOptions(context, args));
    await reportWritten(context, key, revision);
    return exitCodes.ok;
  },
};

export const del: Command = {
  command: ['del <key>', 'delete <key>'],
  describe: 'Remove a key',
  builder: (parser) =>
    withRequestId(parser)
      .positional('key', { type: 'string', describe: 'The key' })
      .option('revision', { type: 'string', requiresArg: true, describe: 'Only if it still has this revision' })
      .example('$0 del greeting', 'exit code 3 when there was no such key'),
  async run(context, args) {
    const key = context.key(text(args, 'key'));
    const client = await context.connect();
    const { found, revision } = await client.delete(context.args.bucket, key, writeOptions(context, args));
    if (context.args.output === 'json') await write(context.io.out, json({ ...keyFields(key), found, revision }));
    return found ? exitCodes.ok : reportMissing(context, text(args, 'key'));
  },
};

export const cas: Command = {
  command: 'cas <key> <value> [new]',
  describe: 'Replace a value only if nobody changed it meanwhile',
  builder: (parser) =>
    withRequestId(parser)
      .positional('key', { type: 'string', describe: 'The key' })
      .positional('value', { type: 'string', describe: 'The value expected (the new one with --revision or --absent)' })
      .positional('new', { type: 'string', describe: 'The new value' })
      .option('revision', { type: 'string', requiresArg: true, describe: 'Expect this revision instead of a value' })
      .option('absent', { type: 'boolean', describe: 'Expect that there is no such key' })
      .option('ttl', { type: 'string', requiresArg: true, describe: 'Forget the key after this long' })
      .conflicts('revision', 'absent')
      .example('$0 cas state idle busy', 'from idle to busy, or exit code 4')
      .example('$0 cas state busy --revision 7', 'expects revision 7')
      .example('$0 cas lock me --absent --ttl 30s', 'a lock'),
  async run(context, args) {
    const key = context.key(text(args, 'key'));
    const byValue = optionalText(args, 'revision') === undefined && !flag(args, 'absent');
    const replacement = optionalText(args, 'new');
    if (byValue && replacement === undefined) {
      throw new RingraftError('BAD_REQUEST', 'cas takes the expected value and the new one, or --revision or --absent');
    }
    if (!byValue && replacement !== undefined) {
      throw new RingraftError('BAD_REQUEST', 'with --revision or --absent give only the new value');
    }
    const first = context.value(text(args, 'value'));
    const value = replacement === undefined ? first : context.value(replacement);
    const options = { ...writeOptions(context, args), ...(byValue ? { ifValue: first } : {}) };
    const client = await context.connect();
    try {
      const { revision } = await client.put(context.args.bucket, key, value, options);
      await reportWritten(context, key, revision);
      return exitCodes.ok;
    } catch (error) {
      if (!isRingraftError(error, 'CONFLICT')) throw error;
      const found = Number(error.fields.revision ?? 0);
      const now = found === 0 ? 'there is no such key' : `it has revision ${found} now`;
      throw new RingraftError('CONFLICT', `not replaced: ${now}`, { fields: error.fields, cause: error });
    }
  },
};
