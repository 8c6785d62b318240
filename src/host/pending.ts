/**
 * What the host remembers of operations it has accepted and not yet answered. Hot: plain mutable objects.
 */
import { type ErrorCode, emptyBytes } from '../base/index.js';
import type { ReadValue } from '../kv/index.js';
import {
  blankResult,
  ConsistencyLevel,
  codeNumber,
  type Operation,
  OperationKind,
  type OperationResult,
} from '../wire/index.js';

export type PendingOperation = { readonly operation: Operation; readonly replyTo: string };

/** One proposed log entry and the operations its commands came from, in the order of its commands. */
export type PendingProposal = {
  readonly index: number;
  readonly term: number;
  readonly operations: readonly PendingOperation[];
  /** Told once what became of the entry, when it came from this node itself. */
  readonly settle?: (fate: ProposalFate) => void;
};

/** `lost`: it never took effect and never will. */
export type ProposalFate = 'applied' | 'lost' | 'unknown';

/** Reads that may be served once the state machine has applied `index`. */
export type WaitingReads = {
  readonly index: number;
  readonly level: ConsistencyLevel;
  readonly reads: readonly PendingOperation[];
  readonly confirmations: readonly Confirmation[];
};

/** Told once the read index, once it is applied: a read of the whole shard that began before may be served. Undefined: never. */
export type Confirmation = (index: number | undefined) => void;

/** The context of one ReadIndex request: every read of one group in one turn. */
export type ReadRound = {
  readonly reads: readonly PendingOperation[];
  readonly confirmations: readonly Confirmation[];
};

/** A result of `code` 0. */
export function okResult(
  requestId: number,
  revision: number,
  found: boolean,
  value: Buffer = emptyBytes,
  servedLevel: ConsistencyLevel = ConsistencyLevel.Default,
): OperationResult {
  const result = blankResult();
  result.requestId = requestId;
  result.revision = revision;
  result.found = found;
  result.value = value;
  result.servedLevel = servedLevel;
  return result;
}

/** The answer to a read of one key that found this. */
export function readResult(
  { requestId, kind }: Operation,
  value: ReadValue,
  servedLevel: ConsistencyLevel,
  appliedIndex: number,
): OperationResult {
  const bytes = kind === OperationKind.Exists ? undefined : value?.value;
  const result = okResult(requestId, value?.revision ?? 0, value !== undefined, bytes, servedLevel);
  result.expiresAtMs = value?.expiresAtMs ?? 0;
  result.appliedIndex = appliedIndex;
  return result;
}

export const errorResult = (
  requestId: number,
  code: ErrorCode,
  message: string,
  options: { readonly maybeHappened?: boolean; readonly leaderHint?: string; readonly revision?: number } = {},
): OperationResult => ({
  requestId,
  code: codeNumber(code),
  value: emptyBytes,
  revision: options.revision ?? 0,
  found: false,
  maybeHappened: options.maybeHappened ?? false,
  servedLevel: ConsistencyLevel.Default,
  maybeStale: false,
  leaderHint: options.leaderHint ?? '',
  message,
  number: 0,
  expiresAtMs: 0,
  appliedIndex: 0,
  ageMs: 0,
  replica: null,
  shownIndex: 0,
});
