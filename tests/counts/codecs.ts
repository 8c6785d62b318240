/** The messages of the hot path, each as large as one turn makes it, encoded and decoded many times. */
import { type BucketId, emptyBytes, type NodeId, type ReplicaId, type ShardId } from '../../src/base/index.js';
import { okResult } from '../../src/host/pending.js';
import { EntryType } from '../../src/raft/index.js';
import {
  type Command,
  CommandKind,
  ConditionKind,
  decodeCommandBatch,
  decodeEnvelope,
  decodeOperationBatch,
  decodeResultBatch,
  type EnvelopeItem,
  encodeCommandBatch,
  encodeEnvelope,
  encodeOperationBatch,
  encodeResultBatch,
  type Operation,
  OperationKind,
} from '../../src/wire/index.js';
import { valueBytes } from './workload.js';

export type CodecCase = {
  readonly name: string;
  /** Operations, results, commands or messages in one. */
  readonly items: number;
  readonly encode: () => Buffer;
  readonly decode: (bytes: Buffer) => unknown;
};

const clientId = 'abcdefgh';
const [batchItems, commandItems, groups] = [85, 16, 16];
const value = Buffer.alloc(valueBytes, 7);
const range = <T>(count: number, make: (at: number) => T): T[] => Array.from({ length: count }, (_, at) => make(at));
const keyAt = (at: number): Buffer => Buffer.from(`key-${String(at).padStart(8, '0')}`);

const operation = (at: number): Operation => ({
  requestId: 100_000 + at,
  kind: OperationKind.Put,
  bucketId: 1 as BucketId,
  key: keyAt(at),
  value,
  condition: ConditionKind.None,
  expectedRevision: 0,
  expectedValue: emptyBytes,
  ttlMs: 0,
  level: 0,
  sequence: 100_000 + at,
  clientId: emptyBytes,
  atLeastIndex: 0,
  maxStalenessMs: 0,
});

const command = (at: number): Command => ({
  kind: CommandKind.Put,
  bucketId: 1 as BucketId,
  key: keyAt(at),
  value,
  condition: ConditionKind.None,
  expectedRevision: 0,
  expectedValue: emptyBytes,
  expiresAtMs: 0,
  session: 1,
  sequence: 100_000 + at,
  maxValueBytes: 0,
});

const common = { from: 1 as ReplicaId, to: 2 as ReplicaId, term: 3 };
const logPlace = { prevIndex: 1000, prevTerm: 3, commitIndex: 999 };

export function codecCases(): readonly CodecCase[] {
  const operations = range(batchItems, operation);
  const results = range(batchItems, (at) => okResult(100_000 + at, 1000 + at, true, value, 1));
  const commands = range(commandItems, command);
  const timeStampMs = 1_700_000_000_000;
  const sessions = [{ clientId, ackedBelow: 100_000 }];
  const data = encodeCommandBatch({ timeStampMs, sessions, commands });
  const entries = [{ term: 3, index: 1001, type: EntryType.Normal, data }];
  const appends = range(groups, (at): EnvelopeItem => {
    return { shardId: at as ShardId, message: { type: 'AppendRequest', ...common, ...logPlace, entries } };
  });
  const answer = { index: 1001, rejected: false, hintIndex: 0, hintTerm: 0 };
  const answers = range(groups, (at): EnvelopeItem => {
    return { shardId: at as ShardId, message: { type: 'AppendResponse', ...common, ...answer } };
  });
  const envelope = (items: readonly EnvelopeItem[]): Buffer => encodeEnvelope('n1' as NodeId, 1, 1, items);
  return [
    {
      name: `operations, ${batchItems} puts`,
      items: batchItems,
      encode: () => encodeOperationBatch({ clientId, ackedBelow: 100_000, mapEpoch: 1, operations }),
      decode: decodeOperationBatch,
    },
    {
      name: `results, ${batchItems} gets`,
      items: batchItems,
      encode: () => encodeResultBatch({ results, mapEpoch: 1 }),
      decode: decodeResultBatch,
    },
    {
      name: `commands, ${commandItems} puts`,
      items: commandItems,
      encode: () => encodeCommandBatch({ timeStampMs, sessions, commands }),
      decode: decodeCommandBatch,
    },
    {
      name: `envelope, ${groups} appends`,
      items: groups,
      encode: () => envelope(appends),
      decode: decodeEnvelope,
    },
    {
      name: `envelope, ${groups} answers`,
      items: groups,
      encode: () => envelope(answers),
      decode: decodeEnvelope,
    },
  ];
}
