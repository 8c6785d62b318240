/**
 * Records as NDJSON and CSV. NDJSON: `{"key"|"keyB64", "value"|"valueB64"}` a line. CSV: a heading and the columns key,
 * value, encoding (`utf8` or `base64`, for both). The only file that imports csv-parse and csv-stringify.
 */
import { extname } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { parse } from 'csv-parse';
import { stringify } from 'csv-stringify/sync';
import { messageOf, RingraftError } from '../../base/index.js';
import { decodeText, isUtf8 } from '../values.js';
import { keyFields, valueFields } from './key-options.js';

export const formats = ['ndjson', 'csv'] as const;
export type Format = (typeof formats)[number];

export type TransferRecord = {
  readonly key: Buffer;
  readonly value: Buffer /** Where it stood. */;
  readonly line: number;
};

/** What was asked for, else what the file's name says, else NDJSON. */
export function formatOf(asked: Format | undefined, path: string | undefined): Format {
  return asked ?? (path !== undefined && extname(path).toLowerCase() === '.csv' ? 'csv' : 'ndjson');
}

const malformed = (line: number, what: string): RingraftError =>
  new RingraftError('BAD_REQUEST', `line ${line}: ${what}`, { fields: { line } });

type JsonRecord = { key?: unknown; keyB64?: unknown; value?: unknown; valueB64?: unknown };

/** Buffer.from skips what is no base64: an import must not. */
function fromBase64(text: string, what: string, line: number): Buffer {
  try {
    return decodeText(text, 'base64', what);
  } catch (cause) {
    throw malformed(line, messageOf(cause));
  }
}

function bytesOf(record: JsonRecord, plain: 'key' | 'value', line: number): Buffer {
  const encoded = record[`${plain}B64`];
  const given = record[plain];
  if (typeof encoded === 'string') return fromBase64(encoded, `${plain}B64`, line);
  if (typeof given === 'string') return Buffer.from(given);
  // A value that is not text is kept as its JSON: files from elsewhere often hold objects.
  if (plain === 'value' && given !== undefined) return Buffer.from(JSON.stringify(given));
  throw malformed(line, `there is no "${plain}" (text) or "${plain}B64" (base64)`);
}

async function* readNdjson(input: Readable): AsyncGenerator<TransferRecord> {
  let line = 0;
  for await (const text of createInterface({ input, crlfDelay: Number.POSITIVE_INFINITY })) {
    line++;
    if (text.trim() === '') continue;
    let record: JsonRecord | null;
    try {
      record = JSON.parse(text) as JsonRecord | null;
    } catch (cause) {
      throw malformed(line, `not JSON: ${messageOf(cause)}`);
    }
    if (typeof record !== 'object' || record === null) throw malformed(line, 'not a JSON object');
    yield { key: bytesOf(record, 'key', line), value: bytesOf(record, 'value', line), line };
  }
}

type CsvRow = { readonly record: Readonly<Record<string, string>>; readonly info: { readonly lines: number } };

async function* readCsv(input: Readable): AsyncGenerator<TransferRecord> {
  const rows = input.pipe(parse({ columns: true, info: true, bom: true, skip_empty_lines: true }));
  input.on('error', (error) => rows.destroy(error));
  try {
    for await (const { record, info } of rows as AsyncIterable<CsvRow>) {
      const { key, value, encoding = 'utf8' } = record;
      if (key === undefined || value === undefined) throw malformed(info.lines, 'the heading must name key and value');
      if (encoding !== 'utf8' && encoding !== 'base64') throw malformed(info.lines, `unknown encoding ${encoding}`);
      const bytes = (text: string, what: string): Buffer =>
        encoding === 'base64' ? fromBase64(text, what, info.lines) : Buffer.from(text);
      yield { key: bytes(key, 'key'), value: bytes(value, 'value'), line: info.lines };
    }
  } catch (error) {
    if (error instanceof RingraftError) throw error;
    throw new RingraftError('BAD_REQUEST', `not CSV: ${messageOf(error)}`, { cause: error });
  }
}

export const readRecords = (input: Readable, format: Format): AsyncGenerator<TransferRecord> =>
  format === 'csv' ? readCsv(input) : readNdjson(input);

/** What stands before the first record. */
export const heading = (format: Format): string => (format === 'csv' ? 'key,value,encoding\n' : '');

export function formatRecord(key: Buffer, value: Buffer, format: Format): string {
  if (format === 'ndjson') return `${JSON.stringify({ ...keyFields(key), ...valueFields(value) })}\n`;
  const encoding = isUtf8(key) && isUtf8(value) ? 'utf8' : 'base64';
  return stringify([[key.toString(encoding), value.toString(encoding), encoding]]);
}
