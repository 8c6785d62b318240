/** From what nodes answered, or did not, to results and errors as callers see them. */
import { type ErrorCode, type Happened, RingraftError } from '../base/index.js';
import { ConsistencyLevel, codeOf, type OperationResult } from '../wire/index.js';
import type { PendingOperation } from './pending-operation.js';
import type {
  AppendResult,
  Consistency,
  DeleteResult,
  GetResult,
  IncrementResult,
  KeyFacts,
  LookUpResult,
  PutResult,
  Served,
  TouchResult,
} from './types.js';

export const levelOf = (consistency: Consistency | undefined): ConsistencyLevel => {
  switch (consistency) {
    case undefined:
      return ConsistencyLevel.Default;
    case 'linearizable':
      return ConsistencyLevel.Linearizable;
    case 'lease':
      return ConsistencyLevel.Lease;
    case 'quorum':
      return ConsistencyLevel.Quorum;
    case 'one':
      return ConsistencyLevel.One;
    default:
      throw new RingraftError('BAD_REQUEST', `unknown consistency level: ${String(consistency)}`);
  }
};

const consistencyOf = (level: ConsistencyLevel): Consistency => {
  switch (level) {
    case ConsistencyLevel.Lease:
      return 'lease';
    case ConsistencyLevel.Quorum:
      return 'quorum';
    case ConsistencyLevel.One:
      return 'one';
    default:
      return 'linearizable';
  }
};

export const toServed = ({ servedLevel, maybeStale, ageMs }: OperationResult): Served => ({
  consistency: consistencyOf(servedLevel),
  maybeStale,
  ...(maybeStale && ageMs > 0 ? { stalenessMs: ageMs } : {}),
});

export const toKeyFacts = (result: OperationResult): KeyFacts | undefined =>
  result.found
    ? {
        revision: result.revision,
        ...toServed(result),
        ...(result.expiresAtMs > 0 ? { expiresAtMs: result.expiresAtMs } : {}),
      }
    : undefined;

export const toLookUpResult = (result: OperationResult): LookUpResult => ({
  ...toServed(result),
  item: toGetResult(result),
});

export const toGetResult = (result: OperationResult): GetResult | undefined => {
  const facts = toKeyFacts(result);
  return facts === undefined ? undefined : { value: result.value, ...facts };
};

export const toIncrementResult = ({ number, revision }: OperationResult): IncrementResult => ({
  value: number,
  revision,
});

export const toAppendResult = ({ number, revision }: OperationResult): AppendResult => ({ bytes: number, revision });

export const toTouchResult = ({ found, revision }: OperationResult): TouchResult => ({ found, revision });

export const toPutResult = (result: OperationResult): PutResult => ({ revision: result.revision });

export const toDeleteResult = (result: OperationResult): DeleteResult => ({
  found: result.found,
  revision: result.revision,
});

/** Whether the write may have taken effect, by everything known of all its attempts. */
export const happenedSoFar = (pending: PendingOperation): Happened =>
  pending.isWrite && pending.isUncertain ? 'unknown' : 'no';

/** The error of an answer that no retry can better. Call it after the answered attempt was taken off. */
export function errorOfResult(pending: PendingOperation, result: OperationResult): RingraftError {
  const code = codeOf(result.code);
  if (code === 'CONFLICT') {
    const found = result.revision === 0 ? 'the key is not there' : `the key has revision ${result.revision}`;
    const fields = { revision: result.revision };
    return new RingraftError('CONFLICT', result.message || `the condition does not hold: ${found}`, { fields });
  }
  const mayHave = pending.isWrite && (result.maybeHappened || pending.isUncertain);
  const happened = mayHave ? 'unknown' : 'no';
  if (code === undefined) {
    const message = `the node answered with code ${result.code}, which this client does not know`;
    return new RingraftError('BAD_REQUEST', message, { happened: pending.isWrite ? 'unknown' : 'no' });
  }
  return new RingraftError(code, result.message || `the node answered ${code}`, { happened });
}

const lastKnown = (pending: PendingOperation): { readonly code: ErrorCode; readonly why: string } => {
  switch (pending.refusal) {
    case 'noLeader':
      return { code: 'NO_LEADER', why: 'the shard of the key has no leader' };
    case 'unreachable':
      return { code: 'NO_LEADER', why: 'nobody listens on any node that could lead the shard of the key' };
    case 'busy':
      return { code: 'BUSY', why: 'the leader of the key is overloaded' };
    case 'noQuorum':
      return { code: 'NO_QUORUM', why: 'the leader of the key reaches no majority' };
    case 'wrongShard':
      return { code: 'TIMEOUT', why: 'the nodes asked hold no replica of the shard of the key' };
    case 'none':
      return { code: 'TIMEOUT', why: 'the operation never left this client' };
  }
};

/** The error of an operation whose time is out. */
export function errorOfDeadline(pending: PendingOperation, isConnected: boolean): RingraftError {
  const { timeoutMs, attempts } = pending;
  const happened = happenedSoFar(pending);
  const isAnswered = pending.isWrite ? !pending.isUncertain : pending.link === undefined || pending.refusal !== 'none';
  if (!isAnswered) {
    const where = pending.link === undefined ? '' : `, the last on node ${pending.link.id}`;
    const attemptsMade = attempts === 1 ? '1 attempt' : `${attempts} attempts`;
    return new RingraftError('TIMEOUT', `no answer within ${timeoutMs} ms (${attemptsMade}${where})`, { happened });
  }
  if (attempts === 0 && !isConnected) {
    return new RingraftError('UNREACHABLE', `not connected to NATS for ${timeoutMs} ms`, { happened });
  }
  const { code, why } = lastKnown(pending);
  return new RingraftError(code, `${why}; gave up after ${timeoutMs} ms`, { happened });
}
