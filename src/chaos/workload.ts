/** What every workload has to work with, and what it is to whoever runs it. */
import { type Clock, pause, type Random, randomBetween } from '../base/index.js';
import type { Caller } from './caller.js';
import type { Call, Operation, Violation, WorkloadName } from './operation.js';
import type { Shards } from './shards.js';

export type Ground = {
  readonly clock: Clock;
  readonly callers: readonly Caller[];
  readonly shards: Shards;
  /** Stands in keys and request ids. */
  readonly runName: string;
  /** Time an operation has. */
  readonly timeoutMs: number;
  /** After the end of the work, with all faults healed: how long what is open is asked for again. */
  readonly patienceMs: number;
  readonly newRandom: () => Random;
  /** Resolves when the history can take more. */
  readonly ready: () => Promise<void>;
  readonly report: (violation: Violation) => void;
};

export type WorkloadReport = {
  readonly workload: WorkloadName;
  readonly ok: number;
  readonly failed: number;
  readonly unknown: number;
  /** Keys whose whole history was judged. */
  readonly keysJudged: number;
  readonly operationsJudged: number;
  /** Keys read again at the end of the run, long after their last write. */
  readonly keysReadAgain: number;
  /** Keys whose history the search could not decide. */
  readonly undecided: number;
  /** What was not answered in time even after all faults had been healed. */
  readonly unanswered: readonly string[];
};

export interface Workload {
  readonly name: WorkloadName;
  start(): void;
  /** Ends the work. Resolves once nothing is under way. */
  stop(): Promise<void>;
  /** With all faults healed: reads everything back through these clients and judges what is left. */
  finish(verify: readonly Caller[]): Promise<WorkloadReport>;
}

/** A turn comes so often on average, and never sooner for having come late. */
export class Pacer {
  private dueMs: number;

  constructor(
    private readonly clock: Clock,
    private readonly random: Random,
    private readonly perSecond: number,
  ) {
    this.dueMs = clock.nowMs() + this.interval();
  }

  private interval(): number {
    return (randomBetween(this.random, 500, 1500) / 1000) * (1000 / this.perSecond);
  }

  async turn(): Promise<void> {
    const nowMs = this.clock.nowMs();
    await pause(this.clock, Math.max(0, this.dueMs - nowMs));
    this.dueMs = Math.max(nowMs, this.dueMs) + this.interval();
  }
}

export const pick = <T>(random: Random, from: readonly T[]): T => from[random.nextU32() % from.length] as T;
/** True in so many of a hundred cases. */
export const chance = (random: Random, percent: number): boolean => randomBetween(random, 1, 100) <= percent;

/** Not answered, and asking again could change that. */
const finalCodes = ['SESSION_EXPIRED', 'BAD_REQUEST', 'TOO_LARGE', 'DENIED', 'CLOSED', 'THROWN'];
export const isWorthRepeating = ({ outcome }: Operation): boolean =>
  (outcome.kind === 'failed' || outcome.kind === 'unknown') && !finalCodes.includes(outcome.code);

const retryPauseMs = 100;

/** Repeats a call, through one client after the other, until it is answered or `isOver`. */
export async function insist(
  clock: Clock,
  callers: readonly Caller[],
  attempt: (caller: Caller) => Promise<Operation>,
  isOver: () => boolean,
): Promise<Operation> {
  for (let at = 0; ; at++) {
    const operation = await attempt(callers[at % callers.length] as Caller);
    if (!isWorthRepeating(operation) || isOver()) return operation;
    await pause(clock, retryPauseMs);
  }
}

export type { Call };
