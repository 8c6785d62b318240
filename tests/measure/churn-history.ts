/**
 * Clients that get, put, delete and compare-and-swap the same few keys, and the record of it, checked for
 * linearizability.
 *
 * Invariants:
 * 1. Keys are used for a few seconds only and then never again: an operation of unknown outcome, which may take effect at
 *    any later time, burdens the check of a short history alone.
 * 2. A history is checked once nothing of it is under way any more.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { isRingraftError, messageOf, type Random, randomBetween } from '../../src/base/index.js';
import {
  checkHistory,
  type OperationInput,
  type OperationOutput,
  type OperationRecord,
} from '../../src/checker/index.js';
import type { RingraftClient } from '../../src/client/index.js';
import type { Violations } from '../crash/violations.js';
import { bucket } from './program.js';

const generationMs = 4000;
const keysPerGeneration = 6;
const mostThinkMs = 25;
const shownOperations = 12;

type Generation = { readonly number: number; readonly records: OperationRecord[]; underWay: number };

export class ChurnHistory {
  readonly totals = { ok: 0, refused: 0, failed: 0, unknown: 0 };
  /** Errors by code. */
  readonly codes: Record<string, number> = {};
  readonly checked = { histories: 0, operations: 0, undecided: 0 };
  longestMs = 0;
  private readonly open: Generation[] = [];
  private readonly workers: Promise<void>[] = [];
  private readonly startedMs = performance.now();
  private value = 0;
  private running = true;

  constructor(
    private readonly random: Random,
    private readonly timeoutMs: number,
    private readonly violations: Violations,
  ) {}

  /** Sets workers going on one client. */
  start(client: RingraftClient, workers: number): void {
    for (let at = 0; at < workers; at++) this.workers.push(this.work(client, this.workers.length));
  }

  /** Ends the work and checks what is left. */
  async stop(): Promise<void> {
    this.running = false;
    await Promise.all(this.workers);
    for (const generation of this.open.splice(0)) this.check(generation);
  }

  private async work(client: RingraftClient, worker: number): Promise<void> {
    while (this.running) {
      const generation = this.current();
      generation.underWay++;
      await this.operate(client, worker, generation);
      generation.underWay--;
      this.checkFinished();
      await sleep(randomBetween(this.random, 0, mostThinkMs));
    }
  }

  private current(): Generation {
    const number = Math.floor((performance.now() - this.startedMs) / generationMs);
    let latest = this.open.at(-1);
    if (latest === undefined || latest.number < number) {
      latest = { number, records: [], underWay: 0 };
      this.open.push(latest);
    }
    return latest;
  }

  private async operate(client: RingraftClient, worker: number, { number, records }: Generation): Promise<void> {
    const key = `history/${number}/${randomBetween(this.random, 0, keysPerGeneration - 1)}`;
    const input = this.inputFor(key, records);
    const invoked = performance.now();
    const output = await this.outcomeOf(client, key, input);
    const tookMs = performance.now() - invoked;
    if (output === undefined) return;
    const completed = output.kind === 'unknown' ? Number.POSITIVE_INFINITY : invoked + tookMs;
    if (output.kind !== 'unknown') this.longestMs = Math.max(this.longestMs, tookMs);
    records.push({ client: worker, invoked, completed, key, input, output });
  }

  /** A compare-and-swap expects what was seen of the key last: often right, often not. */
  private inputFor(key: string, records: readonly OperationRecord[]): OperationInput {
    const share = randomBetween(this.random, 1, 100);
    if (share <= 35) return { op: 'get' };
    if (share <= 45) return { op: 'delete' };
    const value = `v${++this.value}`;
    if (share <= 70) return { op: 'put', value };
    const last = records.findLast((record) => record.key === key && record.output.kind === 'ok');
    return { op: 'cas', expected: last === undefined ? null : leftBy(last), value };
  }

  /** undefined: it certainly did not happen. */
  private async outcomeOf(
    client: RingraftClient,
    key: string,
    input: OperationInput,
  ): Promise<OperationOutput | undefined> {
    try {
      const output = await perform(client, key, input, this.timeoutMs);
      this.totals.ok++;
      return output;
    } catch (error) {
      if (isRingraftError(error, 'CONFLICT') && input.op === 'cas') {
        this.totals.refused++;
        return { kind: 'refused' };
      }
      if (!isRingraftError(error)) {
        this.violations.add(`a client threw what is no operating error: ${messageOf(error)}`);
        return { kind: 'unknown' };
      }
      if (error.code === 'CLOSED') return undefined;
      this.codes[error.code] = (this.codes[error.code] ?? 0) + 1;
      this.totals[error.happened === 'unknown' ? 'unknown' : 'failed']++;
      return error.happened === 'unknown' && input.op !== 'get' ? { kind: 'unknown' } : undefined;
    }
  }

  private checkFinished(): void {
    const [oldest] = this.open;
    if (oldest === undefined || oldest.underWay > 0 || oldest === this.open.at(-1)) return;
    this.open.shift();
    this.check(oldest);
  }

  private check({ records }: Generation): void {
    const result = checkHistory(records);
    this.checked.histories++;
    this.checked.operations += records.length;
    if (result.ok === 'unknown') this.checked.undecided++;
    if (result.ok !== false) return;
    const few = result.operations.slice(0, shownOperations).map((one) => JSON.stringify(one));
    this.violations.add(`${result.key} is not linearizable:\n${few.join('\n')}`);
  }
}

const leftBy = ({ input, output }: OperationRecord): string | null => {
  if (input.op === 'put' || input.op === 'cas') return input.value;
  return input.op === 'get' && output.kind === 'ok' ? (output.value ?? null) : null;
};

async function perform(
  client: RingraftClient,
  key: string,
  input: OperationInput,
  timeoutMs: number,
): Promise<OperationOutput> {
  switch (input.op) {
    case 'get': {
      const found = await client.get(bucket, key, { timeoutMs });
      return { kind: 'ok', value: found?.value.toString() ?? null };
    }
    case 'put':
      await client.put(bucket, key, input.value, { timeoutMs });
      return { kind: 'ok' };
    case 'delete':
      return { kind: 'ok', found: (await client.delete(bucket, key, { timeoutMs })).found };
    default: {
      const { expected, value } = input;
      const condition = expected === null ? { ifAbsent: true } : { ifValue: Buffer.from(expected) };
      await client.put(bucket, key, value, { ...condition, timeoutMs });
      return { kind: 'ok' };
    }
  }
}
