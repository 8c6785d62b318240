/**
 * The fields of a request, whatever form it has: headers beside a raw body, a JSON object, a protobuf message. Strict in
 * all three: a field that nobody asks for is refused, because a misspelt condition would otherwise turn a conditional
 * write into an unconditional one. All throw BAD_REQUEST.
 */
import { RingraftError } from '../base/index.js';

export type Fields = {
  string(name: string): string | undefined;
  boolean(name: string): boolean | undefined;
  /** A whole number from `min`. */
  integer(name: string, min: number): number | undefined;
  bytes(name: string): Buffer | undefined;
  /** Requests within the request, each opened on its own, so that one that is wrong spoils no other. */
  list(name: string): readonly (() => Fields)[] | undefined;
  /** How the field is called in this form; bytes may have two names. */
  nameOf(name: string, isBytes?: boolean): string;
  /** Call it last: throws when there is a field nobody asked for. */
  finish(): void;
};

export const badRequest = (message: string, cause?: unknown): RingraftError =>
  new RingraftError('BAD_REQUEST', message, cause === undefined ? {} : { cause });

const longestShownText = 80;

/** What a stranger wrote, quoted in a message: never all of it. */
export function quoted(text: string): string {
  const shown = text.length > longestShownText ? `${text.slice(0, longestShownText)}...` : text;
  return JSON.stringify(shown);
}

export function requiredBytes(fields: Fields, name: string): Buffer {
  const bytes = fields.bytes(name);
  if (bytes === undefined) throw badRequest(`${fields.nameOf(name, true)} is missing`);
  return bytes;
}

export function checkedInteger(fields: Fields, name: string, value: unknown, min: number): number {
  if (Number.isSafeInteger(value) && (value as number) >= min) return value as number;
  const range = min === Number.MIN_SAFE_INTEGER ? 'within 2^53' : `from ${min}`;
  throw badRequest(`${fields.nameOf(name)} is not a whole number ${range}`);
}

const base64Pattern = /^[A-Za-z0-9+/]*={0,2}$/;

/** Padding may be left out. */
export function fromBase64(text: string, what: string): Buffer {
  const unpadded = text.replace(/=+$/, '').length % 4;
  const isWhole = text.endsWith('=') ? text.length % 4 === 0 : unpadded !== 1;
  if (!isWhole || !base64Pattern.test(text)) throw badRequest(`${what} is not base64`);
  return Buffer.from(text, 'base64');
}
