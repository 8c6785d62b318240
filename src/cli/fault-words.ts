/** Faults as people type them. */
import { RingraftError } from '../base/index.js';
import type { FaultSpec } from '../faults/index.js';
import { parseDuration, parseSize } from './values.js';

const wrong = (message: string): RingraftError => new RingraftError('BAD_REQUEST', message);

/** `n1,n2 | n3,n4,n5`, or one side alone: the others are the other side. */
export function parseGroups(words: readonly string[], nodes: readonly string[]): readonly (readonly string[])[] {
  const groups = words
    .flatMap((word) => word.split('|'))
    .map((group) => group.split(',').map((node) => node.trim()))
    .map((group) => group.filter((node) => node !== ''))
    .filter((group) => group.length > 0);
  const named = groups.flat();
  const twice = named.find((node, at) => named.indexOf(node) < at);
  if (twice !== undefined) throw wrong(`${twice} stands on two sides`);
  const rest = nodes.filter((node) => !named.includes(node));
  const all = rest.length > 0 ? [...groups, rest] : groups;
  if (all.length < 2) throw wrong('a split has two sides at least: "n1,n2 | n3,n4,n5"');
  return all;
}

/** `n1 -> n2`, in one word or several. */
export function parseDirection(words: readonly string[]): readonly [string, string] {
  const [from, to, ...more] = words
    .flatMap((word) => word.split(/->|\s+/))
    .filter((word) => word !== '' && word !== '-');
  if (from === undefined || to === undefined || more.length > 0) throw wrong('say from whom to whom: "n1 -> n2"');
  return [from, to];
}

/** `20%` or `0.2`. */
export function parseShare(text: string): number {
  const match = /^(\d+(?:\.\d+)?)\s*(%)?$/.exec(text.trim());
  const share = match === null ? Number.NaN : Number(match[1]) / (match[2] === undefined ? 1 : 100);
  if (!(share >= 0 && share < 1)) throw wrong(`a share is 0% to 99%, not ${text}`);
  return share;
}

/** `50ms`, `50ms±20ms` (or `+-`). */
export function parseDelay(text: string): { readonly delayMs: number; readonly jitterMs: number } {
  const [delay = '', jitter] = text.split(/±|\+-|\+\/-/);
  const [delayMs, jitterMs] = [parseDuration(delay, 0), jitter === undefined ? 0 : parseDuration(jitter, 0)];
  if (jitterMs > delayMs) throw wrong(`${text}: a delay cannot vary by more than itself`);
  return { delayMs, jitterMs };
}

/** `64KiB`, a second. */
export function parseRate(text: string): number {
  const bytes = parseSize(text.replace(/\/s$/, ''));
  if (bytes < 1) throw wrong(`${text}: at least a byte a second, or it would be a split`);
  return bytes;
}

/** `+1h`, `-90s`. */
export function parseOffset(text: string): number {
  const match = /^([+-]?)(.+)$/.exec(text.trim());
  const ms = parseDuration(match?.[2] ?? '');
  return match?.[1] === '-' ? -ms : ms;
}

/** `leader-of:7`: the shard; undefined: a plain name. */
export function leaderOf(word: string): number | undefined {
  const match = /^leader-of:(\d+)$/.exec(word);
  return match === null ? undefined : Number(match[1]);
}

/** What undoes it, for people. */
export function undoText(spec: FaultSpec, id: string): string {
  return spec.kind === 'reset' ? 'nothing: what was reset connects again by itself' : `kvctl fault heal ${id}`;
}
