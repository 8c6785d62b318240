/**
 * Requests in their three forms: key in the subject with a raw body and headers, or bucket in the subject with a JSON or
 * protobuf body. All come out as fields.
 */
import { type BusMessage, maxHeaderBytes } from '../transport/index.js';
import type { Form } from './answer.js';
import type { Endpoint } from './endpoint.js';
import { badRequest, type Fields, quoted } from './fields.js';
import { JsonBody } from './json-body.js';
import { ProtobufBody } from './protobuf-body.js';
import { contentTypeHeader, RawRequest } from './raw-request.js';

/** What stands after `<prefix>.<op>.`: the bucket, and the key where the subject carries one. */
export type Target = { readonly bucket: string; readonly key: string | undefined };

export function targetOf(subject: string, subjectRoot: string): Target {
  const rest = subject.slice(subjectRoot.length);
  const dot = rest.indexOf('.');
  return dot < 0 ? { bucket: rest, key: undefined } : { bucket: rest.slice(0, dot), key: rest.slice(dot + 1) };
}

const contentTypeOf = ({ headers }: BusMessage): string | undefined =>
  headers?.[contentTypeHeader]?.split(';')[0]?.trim().toLowerCase();

/** How to answer, known before anything else is: an error has a form as well. */
export function formOf({ key }: Target, message: BusMessage): Form {
  if (key !== undefined) return 'raw';
  return contentTypeOf(message) === 'application/protobuf' ? 'protobuf' : 'json';
}

/** Throws BAD_REQUEST. */
export function fieldsOf(endpoint: Endpoint, target: Target, form: Form, message: BusMessage): Fields {
  if (message.hasBadHeaders === true)
    throw badRequest(`the headers are malformed, or have more than ${maxHeaderBytes} bytes`);
  const { payload } = message;
  switch (form) {
    case 'raw':
      if (endpoint.raw === undefined) {
        throw badRequest(`${endpoint.name} takes the bucket in the subject, and everything else in the body`);
      }
      return new RawRequest(endpoint.raw, target.key ?? '', message);
    case 'protobuf':
      return ProtobufBody.parse(endpoint.message, payload);
    case 'json': {
      const type = contentTypeOf(message);
      if (type !== undefined && type !== 'application/json') {
        throw badRequest(
          `Content-Type ${quoted(type)} is not served; a body is application/json or application/protobuf`,
        );
      }
      const body = payload.length === 0 && endpoint.mayBeEmpty ? Buffer.from('{}') : payload;
      return JsonBody.parse(body);
    }
  }
}
