/** Keys, values, durations as people type them. */
import { durationUnits, isNodeId, type NodeId, RingraftError } from '../base/index.js';

export { formatDuration } from '../base/index.js';

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

/** `500ms`, `5s`, `2m`, `1h`; a bare number is seconds. Milliseconds, at least `leastMs`. */
export function parseDuration(text: string, leastMs = 1): number {
  const match = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)?$/.exec(text.trim());
  if (match === null) throw new RingraftError('BAD_REQUEST', `not a duration: ${text} (try 500ms, 5s, 2m)`);
  const ms = Math.round(Number(match[1]) * (durationUnits[match[2] ?? 's'] as number));
  if (ms < leastMs) throw new RingraftError('BAD_REQUEST', `${text} is too short: at least ${leastMs}ms`);
  return ms;
}

const sizes: Readonly<Record<string, number>> = {
  GiB: 2 ** 30,
  MiB: 2 ** 20,
  KiB: 2 ** 10,
  GB: 1e9,
  MB: 1e6,
  kB: 1e3,
  B: 1,
};

/** `64MiB`, `100MB`, `1.5GiB`; a bare number is bytes. Whole bytes. */
export function parseSize(text: string): number {
  const match = /^(\d+(?:\.\d+)?) ?([a-z]+)?$/i.exec(text.trim());
  const wanted = (match?.[2] ?? 'B').toLowerCase();
  const unit = Object.keys(sizes).find((name) => name.toLowerCase() === wanted);
  if (match === null || unit === undefined) {
    throw new RingraftError('BAD_REQUEST', `not a size: ${text} (try 512KiB, 64MiB, 100MB)`);
  }
  return Math.round(Number(match[1]) * (sizes[unit] as number));
}

/** As people type it, exact; `parseSize` gives the same back. */
export function formatSize(bytes: number): string {
  const unit = Object.keys(sizes).find((name) => bytes > 0 && bytes % (sizes[name] as number) === 0) ?? 'B';
  return `${bytes / (sizes[unit] as number)}${unit}`;
}

/** on, off and what else people type for them. */
export function parseSwitch(text: string, what: string): boolean {
  const word = text.trim().toLowerCase();
  if (['on', 'true', 'yes'].includes(word)) return true;
  if (['off', 'false', 'no'].includes(word)) return false;
  throw new RingraftError('BAD_REQUEST', `${what} is on or off, not ${text}`);
}

/** As in a configuration. */
const mostWeight = 1000;

export function parseWeight(text: string, what: string): number {
  const weight = Number(text);
  if (!/^\d+(\.\d+)?$/.test(text) || weight <= 0 || weight > mostWeight) {
    const range = `a number above 0 and at most ${mostWeight}`;
    throw new RingraftError('BAD_REQUEST', `${what}: the weight is ${range}, not ${JSON.stringify(text)}`);
  }
  return weight;
}

export function parseNodeId(text: string, what: string): NodeId {
  if (isNodeId(text)) return text;
  const rule = 'lower-case letters, digits, - and _, at most 63';
  throw new RingraftError('BAD_REQUEST', `${what}: ${JSON.stringify(text)} is no node id: ${rule}`);
}

/** Zones are named like nodes. */
export function parseZone(text: string, what: string): string {
  if (isNodeId(text)) return text;
  throw new RingraftError('BAD_REQUEST', `${what}: ${JSON.stringify(text)} is no name of a zone`);
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

/** 2026-07-31 14:02:11, here. */
export function formatTime(wallMs: number): string {
  const at = new Date(wallMs);
  const two = (value: number): string => String(value).padStart(2, '0');
  const day = `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`;
  return `${day} ${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`;
}

/** `1 replica`, `3 replicas`. */
export const counted = (count: number, one: string): string => `${formatCount(count)} ${one}${count === 1 ? '' : 's'}`;
