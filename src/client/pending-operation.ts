/**
 * One operation from its call to its outcome. Hot: a plain mutable object, one shape for all.
 */
import type { RingraftError, ShardId } from '../base/index.js';
import { type Operation, OperationKind, type OperationResult } from '../wire/index.js';
import type { NodeLink } from './node-link.js';

export const OperationState = {
  /** In the client, not in flight yet. */
  Waiting: 0,
  /** Leaves soon, with others. */
  Outgoing: 1,
  /** An attempt is outstanding; `dueMs` is when it counts as lost. */
  Sent: 2,
  /** Refused or lost; goes out again at `dueMs`. */
  BackingOff: 3,
  Settled: 4,
} as const;
export type OperationState = (typeof OperationState)[keyof typeof OperationState];

/** Who wants to know the outcome: called exactly once an operation. */
export type OutcomeSink = {
  succeed(operation: PendingOperation, result: OperationResult): void;
  fail(operation: PendingOperation, error: RingraftError): void;
};

/** An attempt that was neither answered nor refused while a later one was made. */
export type LostAttempt = { readonly requestId: number; readonly link: NodeLink };

/** Why the last answered attempt came to nothing. */
export type Refusal = 'none' | 'noLeader' | 'unreachable' | 'busy' | 'noQuorum' | 'wrongShard';

const noShard = 0 as ShardId;

export const isWriteKind = (kind: OperationKind): boolean =>
  kind !== OperationKind.Get && kind !== OperationKind.Exists;

export class PendingOperation {
  state: OperationState = OperationState.Waiting;
  /** Whose session the write's sequence belongs to: the shard of the key when the write went into flight. */
  shard: ShardId = noShard;
  /** Position in the pipeline's list of live operations. */
  slot = -1;
  dueMs = 0;
  sentMs = 0;
  /** Where the last attempt went. */
  link: NodeLink | undefined = undefined;
  attempts = 0;
  /** Attempts that stayed unanswered until they counted as lost. */
  silences = 0;
  /** Retries in a row that waited, and retries in a row that followed a hint at once. */
  backOffs = 0;
  hops = 0;
  lost: LostAttempt[] | undefined = undefined;
  /** A node said that it may have proposed the write and cannot know its fate. */
  maybeHappened = false;
  refusal: Refusal = 'none';

  constructor(
    readonly operation: Operation,
    readonly ringPosition: number,
    public deadlineMs: number,
    readonly timeoutMs: number,
    readonly sink: OutcomeSink,
    /** For the sink: which of its keys this is. */
    readonly index: number,
  ) {}

  get isWrite(): boolean {
    return isWriteKind(this.operation.kind);
  }

  /** A write under a request id is numbered by it, and not by this client. */
  get takesSequence(): boolean {
    return this.isWrite && this.operation.clientId.length === 0;
  }

  /** Whether an attempt may have been executed, or may yet be, without our knowing. */
  get isUncertain(): boolean {
    return this.maybeHappened || this.state === OperationState.Sent || this.lost !== undefined;
  }
}
