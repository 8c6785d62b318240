/** What the host sees of the state machine. */
import type { BucketId, ShardId } from '../base/index.js';
import type { Configuration, Entry } from '../raft/index.js';
import type { Command } from '../wire/index.js';

/** What became of one command; the same on every replica, and the same again when the command is repeated. */
export type Outcome = {
  /** 0 ok, or the number of CONFLICT, BAD_REQUEST, TOO_LARGE or SESSION_EXPIRED (src/wire/codes.ts). */
  readonly code: number;
  /** Written revision; in a CONFLICT the revision found (0: no such key). For a delete: the revision of the deletion. */
  readonly revision: number;
  /** For a delete or a touch: whether the key was there. Otherwise true when the mutation took effect. */
  readonly found: boolean;
  /** What an increment came to, or the bytes a value has after an append. */
  readonly number?: number;
};

/** `outcomes[i]` belongs to `commands[i]` of the entry's batch; empty for entries that are not of type Normal. */
export type AppliedEntry = { readonly entry: Entry; readonly outcomes: readonly Outcome[] };

export type ReadValue = { readonly value: Buffer; readonly revision: number; readonly expiresAtMs: number } | undefined;

export type Arc = {
  /** First ring position. */
  readonly start: number;
  /** Past the last; at most 2^32. */
  readonly end: number;
};

/** Where a shard's state machine stands. */
export type ShardPosition = {
  readonly shardId: ShardId;
  readonly appliedIndex: number;
  readonly appliedTerm: number;
  readonly configuration: Configuration;
  /** An installation was interrupted and cannot be finished: the state here is not to be used. */
  readonly needsSnapshot: boolean;
  /** Removed buckets: the shard holds nothing of them, or soon nothing. */
  readonly droppedBuckets: ReadonlySet<BucketId>;
};

export type ReadKey = { readonly bucketId: BucketId; readonly key: Buffer };

export type { Command };
