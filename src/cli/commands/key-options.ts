/** Options of commands that read and write single keys, and how what was read is told. */
import type { KeyFacts, ReadOptions, WriteOptions } from '../../client/index.js';
import type { Context } from '../context.js';
import { exitCodes } from '../exit-codes.js';
import { isUtf8, parseCount, parseDuration } from '../values.js';
import type { Argv } from '../yargs.js';
import { type Arguments, availableOf, flag, optionalText } from './command.js';

/** A value in JSON: as text where it is text, else base64, as the service API has it. */
export const valueFields = (value: Buffer): { value: string } | { valueB64: string } =>
  isUtf8(value) ? { value: value.toString() } : { valueB64: value.toString('base64') };

export const keyFields = (key: Buffer): { key: string } | { keyB64: string } =>
  isUtf8(key) ? { key: key.toString() } : { keyB64: key.toString('base64') };

export const withReadOptions = (parser: Argv): Argv =>
  parser
    .option('read-quorum', {
      type: 'string',
      requiresArg: true,
      describe: 'With --consistency quorum: replicas that must answer [default: a majority]',
    })
    .option('max-staleness', {
      type: 'string',
      requiresArg: true,
      describe: 'With --consistency one: how old it may be (500ms, 5s)',
    })
    .option('available', {
      type: 'boolean',
      describe: 'Without a leader: the best that can be read [default: as the bucket]',
    });

export const withRequestId = (parser: Argv): Argv =>
  parser.option('request-id', {
    type: 'string',
    requiresArg: true,
    describe: 'Name of this write: it happens once, however often it is repeated',
  });

export function readOptions(context: Context, args: Arguments): ReadOptions {
  const { consistency } = context.args;
  const readQuorum = optionalText(args, 'readQuorum');
  const maxStaleness = optionalText(args, 'maxStaleness');
  return {
    timeoutMs: context.timeoutMs,
    ...(consistency === undefined ? {} : { consistency }),
    ...(readQuorum === undefined ? {} : { readQuorum: parseCount(readQuorum, '--read-quorum', 1) }),
    ...(maxStaleness === undefined ? {} : { maxStalenessMs: parseDuration(maxStaleness) }),
    ...availableOf(args),
  };
}

export function writeOptions(context: Context, args: Arguments): WriteOptions {
  const ttl = optionalText(args, 'ttl');
  const revision = optionalText(args, 'revision');
  const requestId = optionalText(args, 'requestId');
  return {
    timeoutMs: context.timeoutMs,
    ...(ttl === undefined ? {} : { ttlMs: parseDuration(ttl) }),
    ...(revision === undefined ? {} : { ifRevision: parseCount(revision, '--revision') }),
    ...(flag(args, 'absent') ? { ifAbsent: true } : {}),
    ...(requestId === undefined ? {} : { requestId }),
  };
}

/** What a read says beside the value, in JSON. */
export const factFields = ({ revision, consistency, maybeStale, stalenessMs, expiresAtMs }: KeyFacts): object => ({
  revision,
  consistency,
  maybeStale,
  ...(stalenessMs === undefined ? {} : { stalenessMs }),
  ...(expiresAtMs === undefined ? {} : { expiresAtMs }),
});

/** One who sees only the value must be told that it may be old. */
export function warnIfStale(context: Context, { maybeStale, consistency, stalenessMs }: KeyFacts): void {
  if (!maybeStale || context.args.output === 'json') return;
  const age = stalenessMs === undefined ? '' : `, at most ${stalenessMs} ms old`;
  context.io.err.write(`kvctl: possibly stale: read at level ${consistency}${age}\n`);
}

export function reportMissing(context: Context, key: string): number {
  context.io.err.write(`kvctl: NOT_FOUND: no such key: ${key}\n`);
  return exitCodes.notFound;
}
