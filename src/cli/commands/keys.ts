/** get, put, del, cas: one key at a time. */
import { readFile } from 'node:fs/promises';
import { isRingraftError, messageOf, RingraftError } from '../../base/index.js';
import type { WriteOptions } from '../../client/index.js';
import type { Context } from '../context.js';
import { exitCodes } from '../exit-codes.js';
import { readAll, write } from '../io.js';
import { json } from '../output.js';
import { isUtf8, parseCount, parseDuration } from '../values.js';
import { type Arguments, type Command, flag, optionalText, text } from './command.js';

/** A value in JSON: as text where it is text, else base64, as the service API has it. */
export const valueFields = (value: Buffer): { value: string } | { valueB64: string } =>
  isUtf8(value) ? { value: value.toString() } : { valueB64: value.toString('base64') };

export const keyFields = (key: Buffer): { key: string } | { keyB64: string } =>
  isUtf8(key) ? { key: key.toString() } : { keyB64: key.toString('base64') };

export const get: Command = {
  command: 'get <key>',
  describe: 'Print the value of a key',
  builder: (parser) =>
    parser
      .positional('key', { type: 'string', describe: 'The key' })
      .example('$0 get paris', 'the value, byte for byte')
      .example('$0 get -b cities FR/11/Paris -o json', 'with its revision and the consistency it was read at'),
  async run(context, args) {
    const key = context.key(text(args, 'key'));
    const client = await context.connect();
    const found = await client.get(context.args.bucket, key, context.readOptions);
    if (found === undefined) {
      context.io.err.write(`kvctl: NOT_FOUND: no such key: ${text(args, 'key')}\n`);
      return exitCodes.notFound;
    }
    const { out } = context.io;
    if (context.args.output === 'json') {
      const { revision, consistency, maybeStale } = found;
      await write(out, json({ ...keyFields(key), ...valueFields(found.value), revision, consistency, maybeStale }));
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

async function valueFor(context: Context, args: Arguments): Promise<Buffer> {
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

function writeOptions(context: Context, args: Arguments): WriteOptions {
  const ttl = optionalText(args, 'ttl');
  const revision = optionalText(args, 'revision');
  return {
    timeoutMs: context.timeoutMs,
    ...(ttl === undefined ? {} : { ttlMs: parseDuration(ttl) }),
    ...(revision === undefined ? {} : { ifRevision: parseCount(revision, '--revision') }),
    ...(flag(args, 'absent') ? { ifAbsent: true } : {}),
  };
}

async function reportWritten(context: Context, key: Buffer, revision: number): Promise<void> {
  if (context.args.output === 'json') await write(context.io.out, json({ ...keyFields(key), revision }));
  else if (context.args.output === 'table') await write(context.io.out, `revision ${revision}\n`);
}

export const put: Command = {
  command: 'put <key> [value]',
  describe: 'Store a value (from standard input when it is left out)',
  builder: (parser) =>
    parser
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
    parser
      .positional('key', { type: 'string', describe: 'The key' })
      .option('revision', { type: 'string', requiresArg: true, describe: 'Only if it still has this revision' })
      .example('$0 del greeting', 'exit code 3 when there was no such key'),
  async run(context, args) {
    const key = context.key(text(args, 'key'));
    const client = await context.connect();
    const { found, revision } = await client.delete(context.args.bucket, key, writeOptions(context, args));
    if (context.args.output === 'json') await write(context.io.out, json({ ...keyFields(key), found, revision }));
    if (!found) context.io.err.write(`kvctl: NOT_FOUND: no such key: ${text(args, 'key')}\n`);
    return found ? exitCodes.ok : exitCodes.notFound;
  },
};

export const cas: Command = {
  command: 'cas <key> <value> [new]',
  describe: 'Replace a value only if nobody changed it meanwhile',
  builder: (parser) =>
    parser
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
