/**
 * What one call of one client was and what came of it: the line of the history that everything else is judged by.
 *
 * 1. `startMs` and `endMs` are stamps of one monotonic clock, counted from the beginning of the run. `endMs` is when the
 *    caller stopped waiting, also where the outcome is unknown.
 * 2. Only `ok` and `refused` are answers of the store. `failed` did not and will not take effect; `unknown` may have, or
 *    may yet.
 * 3. Several calls under one request id are one write: `merged` puts them together.
 */
import type { Consistency } from '../client/index.js';

export const workloadNames = ['register', 'counter', 'retry', 'set', 'bank', 'list', 'session', 'probe'] as const;
export type WorkloadName = (typeof workloadNames)[number];

export type Call =
  | { readonly op: 'get'; readonly level: Consistency; readonly available?: true; readonly maxStalenessMs?: number }
  | {
      readonly op: 'put';
      readonly value: string;
      readonly ifAbsent?: true;
      readonly ifValue?: string;
      readonly ifRevision?: number;
      readonly requestId?: string;
    }
  | { readonly op: 'delete' }
  | { readonly op: 'incr'; readonly by: number; readonly requestId?: string }
  | { readonly op: 'append'; readonly value: string; readonly requestId?: string };

export type Answer = {
  readonly kind: 'ok';
  /** Of a get; null: there is no such key. */
  readonly value?: string | null;
  /** 0: there is no such key. */
  readonly revision: number;
  /** Of an increment: the number after it. Of an append: the bytes after it. */
  readonly number?: number;
  readonly found?: boolean;
  /** Of a get: what it was really served at. */
  readonly level?: Consistency;
  readonly maybeStale?: boolean;
  readonly stalenessMs?: number;
};

export type Outcome =
  | Answer
  /** The condition did not hold. */
  | { readonly kind: 'refused'; readonly revision: number }
  | { readonly kind: 'failed'; readonly code: string }
  | { readonly kind: 'unknown'; readonly code: string };

export type Operation = {
  readonly workload: WorkloadName;
  readonly client: string;
  readonly host: string;
  readonly shard: number;
  readonly key: string;
  readonly call: Call;
  readonly startMs: number;
  readonly endMs: number;
  readonly outcome: Outcome;
};

export type Violation = {
  readonly workload: WorkloadName;
  readonly key: string;
  /** One sentence, for people. */
  readonly what: string;
  /** The smallest part of the history that shows it, in the order of calls. */
  readonly operations: readonly Operation[];
  /** The one of them that should not have been answered so. */
  readonly culprit?: Operation;
};

export const isAnswered = ({ outcome }: Operation): boolean => outcome.kind === 'ok' || outcome.kind === 'refused';
export const isWrite = ({ call }: Operation): boolean => call.op !== 'get';
/** A write that is acknowledged. */
export const isAcknowledged = (operation: Operation): boolean => isWrite(operation) && operation.outcome.kind === 'ok';
/** When the effect had taken place at the latest; an unknown one may still. */
export const settledMs = ({ outcome, endMs }: Operation): number =>
  outcome.kind === 'unknown' ? Number.POSITIVE_INFINITY : endMs;

export const requestIdOf = ({ call }: Operation): string | undefined =>
  'requestId' in call ? call.requestId : undefined;

/** A read that the store itself calls linearizable. */
export const isFreshRead = ({ call, outcome }: Operation): boolean =>
  call.op === 'get' && outcome.kind === 'ok' && outcome.maybeStale === false;

/** 0 where the outcome names none. */
export const revisionOf = ({ outcome }: Operation): number =>
  outcome.kind === 'ok' || outcome.kind === 'refused' ? outcome.revision : 0;
/** Of a get that was answered. */
export const seenOf = ({ outcome }: Operation): string | null =>
  outcome.kind === 'ok' ? (outcome.value ?? null) : null;
export const numberOf = ({ outcome }: Operation): number =>
  outcome.kind === 'ok' ? (outcome.number ?? Number.NaN) : Number.NaN;

const byStart = (a: Operation, b: Operation): number => a.startMs - b.startMs || a.endMs - b.endMs;

/** In the order of their calls, each once. */
export const inOrder = (operations: Iterable<Operation>): Operation[] => [...new Set(operations)].sort(byStart);

export function byKey(operations: readonly Operation[]): Map<string, Operation[]> {
  const keys = new Map<string, Operation[]>();
  for (const operation of operations) {
    const same = keys.get(operation.key);
    if (same === undefined) keys.set(operation.key, [operation]);
    else same.push(operation);
  }
  return keys;
}

/**
 * Every call under one request id as one operation: from the first call to the first answer, in the order of calls. Without
 * an answer it is unknown when any call was, else failed.
 */
export function merged(operations: readonly Operation[]): Operation[] {
  const requests = new Map<string, Operation[]>();
  const whole: Operation[] = [];
  for (const operation of operations) {
    const id = requestIdOf(operation);
    if (id === undefined) {
      whole.push(operation);
      continue;
    }
    const attempts = requests.get(id) ?? [];
    requests.set(id, attempts);
    attempts.push(operation);
  }
  for (const attempts of requests.values()) whole.push(mergedAttempts(attempts));
  return whole.sort(byStart);
}

function mergedAttempts(attempts: readonly Operation[]): Operation {
  const [first, ...others] = attempts as [Operation, ...Operation[]];
  if (others.length === 0) return first;
  const startMs = Math.min(...attempts.map((each) => each.startMs));
  const answers = attempts.filter(isAnswered).sort((a, b) => a.endMs - b.endMs);
  const speaker = answers[0] ?? attempts.find(({ outcome }) => outcome.kind === 'unknown') ?? first;
  const endMs = answers[0]?.endMs ?? Math.max(...attempts.map((each) => each.endMs));
  return { ...speaker, startMs, endMs };
}
