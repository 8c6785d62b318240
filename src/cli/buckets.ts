/** Buckets as people write and read them. */
import { RingraftError } from '../base/index.js';
import type { RingraftClient } from '../client/index.js';
import {
  type BucketLevel,
  type BucketMode,
  type BucketSettings,
  bucketLevels,
  bucketModes,
  liveBucket,
  type ManagerRequest,
  type MapBucket,
  wholeBucket,
} from '../wire/index.js';
import { type Arguments, optionalText } from './commands/command.js';
import { askMap } from './managing.js';
import { formatDuration, formatSize, parseDuration, parseSize } from './values.js';
import type { Argv } from './yargs.js';

export const nameArgument = (parser: Argv): Argv =>
  parser.positional('name', { type: 'string', describe: 'Name of the bucket' });

export const settingOptions = (parser: Argv): Argv =>
  parser
    .option('mode', { choices: bucketModes, requiresArg: true, describe: 'Of reads when there is no leader' })
    .option('level', { choices: bucketLevels, requiresArg: true, describe: 'Consistency of reads that ask for none' })
    .option('ttl', { type: 'string', requiresArg: true, describe: 'Of values written without one: 1h; 0: they stay' })
    .option('max-value', {
      type: 'string',
      requiresArg: true,
      describe: "Most bytes of a value: 64KiB; 0: the node's limit",
    })
    .option('cache-share', {
      type: 'string',
      requiresArg: true,
      describe: "Its own fraction of a node's cache, 0 to 1; 0: the common cache",
    });

function parseShare(text: string): number {
  const share = Number(text);
  if (/^\d*\.?\d+$/.test(text) && share <= 1) return share;
  throw new RingraftError('BAD_REQUEST', `--cache-share is a number from 0 to 1, not ${text}`);
}

/** What was said of it; what was not stays as it is. */
export function settingsGiven(args: Arguments): Partial<BucketSettings> {
  const [ttl, maxValue, share] = ['ttl', 'maxValue', 'cacheShare'].map((name) => optionalText(args, name));
  return {
    ...(args.mode === undefined ? {} : { mode: args.mode as BucketMode }),
    ...(args.level === undefined ? {} : { defaultLevel: args.level as BucketLevel }),
    ...(ttl === undefined ? {} : { ttlMs: parseDuration(ttl, 0) }),
    ...(maxValue === undefined ? {} : { maxValueBytes: parseSize(maxValue) }),
    ...(share === undefined ? {} : { cacheShare: parseShare(share) }),
  };
}

const ttlText = ({ ttlMs }: MapBucket): string => (ttlMs === 0 ? 'none' : formatDuration(ttlMs));
const maxValueText = ({ maxValueBytes }: MapBucket): string =>
  maxValueBytes === 0 ? "the node's limit" : formatSize(maxValueBytes);
const shareText = ({ cacheShare }: MapBucket): string => (cacheShare === 0 ? 'common' : String(cacheShare));

export const bucketColumns = [
  { name: 'ID', right: true },
  { name: 'NAME' },
  { name: 'MODE' },
  { name: 'LEVEL' },
  { name: 'TTL' },
  { name: 'MAX VALUE' },
  { name: 'CACHE' },
];

export const bucketRow = (bucket: MapBucket): readonly (string | number)[] => [
  bucket.id,
  bucket.name,
  bucket.mode,
  bucket.defaultLevel,
  ttlText(bucket),
  maxValueText(bucket),
  shareText(bucket),
];

export const bucketLines = (bucket: MapBucket): readonly (readonly [string, string])[] => [
  ['name', bucket.name],
  ['id', String(bucket.id)],
  ['mode', bucket.mode],
  ['level', bucket.defaultLevel],
  ['ttl', ttlText(bucket)],
  ['max-value', maxValueText(bucket)],
  ['cache-share', shareText(bucket)],
];

/** Without the mark: whatever is shown is there. */
export function bucketData({ isRemoved: _isRemoved, ...bucket }: MapBucket): Omit<MapBucket, 'isRemoved'> {
  return bucket;
}

type BucketOrder = Extract<ManagerRequest, { readonly op: 'createBucket' | 'configureBucket' | 'removeBucket' }>;

/** The bucket as it is after the order, or was before it was removed, and the epoch of the map in which that stands. */
export async function orderBucket(
  client: RingraftClient,
  request: BucketOrder,
  timeoutMs: number,
): Promise<{ readonly bucket: MapBucket; readonly epoch: number }> {
  const answer = await client.manage(request, timeoutMs);
  if ('bucket' in answer) return { bucket: wholeBucket(answer.bucket), epoch: answer.epoch };
  throw new RingraftError('BAD_REQUEST', 'the manager gave an answer of another kind than asked for');
}

export async function askBuckets(client: RingraftClient, timeoutMs: number) {
  const { epoch, buckets } = await askMap(client, timeoutMs);
  return { epoch, buckets: buckets.map(wholeBucket).filter(({ isRemoved }) => !isRemoved) };
}

export async function askBucket(client: RingraftClient, cluster: string, name: string, timeoutMs: number) {
  const { epoch, buckets } = await askBuckets(client, timeoutMs);
  const bucket = liveBucket(buckets, name);
  if (bucket !== undefined) return { epoch, bucket };
  throw new RingraftError('NOT_FOUND', `cluster ${cluster} has no bucket ${JSON.stringify(name)}`);
}
