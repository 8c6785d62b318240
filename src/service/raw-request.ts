/** The fields of a request with the key in the subject: subject, raw body and headers. */
import type { BusMessage } from '../transport/index.js';
import { badRequest, checkedInteger, type Fields, fromBase64, quoted } from './fields.js';

/** Fields that have a header. Bytes may also come in base64, under the same name with `-B64`. */
export const requestHeaders = {
  expectedRevision: 'Kv-Expected-Revision',
  ttlMs: 'Kv-Ttl',
  requestId: 'Kv-Request-Id',
  by: 'Kv-By',
  consistency: 'Kv-Consistency',
  readQuorum: 'Kv-Read-Quorum',
  maxStalenessMs: 'Kv-Max-Staleness',
  available: 'Kv-Available',
  limit: 'Kv-Limit',
  after: 'Kv-After',
  gte: 'Kv-Gte',
  lt: 'Kv-Lt',
  reverse: 'Kv-Reverse',
  keysOnly: 'Kv-Keys-Only',
  timeoutMs: 'Kv-Timeout',
} as const;

export const contentTypeHeader = 'Content-Type';

const headerOf = (name: string): string | undefined =>
  Object.hasOwn(requestHeaders, name) ? requestHeaders[name as keyof typeof requestHeaders] : undefined;

/** What NATS has made of bytes that are no UTF-8: they are lost, and several keys would become one. */
const lostBytes = '\ufffd';

/** What the subject and the body stand for: the endpoint says it. */
export type RawShape = {
  /** The field behind the bucket in the subject. */
  readonly subject: 'key' | 'prefix';
  /** The field that the body is; undefined: a body means nothing here. */
  readonly body: 'value' | 'by' | undefined;
};

export class RawRequest implements Fields {
  private readonly asked = new Set<string>();
  private readonly headers: Readonly<Record<string, string>>;
  private isBodyTaken = false;

  constructor(
    private readonly shape: RawShape,
    private readonly subjectRest: string,
    private readonly message: BusMessage,
  ) {
    this.headers = message.headers ?? {};
    if (subjectRest.includes(lostBytes)) {
      throw badRequest(`the subject is not UTF-8; such a ${shape.subject} goes into a JSON or protobuf body`);
    }
  }

  nameOf(name: string): string {
    return `header ${headerOf(name) ?? name}`;
  }

  private take(header: string): string | undefined {
    this.asked.add(header);
    const text = Object.hasOwn(this.headers, header) ? this.headers[header] : undefined;
    if (text?.includes(lostBytes)) throw badRequest(`header ${header} is not UTF-8`);
    return text;
  }

  private header(name: string): string | undefined {
    const header = headerOf(name);
    return header === undefined ? undefined : this.take(header);
  }

  string(name: string): string | undefined {
    return this.header(name);
  }

  boolean(name: string): boolean | undefined {
    const text = this.header(name);
    if (text === undefined || text === 'true') return text === undefined ? undefined : true;
    if (text === 'false') return false;
    throw badRequest(`${this.nameOf(name)} is neither true nor false`);
  }

  integer(name: string, min: number): number | undefined {
    const { payload } = this.message;
    const header = this.header(name);
    const isBody = this.shape.body === name && payload.length > 0;
    this.isBodyTaken ||= isBody;
    if (isBody && header !== undefined) throw badRequest(`the body and ${this.nameOf(name)} exclude each other`);
    const text = isBody ? payload.toString('latin1').trim() : header;
    if (text === undefined) return undefined;
    return checkedInteger(this, name, /^-?\d{1,16}$/.test(text) ? Number(text) : Number.NaN, min);
  }

  bytes(name: string): Buffer | undefined {
    if (name === this.shape.subject) return Buffer.from(this.subjectRest);
    if (name === this.shape.body) {
      this.isBodyTaken = true;
      return this.message.payload;
    }
    const header = headerOf(name);
    if (header === undefined) return undefined;
    const text = this.take(header);
    const base64 = this.take(`${header}-B64`);
    if (text !== undefined && base64 !== undefined) throw badRequest(`${header} and ${header}-B64 exclude each other`);
    if (base64 !== undefined) return fromBase64(base64, `header ${header}-B64`);
    return text === undefined ? undefined : Buffer.from(text);
  }

  list(): undefined {
    return undefined;
  }

  /** Headers of others (tracing) pass; ours that mean nothing here, or are spelt otherwise, do not. */
  finish(): void {
    for (const header of Object.keys(this.headers)) {
      if (this.asked.has(header) || !/^kv-/i.test(header)) continue;
      throw badRequest(`unknown header ${quoted(header)}; known here: ${[...this.asked].join(', ')}`);
    }
    if (this.message.payload.length > 0 && !this.isBodyTaken) {
      throw badRequest('this operation takes no body when the key is in the subject');
    }
  }
}
