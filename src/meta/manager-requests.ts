/** Requests to the manager. Whether nodes, shards and settings exist is for the orders to say. */
import {
  bucketLevels,
  bucketModes,
  type Check,
  isCount,
  isFlag,
  isNumber,
  isObject,
  isPositive,
  isShardId,
  isText,
  listOf,
  type ManagerRequest,
  mostTtlMs,
  mostValueBytes,
  type OperationChecks,
  optional,
  parseRequest,
  required,
  type ShardReport,
} from '../wire/index.js';

const phases: readonly unknown[] = ['waiting', 'copying', 'swapping', 'settled'] satisfies ShardReport['phase'][];

const isReport: Check = (value) =>
  isObject(value) &&
  isShardId(value.shardId) &&
  isCount(value.epoch) &&
  isCount(value.term) &&
  phases.includes(value.phase) &&
  listOf(isText)(value.missing) &&
  isCount(value.matchIndex) &&
  isCount(value.lastIndex);

const isJoiner: Check = (value) => isObject(value) && isText(value.id) && isText(value.zone) && isNumber(value.weight);

const node = required('the name of a node', isText);
const shard = required('the number of a shard', isShardId);

const bucketName = required('the name of a bucket', isText);
const bucketSettings = {
  mode: optional(`one of ${bucketModes.join(', ')}`, (value) => (bucketModes as readonly unknown[]).includes(value)),
  defaultLevel: optional(`one of ${bucketLevels.join(', ')}`, (value) =>
    (bucketLevels as readonly unknown[]).includes(value),
  ),
  ttlMs: optional(`milliseconds, at most ${mostTtlMs}`, (value) => isCount(value) && (value as number) <= mostTtlMs),
  maxValueBytes: optional(
    `bytes, at most ${mostValueBytes}`,
    (value) => isCount(value) && (value as number) <= mostValueBytes,
  ),
  cacheShare: optional(
    'a number from 0 to 1',
    (value) => isNumber(value) && (value as number) >= 0 && (value as number) <= 1,
  ),
};

const operations: OperationChecks & Readonly<Record<ManagerRequest['op'], unknown>> = {
  report: { node, shards: required('a list of reports', listOf(isReport)) },
  view: {},
  map: {},
  history: { limit: required('a whole number above 0', isPositive), before: optional('an epoch', isCount) },
  join: { node: required('an object of id, zone and weight', isJoiner) },
  drain: { node },
  recommission: { node },
  decommission: { node, force: optional('true or false', isFlag) },
  setNode: { node, zone: optional('a text', isText), weight: optional('a number', isNumber) },
  move: { shard, from: node, to: node },
  cancelMove: { shard },
  settings: { set: required('an object of settings', isObject) },
  createBucket: { name: bucketName, ...bucketSettings },
  configureBucket: { name: bucketName, ...bucketSettings },
  removeBucket: { name: bucketName },
};

/** Throws BAD_REQUEST with what is wrong, for a person. */
export const parseManagerRequest = (payload: Buffer): ManagerRequest =>
  parseRequest(payload, 'a request to the manager', operations, (op) => op !== 'report') as unknown as ManagerRequest;
