/** Keys, values, durations as people type them. */
import { RingraftError } from '../base/index.js';

export const encodings = ['utf8', 'hex', 'base64'] as const;
export type Encoding = (typeof encodings)[number];

/** Text to bytes; BAD_REQUEST where the text is not in that encoding. */
export function decodeText(text: string, encoding: Encoding, what: string): Buffer {
  const bytes = Buffer.from(text, encoding);
  const isValid =
    encoding === 'utf8' ||
    (encoding === 'hex'
      ? /^([0-9a-f]{2})*$/i.test(text)
      : bytes.toString('base64').replace(/=+$/, '') === text.replace(/=+$/, ''));
  if (!isValid) throw new RingraftError('BAD_REQUEST', `the ${what} is not ${encoding}: ${text.slice(0, 40)}`);
  return bytes;
}

export const isUtf8 = (bytes: Buffer): boolean => Buffer.from(bytes.toString('utf8'), 'utf8').equals(bytes);

const units: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** `500ms`, `5s`, `2m`, `1h`; a bare number is seconds. Milliseconds, at least `leastMs`. */
export function parseDuration(text: string, leastMs = 1): number {
  const match = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)?$/.exec(text.trim());
  if (match === null) throw new RingraftError('BAD_REQUEST', `not a duration: ${text} (try 500ms, 5s, 2m)`);
  const ms = Math.round(Number(match[1]) * (units[match[2] ?? 's'] as number));
  if (ms < leastMs) throw new RingraftError('BAD_REQUEST', `${text} is too short: at least ${leastMs}ms`);
  return ms;
}

/** A whole number of at least `least`. */
export function parseCount(text: string, what: string, least = 0): number {
  const value = Number(text);
  if (!/^\d+$/.test(text) || !Number.isSafeInteger(value) || value < least) {
    throw new RingraftError('BAD_REQUEST', `${what} is a whole number of at least ${least}, not ${text}`);
  }
  return value;
}

/** `12.3 MB`. */
export function formatBytes(bytes: number): string {
  const names = ['B', 'kB', 'MB', 'GB', 'TB'];
  let at = 0;
  let value = bytes;
  for (; value >= 1000 && at < names.length - 1; at++) value /= 1000;
  return `${at === 0 ? value : value.toFixed(1)} ${names[at]}`;
}

/** `80 ms`, `3.2 s`, `12 m`, `5 h`, `3 d`: how long something is ago. */
export function formatAge(ms: number): string {
  if (ms < 1000) return `${Math.max(0, Math.round(ms))} ms`;
  if (ms < 60_000) return `${(ms / 1000).toFixed(1)} s`;
  const [unit, size] = ms < 3_600_000 ? ['m', 60_000] : ms < 2 * 86_400_000 ? ['h', 3_600_000] : ['d', 86_400_000];
  return `${Math.floor(ms / Number(size))} ${unit}`;
}

export const formatCount = (value: number): string => Math.round(value).toLocaleString('en-US');
