/** The fields of a JSON body. */
import { isUtf8 } from 'node:buffer';
import { messageOf } from '../base/index.js';
import { badRequest, checkedInteger, type Fields, fromBase64, quoted } from './fields.js';

export class JsonBody implements Fields {
  private readonly asked = new Set<string>();

  private constructor(private readonly fields: Readonly<Record<string, unknown>>) {}

  /** Throws BAD_REQUEST for what is not a JSON object. */
  static parse(payload: Buffer): JsonBody {
    // Bytes that are no text would come out as others, and be stored as those.
    if (!isUtf8(payload)) throw badRequest('the body is not JSON: it is not UTF-8');
    let parsed: unknown;
    try {
      parsed = JSON.parse(payload.toString());
    } catch (cause) {
      throw badRequest(`the body is not JSON: ${messageOf(cause)}`, cause);
    }
    return JsonBody.of(parsed, 'the body');
  }

  private static of(value: unknown, what: string): JsonBody {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) {
      throw badRequest(`${what} is not a JSON object`);
    }
    return new JsonBody(value as Record<string, unknown>);
  }

  nameOf(name: string, isBytes = false): string {
    return isBytes ? `"${name}" or "${name}B64"` : `"${name}"`;
  }

  private take(name: string): unknown {
    this.asked.add(name);
    return Object.hasOwn(this.fields, name) ? this.fields[name] : undefined;
  }

  string(name: string): string | undefined {
    const value = this.take(name);
    if (value === undefined) return undefined;
    if (typeof value !== 'string') throw badRequest(`"${name}" is not a string`);
    // Half a surrogate pair has no bytes of its own: it would be stored as another character.
    if (!/^\P{Surrogate}*$/u.test(value)) throw badRequest(`"${name}" is not Unicode text`);
    return value;
  }

  boolean(name: string): boolean | undefined {
    const value = this.take(name);
    if (value !== undefined && typeof value !== 'boolean') throw badRequest(`"${name}" is neither true nor false`);
    return value;
  }

  integer(name: string, min: number): number | undefined {
    const value = this.take(name);
    return value === undefined ? undefined : checkedInteger(this, name, value, min);
  }

  /** As `name` (text) or `nameB64` (base64), not both. */
  bytes(name: string): Buffer | undefined {
    const text = this.string(name);
    const base64 = this.string(`${name}B64`);
    if (text !== undefined && base64 !== undefined) throw badRequest(`"${name}" and "${name}B64" exclude each other`);
    if (base64 === undefined) return text === undefined ? undefined : Buffer.from(text);
    return fromBase64(base64, `"${name}B64"`);
  }

  list(name: string): readonly (() => Fields)[] | undefined {
    const value = this.take(name);
    if (value === undefined) return undefined;
    if (!Array.isArray(value)) throw badRequest(`"${name}" is not an array`);
    return value.map((item: unknown) => () => JsonBody.of(item, `an item of "${name}"`));
  }

  finish(): void {
    for (const name of Object.keys(this.fields)) {
      if (this.asked.has(name)) continue;
      throw badRequest(`unknown field ${quoted(name)}; known here: ${[...this.asked].join(', ')}`);
    }
  }
}
