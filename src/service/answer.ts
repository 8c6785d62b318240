/** Answers of the public API: what they hold, and how that looks in each form. */
import { isUtf8 } from 'node:buffer';
import { emptyBytes, type RingraftError } from '../base/index.js';
import type { BusHeaders } from '../transport/index.js';
import { encodePublicAnswer } from '../wire/index.js';
import { contentTypeHeader } from './raw-request.js';
import { statusOf } from './statuses.js';

/** How to answer: one field as the body and the others in headers, or everything in JSON or protobuf. */
export type Form = 'raw' | 'json' | 'protobuf';

export type Answer = { readonly payload: Buffer; readonly headers: BusHeaders };

/** What an answer may hold; each operation has some of it. */
export type AnswerFields = {
  readonly key?: Buffer;
  readonly value?: Buffer;
  /** What an increment came to. */
  readonly number?: number;
  readonly bytes?: number;
  readonly found?: boolean;
  /** -1: for ever. */
  readonly ttlMs?: number;
  readonly count?: number;
  readonly revision?: number;
  readonly consistency?: string;
  readonly stale?: boolean;
  readonly stalenessMs?: number;
  readonly expiresAtMs?: number;
};

export const answerHeaders = {
  revision: 'Kv-Revision',
  consistency: 'Kv-Consistency',
  stale: 'Kv-Stale',
  stalenessMs: 'Kv-Staleness',
  expiresAtMs: 'Kv-Expires-At',
  found: 'Kv-Found',
  bytes: 'Kv-Bytes',
} as const;

export const errorHeaders = { error: 'Nats-Service-Error', errorCode: 'Nats-Service-Error-Code' } as const;

/** In this order. An increment's number is its value: text that is a number. */
const jsonNames = {
  key: 'key',
  value: 'value',
  number: 'value',
  bytes: 'bytes',
  found: 'found',
  ttlMs: 'ttlMs',
  count: 'count',
  revision: 'revision',
  consistency: 'consistency',
  stale: 'stale',
  stalenessMs: 'stalenessMs',
  expiresAtMs: 'expiresAtMs',
} as const satisfies Record<keyof AnswerFields, string>;

const jsonType: BusHeaders = { [contentTypeHeader]: 'application/json' };
const protobufType: BusHeaders = { [contentTypeHeader]: 'application/protobuf' };
export const headersOf = (form: Form): BusHeaders => (form === 'protobuf' ? protobufType : jsonType);

/** `{[name]: text}`, or `{[name + 'B64']: base64}` for bytes that are not UTF-8. */
export const bytesField = (name: string, bytes: Buffer): Readonly<Record<string, string>> =>
  isUtf8(bytes) ? { [name]: bytes.toString() } : { [`${name}B64`]: bytes.toString('base64') };

export function jsonFields(fields: AnswerFields): Readonly<Record<string, unknown>> {
  const shown: Record<string, unknown> = {};
  for (const [name, as] of Object.entries(jsonNames) as [keyof AnswerFields, string][]) {
    const field = fields[name];
    if (Buffer.isBuffer(field)) Object.assign(shown, bytesField(as, field));
    else if (field !== undefined) shown[as] = field;
  }
  return shown;
}

function rawAnswer(fields: AnswerFields, body: keyof AnswerFields | undefined): Answer {
  const headers: Record<string, string> = {};
  for (const [name, header] of Object.entries(answerHeaders) as [keyof typeof answerHeaders, string][]) {
    const field = fields[name];
    if (field !== undefined) headers[header] = String(field);
  }
  const field = body === undefined ? undefined : fields[body];
  if (field === undefined) return { payload: emptyBytes, headers };
  return { payload: Buffer.isBuffer(field) ? field : Buffer.from(String(field)), headers };
}

/** `body`: the field that is the body of the raw form. */
export function keyAnswer(form: Form, fields: AnswerFields, body: keyof AnswerFields | undefined): Answer {
  switch (form) {
    case 'raw':
      return rawAnswer(fields, body);
    case 'json':
      return { payload: Buffer.from(JSON.stringify(jsonFields(fields))), headers: jsonType };
    case 'protobuf':
      return { payload: encodePublicAnswer('KvAnswer', fields), headers: protobufType };
  }
}

/** What headers take of a message's payload: a line of version, a line each, an empty line. */
export function headerBytes(headers: BusHeaders): number {
  let bytes = 'NATS/1.0\r\n\r\n'.length;
  for (const [name, value] of Object.entries(headers)) bytes += Buffer.byteLength(name) + Buffer.byteLength(value) + 4;
  return bytes;
}

const maxMessageLength = 512;

/** A header is one line of printable ASCII. */
const oneLine = (text: string): string => text.replaceAll(/[^\x20-\x7e]+/g, ' ').slice(0, maxMessageLength);

/** Of characters that are whole: the cut may go through one. */
const shortened = (text: string): string =>
  text.length <= maxMessageLength ? text : `${Buffer.from(text.slice(0, maxMessageLength - 3)).toString()}...`;

/** An error as it stands in every form. Its message may quote what was asked, which may be as long as a NATS message. */
export function errorFields({ code, message, happened, fields }: RingraftError): {
  readonly code: string;
  readonly message: string;
  readonly happened: string;
  readonly revision?: number;
  readonly consistency?: string;
  readonly stale?: boolean;
  readonly stalenessMs?: number;
} {
  const { revision } = fields;
  const served = code === 'NOT_FOUND' ? (fields.served as AnswerFields | undefined) : undefined;
  const shown = { code, message: shortened(message), happened, ...served };
  return code === 'CONFLICT' && typeof revision === 'number' ? { ...shown, revision } : shown;
}

const servedOf = ({ consistency, stale, stalenessMs }: AnswerFields): AnswerFields => ({
  ...(consistency === undefined ? {} : { consistency }),
  ...(stale === undefined ? {} : { stale }),
  ...(stalenessMs === undefined ? {} : { stalenessMs }),
});

/** The headers say it in every form; the body is JSON unless protobuf was asked for. */
export function errorAnswer(form: Form, error: RingraftError): Answer & { readonly text: string } {
  const shown = errorFields(error);
  const { code, message, revision } = shown;
  const text = oneLine(`${code}: ${message}`);
  const payload =
    form === 'protobuf'
      ? encodePublicAnswer('KvAnswer', { error: shown })
      : Buffer.from(JSON.stringify({ error: shown }));
  return {
    text,
    payload,
    headers: {
      ...headersOf(form),
      [errorHeaders.error]: text,
      [errorHeaders.errorCode]: String(statusOf(error.code)),
      ...rawAnswer({ ...(revision === undefined ? {} : { revision }), ...servedOf(shown) }, undefined).headers,
    },
  };
}
