/** Operations as a recorder would have them, in few words. */
import type { Answer, Call, Operation, Outcome, WorkloadName } from '../../src/chaos/index.js';

/** The operations of one key of one workload; stamps are whole and small. */
export function operationsOf(workload: WorkloadName, key = 'k') {
  const make = (client: string, startMs: number, endMs: number, call: Call, outcome: Outcome): Operation => ({
    workload,
    client,
    host: client,
    shard: 1,
    key,
    call,
    startMs,
    endMs,
    outcome,
  });
  return {
    make,
    /** A linearizable read that saw this. */
    read: (
      client: string,
      startMs: number,
      endMs: number,
      value: string | null,
      more: Partial<Answer> = {},
    ): Operation => make(client, startMs, endMs, { op: 'get', level: 'linearizable' }, seen(value, more)),
    put: (client: string, startMs: number, endMs: number, value: string, outcome: Outcome = done()): Operation =>
      make(client, startMs, endMs, { op: 'put', value }, outcome),
    incr: (client: string, startMs: number, endMs: number, number: number, requestId?: string): Operation =>
      make(client, startMs, endMs, { op: 'incr', by: 1, ...named(requestId) }, done({ number })),
    append: (client: string, startMs: number, endMs: number, value: string, outcome: Outcome, requestId?: string) =>
      make(client, startMs, endMs, { op: 'append', value, ...named(requestId) }, outcome),
  };
}

const named = (requestId: string | undefined) => (requestId === undefined ? {} : { requestId });

export const done = (more: Partial<Answer> = {}): Answer => ({ kind: 'ok', revision: 1, ...more });
export const seen = (value: string | null, more: Partial<Answer> = {}): Answer =>
  done({ value, revision: value === null ? 0 : 1, level: 'linearizable', maybeStale: false, ...more });
export const failed: Outcome = { kind: 'failed', code: 'NO_LEADER' };
export const unknown: Outcome = { kind: 'unknown', code: 'TIMEOUT' };
export const refused: Outcome = { kind: 'refused', revision: 1 };
