/**
 * One client of the cluster under a name, whose calls never throw: each ends as one recorded operation.
 */
import { type Clock, isRingraftError, messageOf } from '../base/index.js';
import type { LookUpResult, RingraftClient, WriteOptions } from '../client/index.js';
import { judgeAnswer } from './judges/index.js';
import type { Answer, Call, Operation, Outcome, Violation, WorkloadName } from './operation.js';
import { callInWords, keyName } from './words.js';

export type CallerParts = {
  readonly clock: Clock;
  readonly bucket: string;
  /** By the clock, when the run began. */
  readonly startedMs: number;
  readonly shardOf: (key: string) => number;
  readonly record: (operation: Operation) => void;
  readonly report: (violation: Violation) => void;
};

export class Caller {
  constructor(
    readonly name: string,
    readonly host: string,
    readonly client: RingraftClient,
    private readonly parts: CallerParts,
  ) {}

  async call(workload: WorkloadName, key: string, call: Call, timeoutMs: number): Promise<Operation> {
    const { shardOf, record, report } = this.parts;
    const startMs = this.nowMs();
    const outcome = await this.outcomeOf(workload, key, call, timeoutMs);
    const endMs = this.nowMs();
    const { name: client, host } = this;
    const operation = { workload, client, host, shard: shardOf(key), key, call, startMs, endMs, outcome };
    record(operation);
    for (const violation of judgeAnswer(operation)) report(violation);
    return operation;
  }

  /** Whole microseconds: they stay so in the file. */
  private nowMs(): number {
    return Math.round((this.parts.clock.nowMs() - this.parts.startedMs) * 1000) / 1000;
  }

  private async outcomeOf(workload: WorkloadName, key: string, call: Call, timeoutMs: number): Promise<Outcome> {
    try {
      return await this.perform(key, call, timeoutMs);
    } catch (error) {
      if (isRingraftError(error, 'CONFLICT')) return { kind: 'refused', revision: Number(error.fields.revision ?? 0) };
      if (isRingraftError(error)) return { kind: error.happened === 'no' ? 'failed' : 'unknown', code: error.code };
      const what = `The ${callInWords(call)} on ${keyName(key)} threw what is no operating error: ${messageOf(error)}`;
      this.parts.report({ workload, key, what, operations: [] });
      return { kind: 'unknown', code: 'THROWN' };
    }
  }

  private async perform(key: string, call: Call, timeoutMs: number): Promise<Answer> {
    const { client } = this;
    const { bucket } = this.parts;
    switch (call.op) {
      case 'get': {
        const { level: consistency, available, maxStalenessMs } = call;
        const options = {
          consistency,
          timeoutMs,
          ...(available === undefined ? {} : { available }),
          ...(maxStalenessMs === undefined ? {} : { maxStalenessMs }),
        };
        return answerOf(await client.lookUp(bucket, key, options));
      }
      case 'put': {
        const { revision } = await client.put(bucket, key, call.value, putOptions(call, timeoutMs));
        return { kind: 'ok', revision };
      }
      case 'delete': {
        const { found, revision } = await client.delete(bucket, key, { timeoutMs });
        return { kind: 'ok', found, revision };
      }
      case 'incr': {
        const { value, revision } = await client.incr(bucket, key, call.by, identified(call, timeoutMs));
        return { kind: 'ok', number: value, revision };
      }
      default: {
        const { bytes, revision } = await client.append(bucket, key, call.value, identified(call, timeoutMs));
        return { kind: 'ok', number: bytes, revision };
      }
    }
  }
}

function answerOf({ item, consistency, maybeStale, stalenessMs }: LookUpResult): Answer {
  return {
    kind: 'ok',
    value: item === undefined ? null : item.value.toString(),
    revision: item?.revision ?? 0,
    level: consistency,
    maybeStale,
    ...(stalenessMs === undefined ? {} : { stalenessMs }),
  };
}

const identified = ({ requestId }: { readonly requestId?: string }, timeoutMs: number): WriteOptions =>
  requestId === undefined ? { timeoutMs } : { timeoutMs, requestId };

function putOptions(call: Extract<Call, { op: 'put' }>, timeoutMs: number): WriteOptions {
  const { ifAbsent, ifValue, ifRevision } = call;
  return {
    ...identified(call, timeoutMs),
    ...(ifAbsent === undefined ? {} : { ifAbsent }),
    ...(ifValue === undefined ? {} : { ifValue: Buffer.from(ifValue) }),
    ...(ifRevision === undefined ? {} : { ifRevision }),
  };
}
