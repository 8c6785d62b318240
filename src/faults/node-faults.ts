/**
 * Faults of one node as files: what is to be in force (`FILE`), and what the node says is (`FILE.seen`). Both are JSON and
 * replaced as a whole, so that nobody reads a half of one.
 */
import { randomUUID } from 'node:crypto';
import { readFile, rename, rm, writeFile } from 'node:fs/promises';
import { messageOf, RingraftError } from '../base/index.js';
import type { NodeFaults, NodeFaultsSeen } from './types.js';

/** Twenty years: time stamps in the log begin at 1970. */
const mostOffsetMs = 20 * 365 * 86_400_000;
const mostDelayMs = 3_600_000;

export const seenPathOf = (path: string): string => `${path}.seen`;

type Fields = Readonly<Record<string, unknown>>;

function fieldsOf(value: unknown, name: string, known: readonly string[]): Fields {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw wrong(`${name} is no object`);
  const unknown = Object.keys(value).find((field) => !known.includes(field));
  if (unknown !== undefined) throw wrong(`${name} has a field ${unknown}; there are ${known.join(', ')}`);
  return value as Fields;
}

const wrong = (what: string): RingraftError => new RingraftError('BAD_REQUEST', `faults of a node: ${what}`);

function numberOf(value: unknown, name: string, least: number, most: number): number | undefined {
  if (value === undefined) return undefined;
  if (typeof value !== 'number' || !(value >= least && value <= most))
    throw wrong(`${name} is a number from ${least} to ${most}`);
  return value;
}

/** Throws BAD_REQUEST, saying what is wrong. */
export function parseNodeFaults(text: string): NodeFaults {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw wrong(messageOf(cause));
  }
  const fields = fieldsOf(value, 'the file', ['disk', 'clockOffsetMs']);
  const clockOffsetMs = numberOf(fields.clockOffsetMs, 'clockOffsetMs', -mostOffsetMs, mostOffsetMs);
  const disk = fields.disk === undefined ? {} : fieldsOf(fields.disk, 'disk', ['full', 'writeDelayMs']);
  const { full } = disk;
  if (full !== undefined && typeof full !== 'boolean') throw wrong('disk.full is true or false');
  return mergeNodeFaults([
    {
      disk: {
        full: full === true,
        writeDelayMs: numberOf(disk.writeDelayMs, 'disk.writeDelayMs', 0, mostDelayMs) ?? 0,
      },
      clockOffsetMs: clockOffsetMs ?? 0,
    },
  ]);
}

/** All of them at once: delays and offsets add up. What does nothing is left out. */
export function mergeNodeFaults(all: readonly NodeFaults[]): NodeFaults {
  const full = all.some(({ disk }) => disk?.full === true);
  const writeDelayMs = all.reduce((sum, { disk }) => sum + (disk?.writeDelayMs ?? 0), 0);
  const clockOffsetMs = all.reduce((sum, one) => sum + (one.clockOffsetMs ?? 0), 0);
  const disk = { ...(full ? { full } : {}), ...(writeDelayMs > 0 ? { writeDelayMs } : {}) };
  return {
    ...(Object.keys(disk).length > 0 ? { disk } : {}),
    ...(clockOffsetMs !== 0 ? { clockOffsetMs } : {}),
  };
}

export const writeNodeFaults = (path: string, faults: NodeFaults): Promise<void> => replace(path, faults);

export const writeNodeFaultsSeen = (path: string, seen: NodeFaultsSeen): Promise<void> =>
  replace(seenPathOf(path), seen);

/** What the node that takes its faults from `path` last said; undefined: it has said nothing yet. */
export async function readNodeFaultsSeen(path: string): Promise<NodeFaultsSeen | undefined> {
  const text = await readIfThere(seenPathOf(path));
  return text === undefined ? undefined : (JSON.parse(text) as NodeFaultsSeen);
}

export async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

/** Under its name the file is always whole, whoever else writes it. */
async function replace(path: string, value: NodeFaults | NodeFaultsSeen): Promise<void> {
  const staged = `${path}.${randomUUID()}`;
  try {
    await writeFile(staged, `${JSON.stringify(value, undefined, 2)}\n`);
    await rename(staged, path);
  } catch (error) {
    await rm(staged, { force: true });
    throw error;
  }
}
