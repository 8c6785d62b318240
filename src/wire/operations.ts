/**
 * Operations as the client and the nodes speak of them, and mutations as they stand in the log. Hot: plain objects of
 * one shape each, so every field is always present.
 */
import type { BucketId } from '../base/index.js';

/** Numbers are on the wire and on disk: never change them. */
/** `DropBucket`: the bucket was removed, the shard forgets what it holds of it. */
export const CommandKind = {
  Put: 1,
  Delete: 2,
  Increment: 3,
  Append: 4,
  Touch: 5,
  Reclaim: 6,
  DropBucket: 100,
} as const;
export type CommandKind = (typeof CommandKind)[keyof typeof CommandKind];

export const ConditionKind = { None: 0, Absent: 1, Revision: 2, Value: 3 } as const;
export type ConditionKind = (typeof ConditionKind)[keyof typeof ConditionKind];

export const OperationKind = { Get: 1, Put: 2, Delete: 3, Increment: 4, Append: 5, Touch: 6, Exists: 7 } as const;
export type OperationKind = (typeof OperationKind)[keyof typeof OperationKind];

export const ConsistencyLevel = { Default: 0, Linearizable: 1, Lease: 2, Quorum: 3, One: 4 } as const;
export type ConsistencyLevel = (typeof ConsistencyLevel)[keyof typeof ConsistencyLevel];

/** One mutation in the log. */
export type Command = {
  kind: CommandKind;
  bucketId: BucketId;
  key: Buffer;
  /** Of an increment: the amount, as decimal text. */
  value: Buffer;
  condition: ConditionKind;
  expectedRevision: number;
  expectedValue: Buffer;
  /** Milliseconds since 1970; 0: never. */
  expiresAtMs: number;
  /** Position in `CommandBatch.sessions` plus one; 0: none. */
  session: number;
  sequence: number;
  /** What a value may grow to; 0 where it cannot grow. */
  maxValueBytes: number;
};

/** `clientId` is the map key (latin1) of the client's 8 random bytes. */
export type SessionReference = { clientId: string; ackedBelow: number };

export type CommandBatch = { timeStampMs: number; sessions: SessionReference[]; commands: Command[] };

export type Operation = {
  requestId: number;
  kind: OperationKind;
  bucketId: BucketId;
  key: Buffer;
  /** Of an increment: the amount, as decimal text. */
  value: Buffer;
  condition: ConditionKind;
  expectedRevision: number;
  expectedValue: Buffer;
  /** 0: none; of a touch: for ever. */
  ttlMs: number;
  level: ConsistencyLevel;
  /** 0 for reads, and for writes that need no protection against being applied twice. */
  sequence: number;
  /** 8 bytes: whose sequence it is; empty: the batch's client's. */
  clientId: Buffer;
  /** Level `one`: what the replica must have applied. */
  atLeastIndex: number;
  /** Level `one`: what the data may be old; 0: any age. */
  maxStalenessMs: number;
};

export type OperationBatch = { clientId: string; ackedBelow: number; mapEpoch: number; operations: Operation[] };

/** What a replica says for a quorum read. */
export type ReplicaFacts = {
  readonly replicaId: number;
  /** Newest entry of its log that touches the key and is not applied yet; 0: none. */
  readonly touchedIndex: number;
  /** The newest configuration in its log. */
  readonly voters: readonly number[];
  readonly outgoing: readonly number[];
};

export type OperationResult = {
  requestId: number;
  /** 0: ok; else `codeNumber(...)` of an error code. */
  code: number;
  value: Buffer;
  revision: number;
  found: boolean;
  maybeHappened: boolean;
  servedLevel: ConsistencyLevel;
  maybeStale: boolean;
  leaderHint: string;
  message: string;
  /** What an increment came to, or the bytes a value has after an append. */
  number: number;
  /** Milliseconds since 1970; 0: the key has no time to live. */
  expiresAtMs: number;
  /** What the replica has applied, all of which shows in the value; and how old that can be. */
  appliedIndex: number;
  ageMs: number;
  /** Level `quorum` alone. */
  replica: ReplicaFacts | null;
  /** What the value shows may be newer than `appliedIndex`, up to here; 0: it is not. */
  shownIndex: number;
};

/** `mapEpoch`: of the answering node's cluster map. */
export type ResultBatch = { results: OperationResult[]; mapEpoch: number };

export type ScanRequest = {
  bucketId: BucketId;
  gte: Buffer;
  /** Exclusive; empty: to the end of the bucket. */
  lt: Buffer;
  limit: number;
  keysOnly: boolean;
  reverse: boolean;
  level: ConsistencyLevel;
  shards: number[];
  maxBytes: number;
  /** Of the client's map; 0: not told. */
  mapEpoch: number;
};

/** Asks the leader of shards how far a replica has to be for reads that came before. */
export type ReadIndexRequest = { shards: number[] };

/** Of those shards that the node leads; `indexes` in the order of `shards`. */
export type ReadIndexAnswer = { shards: number[]; indexes: number[] };

export type ScanPair = { key: Buffer; value: Buffer; revision: number };

export type ScanPage = {
  code: number;
  message: string;
  pairs: ScanPair[];
  more: boolean;
  resumeAfter: Buffer;
  notLed: number[];
};
