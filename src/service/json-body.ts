/**
 * Reads JSON bodies of requests field by field. Strict: a field nobody asked for is refused, because a misspelt
 * condition would otherwise turn a conditional write into an unconditional one.
 */
import { messageOf, RingraftError } from '../base/index.js';

const base64Pattern = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}(?:==)?|[A-Za-z0-9+/]{3}=?)?$/;

const badRequest = (message: string, cause?: unknown): RingraftError =>
  new RingraftError('BAD_REQUEST', message, cause === undefined ? {} : { cause });

export class JsonBody {
  private readonly fields: Readonly<Record<string, unknown>>;
  private readonly asked = new Set<string>();

  /** Throws BAD_REQUEST for what is not a JSON object. */
  constructor(payload: Buffer) {
    let parsed: unknown;
    try {
      parsed = JSON.parse(payload.toString());
    } catch (cause) {
      throw badRequest(`the body is not JSON: ${messageOf(cause)}`, cause);
    }
    if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed)) {
      throw badRequest('the body is not a JSON object');
    }
    this.fields = parsed as Record<string, unknown>;
  }

  private take(name: string): unknown {
    this.asked.add(name);
    return Object.hasOwn(this.fields, name) ? this.fields[name] : undefined;
  }

  string(name: string): string | undefined {
    const value = this.take(name);
    if (value !== undefined && typeof value !== 'string') throw badRequest(`"${name}" is not a string`);
    return value;
  }

  boolean(name: string): boolean | undefined {
    const value = this.take(name);
    if (value !== undefined && typeof value !== 'boolean') throw badRequest(`"${name}" is neither true nor false`);
    return value;
  }

  /** A whole number from `min`. */
  integer(name: string, min: number): number | undefined {
    const value = this.take(name);
    if (value === undefined) return undefined;
    if (!Number.isSafeInteger(value) || (value as number) < min) {
      throw badRequest(`"${name}" is not a whole number from ${min}`);
    }
    return value as number;
  }

  /** Bytes as `name` (text) or `nameB64` (base64), not both. */
  bytes(name: string): Buffer | undefined {
    const text = this.string(name);
    const base64 = this.string(`${name}B64`);
    if (text !== undefined && base64 !== undefined) throw badRequest(`"${name}" and "${name}B64" exclude each other`);
    if (base64 === undefined) return text === undefined ? undefined : Buffer.from(text);
    if (!base64Pattern.test(base64)) throw badRequest(`"${name}B64" is not base64`);
    return Buffer.from(base64, 'base64');
  }

  requiredBytes(name: string): Buffer {
    const bytes = this.bytes(name);
    if (bytes === undefined) throw badRequest(`"${name}" or "${name}B64" is missing`);
    return bytes;
  }

  /** Call it last. */
  finish(): void {
    for (const name of Object.keys(this.fields)) {
      if (this.asked.has(name)) continue;
      throw badRequest(`unknown field "${name}"; known here: ${[...this.asked].join(', ')}`);
    }
  }
}
