/** import and export: whole buckets, as NDJSON or CSV. */
import { createReadStream, createWriteStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { finished } from 'node:stream/promises';
import { messageOf, RingraftError } from '../../base/index.js';
import type { RingraftClient } from '../../client/index.js';
import type { Context } from '../context.js';
import { exitCodes } from '../exit-codes.js';
import { write } from '../io.js';
import { json } from '../output.js';
import { startProgress } from '../progress.js';
import { formatCount } from '../values.js';
import { type Arguments, type Command, optionalText } from './command.js';
import {
  type Format,
  formatOf,
  formatRecord,
  formats,
  heading,
  readRecords,
  type TransferRecord,
} from './transfer-formats.js';

const recordsPerBatch = 512;
const bytesPerBatch = 4 * 1024 * 1024;
/** Batches under way at a time, so that the cluster is never waited for by name. */
const batchesInFlight = 4;

const formatArgument = (args: Arguments, path: string | undefined): Format =>
  formatOf(optionalText(args, 'format') as Format | undefined, path);

/** Stores the records of a stream; resolves with how many. The first failure ends it, with its line. */
export async function storeRecords(
  client: RingraftClient,
  bucket: string,
  records: AsyncIterable<TransferRecord>,
  options: {
    readonly timeoutMs: number;
    readonly onStored: (records: readonly TransferRecord[]) => void;
    readonly signal: AbortSignal;
  },
): Promise<number> {
  let stored = 0;
  let failure: unknown;
  const inFlight = new Set<Promise<void>>();
  const send = (batch: readonly TransferRecord[]): void => {
    const pairs = batch.map(({ key, value }) => [key, value] as const);
    const sent = client.putMany(bucket, pairs, { timeoutMs: options.timeoutMs }).then(
      (settled) => {
        const failed = settled.findIndex((one) => !one.ok);
        const one = settled[failed];
        if (one !== undefined && !one.ok) failure ??= atLine(batch[failed]?.line ?? 0, one.error);
        else {
          stored += batch.length;
          options.onStored(batch);
        }
      },
      (error: unknown) => {
        failure ??= atLine(batch[0]?.line ?? 0, error);
      },
    );
    const tracked = sent.finally(() => inFlight.delete(tracked));
    inFlight.add(tracked);
  };
  let batch: TransferRecord[] = [];
  let bytes = 0;
  for await (const record of records) {
    if (failure !== undefined || options.signal.aborted) break;
    batch.push(record);
    bytes += record.key.length + record.value.length;
    if (batch.length < recordsPerBatch && bytes < bytesPerBatch) continue;
    if (inFlight.size >= batchesInFlight) await Promise.race(inFlight);
    send(batch);
    batch = [];
    bytes = 0;
  }
  if (batch.length > 0 && failure === undefined && !options.signal.aborted) send(batch);
  await Promise.all(inFlight);
  if (failure !== undefined) throw failure;
  return stored;
}

function atLine(line: number, error: unknown): unknown {
  if (!(error instanceof RingraftError)) return error;
  const { code, happened, fields } = error;
  return new RingraftError(code, `line ${line}: ${error.message}`, {
    happened,
    fields: { ...fields, line },
    cause: error,
  });
}

async function fileSize(path: string): Promise<number> {
  try {
    return (await stat(path)).size;
  } catch (cause) {
    throw new RingraftError('BAD_REQUEST', `cannot read ${path}: ${messageOf(cause)}`, { cause });
  }
}

async function runImport(context: Context, args: Arguments): Promise<number> {
  const path = optionalText(args, 'file');
  const fromFile = path !== undefined && path !== '-';
  const total = fromFile ? await fileSize(path) : undefined;
  const input = fromFile ? createReadStream(path) : Readable.from(context.io.in);
  const client = await context.connect();
  const progress = startProgress(context.io, 'importing', total, 'bytes');
  let seen = 0;
  input.on('data', () => {
    const read = 'bytesRead' in input ? Number(input.bytesRead) : 0;
    progress.advance(read - seen);
    seen = read;
  });
  input.pause();
  const started = performance.now();
  try {
    const stored = await storeRecords(client, context.args.bucket, readRecords(input, formatArgument(args, path)), {
      timeoutMs: Math.max(context.timeoutMs, 30_000),
      onStored: () => {},
      signal: context.io.signal,
    });
    progress.stop();
    const seconds = (performance.now() - started) / 1000;
    if (context.args.output === 'json') await write(context.io.out, json({ imported: stored, seconds }));
    const rate = formatCount(stored / Math.max(seconds, 0.001));
    context.io.err.write(`imported ${formatCount(stored)} keys in ${seconds.toFixed(1)} s (${rate}/s)\n`);
    return context.io.signal.aborted ? exitCodes.interrupted : exitCodes.ok;
  } finally {
    progress.stop();
    input.destroy();
  }
}

export const importCommand: Command = {
  command: 'import [file]',
  describe: 'Store many keys from NDJSON or CSV (standard input without a file)',
  builder: (parser) =>
    parser
      .positional('file', { type: 'string', describe: 'The file; its name tells the format' })
      .option('format', { choices: formats, describe: 'The format, where the name does not tell' })
      .example('$0 import -b cities cities.ndjson', '{"key":"...","value":"..."} a line; keyB64 and valueB64 for bytes')
      .example('$0 import table.csv', 'columns key, value and, optionally, encoding'),
  run: runImport,
};

export const exportCommand: Command = {
  command: 'export [file]',
  describe: 'Write all keys of a bucket as NDJSON or CSV (to standard output without a file)',
  builder: (parser) =>
    parser
      .positional('file', { type: 'string', describe: 'The file; its name tells the format' })
      .option('format', { choices: formats, describe: 'The format, where the name does not tell' })
      .option('prefix', { alias: 'p', type: 'string', requiresArg: true, describe: 'Only keys that begin with this' })
      .example('$0 export -b cities cities.csv', 'import reads it back'),
  async run(context, args) {
    const path = optionalText(args, 'file');
    const format = formatArgument(args, path);
    const prefix = optionalText(args, 'prefix');
    const toFile = path !== undefined && path !== '-';
    const client = await context.connect();
    const target: NodeJS.WritableStream = toFile ? createWriteStream(path) : context.io.out;
    let failure: unknown;
    if (toFile) {
      target.on('error', (error: Error) => {
        failure = error;
      });
    }
    await write(target, heading(format));
    let written = 0;
    const options = { timeoutMs: context.timeoutMs, ...(prefix === undefined ? {} : { prefix: context.key(prefix) }) };
    for await (const { key, value } of client.scan(context.args.bucket, options)) {
      if (context.io.signal.aborted || failure !== undefined) break;
      await write(target, formatRecord(key, value, format));
      written++;
    }
    if (toFile && failure === undefined) {
      target.end();
      await finished(target).catch((error: unknown) => {
        failure = error;
      });
    }
    if (failure !== undefined) throw new RingraftError('BAD_REQUEST', `cannot write ${path}: ${messageOf(failure)}`);
    context.io.err.write(`exported ${formatCount(written)} keys\n`);
    return context.io.signal.aborted ? exitCodes.interrupted : exitCodes.ok;
  },
};
