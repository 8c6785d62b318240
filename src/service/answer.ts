/** Answers of the public API: payload and headers. */
import { isUtf8 } from 'node:buffer';
import { emptyBytes, type RingraftError } from '../base/index.js';
import type { GetResult, ScanItem } from '../client/index.js';
import type { BusHeaders } from '../transport/index.js';
import type { Form } from './request.js';
import { statusOf } from './statuses.js';

export type Answer = { readonly payload: Buffer; readonly headers: BusHeaders };

export const answerHeaders = {
  revision: 'Kv-Revision',
  consistency: 'Kv-Consistency',
  stale: 'Kv-Stale',
  found: 'Kv-Found',
  error: 'Nats-Service-Error',
  errorCode: 'Nats-Service-Error-Code',
  contentType: 'Content-Type',
} as const;

const jsonType: BusHeaders = { [answerHeaders.contentType]: 'application/json' };

const jsonAnswer = (body: object, headers: BusHeaders = jsonType): Answer => ({
  payload: Buffer.from(JSON.stringify(body)),
  headers,
});

/** `{[name]: text}`, or `{[name + 'B64']: base64}` for bytes that are not UTF-8. */
export const bytesField = (name: string, bytes: Buffer): Readonly<Record<string, string>> =>
  isUtf8(bytes) ? { [name]: bytes.toString() } : { [`${name}B64`]: bytes.toString('base64') };

export function getAnswer(form: Form, key: Buffer, result: GetResult): Answer {
  const { value, revision, consistency, maybeStale } = result;
  if (form === 'json') {
    const fields = { ...bytesField('key', key), ...bytesField('value', value) };
    return jsonAnswer({ ...fields, revision, consistency, stale: maybeStale });
  }
  const headers = {
    [answerHeaders.revision]: String(revision),
    [answerHeaders.consistency]: consistency,
    [answerHeaders.stale]: String(maybeStale),
  };
  return { payload: value, headers };
}

export function putAnswer(form: Form, key: Buffer, revision: number): Answer {
  if (form === 'json') return jsonAnswer({ ...bytesField('key', key), revision });
  return { payload: emptyBytes, headers: { [answerHeaders.revision]: String(revision) } };
}

export function deleteAnswer(form: Form, key: Buffer, found: boolean, revision: number): Answer {
  if (form === 'json') return jsonAnswer({ ...bytesField('key', key), found, revision });
  const headers = { [answerHeaders.revision]: String(revision), [answerHeaders.found]: String(found) };
  return { payload: emptyBytes, headers };
}

/** Gathers the items of a scan until a message is full. */
export class ScanAnswer {
  private readonly items: string[] = [];
  private bytes = 0;
  private last: Buffer | undefined;

  constructor(
    private readonly maxBytes: number,
    private readonly keysOnly: boolean,
  ) {}

  get isEmpty(): boolean {
    return this.items.length === 0;
  }

  /** False when the item does not fit any more. */
  add({ key, value, revision }: ScanItem): boolean {
    const fields = { ...bytesField('key', key), ...(this.keysOnly ? {} : bytesField('value', value)), revision };
    const item = JSON.stringify(fields);
    const bytes = Buffer.byteLength(item) + 1;
    if (this.bytes + bytes > this.maxBytes) return false;
    this.items.push(item);
    this.bytes += bytes;
    this.last = key;
    return true;
  }

  /** `more`: ask again with `after` set to the key of `resumeAfter`. */
  finish(more: boolean): Answer {
    const resume = more && this.last !== undefined ? bytesField('resumeAfter', this.last) : {};
    const rest = JSON.stringify({ more, ...resume }).slice(1);
    return { payload: Buffer.from(`{"items":[${this.items.join(',')}],${rest}`), headers: jsonType };
  }
}

/** What headers take of a message's payload: a line of version, a line each, an empty line. */
export function headerBytes(headers: BusHeaders): number {
  let bytes = 'NATS/1.0\r\n\r\n'.length;
  for (const [name, value] of Object.entries(headers)) bytes += Buffer.byteLength(name) + Buffer.byteLength(value) + 4;
  return bytes;
}

/** A header is one line of printable ASCII, and no novel. */
const oneLine = (text: string): string => text.replaceAll(/[^\x20-\x7e]+/g, ' ').slice(0, 512);

/** The same in both forms. */
export function errorAnswer(error: RingraftError): Answer {
  const { code, message, happened, fields } = error;
  const revision = code === 'CONFLICT' && typeof fields.revision === 'number' ? fields.revision : undefined;
  const body = { error: { code, message, happened, ...(revision === undefined ? {} : { revision }) } };
  return jsonAnswer(body, {
    ...jsonType,
    [answerHeaders.error]: oneLine(`${code}: ${message}`),
    [answerHeaders.errorCode]: String(statusOf(code)),
    ...(revision === undefined ? {} : { [answerHeaders.revision]: String(revision) }),
  });
}
