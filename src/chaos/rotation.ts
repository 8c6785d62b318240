/**
 * Workers that do rounds on keys of the present generation; each generation has keys of its own.
 *
 * 1. An operation of unknown outcome, which may take effect at any later time, burdens the judging of one generation alone;
 *    and what has been judged need not be remembered.
 * 2. A generation is judged once a newer one has begun and nothing of it is under way. Before that every key of a plan that
 *    `readsBack` is read until the read is answered.
 * 3. A key none of whose writes is open then is *sealed*: it must hold the same at the end of the run.
 */
import { BackgroundWork, type Random } from '../base/index.js';
import type { Caller } from './caller.js';
import { judgeSealed } from './judges/index.js';
import {
  byKey,
  type Call,
  inOrder,
  isAnswered,
  isWrite,
  merged,
  type Operation,
  settledMs,
  type Violation,
  type WorkloadName,
} from './operation.js';
import { type Ground, insist, Pacer, type Workload, type WorkloadReport } from './workload.js';

export type Generation = { readonly number: number; readonly operations: Operation[]; underWay: number };

export type Verdict = { readonly violations: readonly Violation[]; readonly isUndecided: boolean };

/** What a workload is, beside what all have in common. */
export type Plan = {
  readonly name: WorkloadName;
  readonly generationMs: number;
  /** Rounds a second, each worker. */
  readonly rate: number;
  readonly workersPerClient: number;
  readonly readsBack: boolean;
  round(worker: Worker, generation: Generation): Promise<void>;
  /** Of all operations on one key, the read-back among them. `isLast`: there is no later chance to decide it. */
  judge(operations: readonly Operation[], isLast: boolean): Verdict;
};

/** What a round has at hand. */
export type Worker = {
  /** From 0, over all clients. */
  readonly number: number;
  readonly random: Random;
  readonly client: string;
  /** One call through the worker's own client. */
  call(key: string, call: Call): Promise<Operation>;
  /** One call through another client. */
  callElsewhere(key: string, call: Call): Promise<Operation>;
  /** Repeats the call, which carries a request id, through all clients in turn until it is answered. */
  insist(key: string, call: Call): Promise<Operation>;
};

const readBackWidth = 8;
const finalWidth = 32;

export class RotatingWorkload implements Workload {
  readonly name: WorkloadName;
  private readonly counts = { ok: 0, failed: 0, unknown: 0 };
  private readonly judged = { keys: 0, operations: 0, readAgain: 0 };
  private readonly unanswered: string[] = [];
  private readonly sealed: Operation[] = [];
  /** Not decided in the short time there was during the run. */
  private readonly undecided: (readonly Operation[])[] = [];
  private readonly open: Generation[] = [];
  private readonly workers: Promise<void>[] = [];
  private judging: Promise<void> = Promise.resolve();
  private readonly startedMs: number;
  private running = true;
  private patientUntilMs = Number.POSITIVE_INFINITY;

  constructor(
    private readonly plan: Plan,
    private readonly ground: Ground,
  ) {
    this.name = plan.name;
    this.startedMs = ground.clock.nowMs();
  }

  start(): void {
    for (const caller of this.ground.callers) {
      for (let at = 0; at < this.plan.workersPerClient; at++) this.workers.push(this.work(caller, this.workers.length));
    }
  }

  async stop(): Promise<void> {
    this.running = false;
    this.patientUntilMs = this.ground.clock.nowMs() + this.ground.patienceMs;
    await Promise.all(this.workers);
  }

  async finish(verify: readonly Caller[]): Promise<WorkloadReport> {
    for (const generation of this.open.splice(0)) this.judgeLater(generation, verify);
    await this.judging;
    await inParallel(this.sealed, finalWidth, (sealed) => this.readAgain(sealed, verify));
    let undecided = 0;
    for (const operations of this.undecided) if (this.conclude(operations, true)) undecided++;
    return {
      workload: this.name,
      ...this.counts,
      keysJudged: this.judged.keys,
      operationsJudged: this.judged.operations,
      keysReadAgain: this.judged.readAgain,
      undecided,
      unanswered: this.unanswered,
    };
  }

  private async work(caller: Caller, number: number): Promise<void> {
    const { clock, newRandom, ready } = this.ground;
    const random = newRandom();
    const pacer = new Pacer(clock, random, this.plan.rate);
    for (;;) {
      await pacer.turn();
      await ready();
      if (!this.running) return;
      const generation = this.current();
      generation.underWay++;
      await this.plan.round(this.workerOf(caller, number, random, generation), generation);
      generation.underWay--;
      this.judgeFinished();
    }
  }

  private workerOf(caller: Caller, number: number, random: Random, generation: Generation): Worker {
    const { callers, clock, timeoutMs } = this.ground;
    const through = async (by: Caller, key: string, call: Call): Promise<Operation> => {
      const operation = await by.call(this.name, key, call, timeoutMs);
      this.count(operation);
      generation.operations.push(operation);
      return operation;
    };
    const others = callers.filter(({ host }) => host !== caller.host);
    const elsewhere = others.length > 0 ? others : callers;
    return {
      number,
      random,
      client: caller.name,
      call: (key, call) => through(caller, key, call),
      callElsewhere: (key, call) => through(elsewhere[random.nextU32() % elsewhere.length] as Caller, key, call),
      insist: async (key, call) => {
        const start = callers.indexOf(caller);
        const turns = [...callers.slice(start), ...callers.slice(0, start)];
        const operation = await insist(
          clock,
          turns,
          (by) => through(by, key, call),
          () => this.isOutOfPatience(),
        );
        if (!isAnswered(operation)) this.unanswered.push(`${this.name}: ${call.op} on ${key}`);
        return operation;
      },
    };
  }

  private isOutOfPatience(): boolean {
    return this.ground.clock.nowMs() >= this.patientUntilMs;
  }

  private count({ outcome: { kind } }: Operation): void {
    this.counts[kind === 'refused' ? 'ok' : kind]++;
  }

  private current(): Generation {
    const number = Math.floor((this.ground.clock.nowMs() - this.startedMs) / this.plan.generationMs);
    let latest = this.open.at(-1);
    if (latest === undefined || latest.number < number) {
      latest = { number, operations: [], underWay: 0 };
      this.open.push(latest);
    }
    return latest;
  }

  private judgeFinished(): void {
    const finished = this.open.filter((each) => each.underWay === 0 && each !== this.open.at(-1));
    for (const generation of finished) {
      this.open.splice(this.open.indexOf(generation), 1);
      this.judgeLater(generation, this.ground.callers);
    }
  }

  private judgeLater(generation: Generation, callers: readonly Caller[]): void {
    this.judging = this.judging.then(() => this.judge(generation, callers));
  }

  private async judge({ operations }: Generation, callers: readonly Caller[]): Promise<void> {
    const { clock } = this.ground;
    const keys = byKey(operations);
    if (this.plan.readsBack) {
      await inParallel([...keys.keys()], readBackWidth, async (key) => {
        const read = await this.read(key, callers);
        (keys.get(key) as Operation[]).push(read);
      });
    }
    const background = new BackgroundWork(clock);
    for (const ofKey of keys.values()) {
      if (this.conclude(ofKey, false)) this.undecided.push(ofKey);
      else this.seal(ofKey);
      await background.rest();
    }
  }

  private async read(key: string, callers: readonly Caller[]): Promise<Operation> {
    const { clock, timeoutMs } = this.ground;
    const call: Call = { op: 'get', level: 'linearizable' };
    const read = await insist(
      clock,
      callers,
      (caller) => caller.call(this.name, key, call, timeoutMs),
      () => this.isOutOfPatience(),
    );
    this.count(read);
    if (!isAnswered(read)) this.unanswered.push(`${this.name}: read of ${key}`);
    return read;
  }

  /** True: undecided. */
  private conclude(operations: readonly Operation[], isLast: boolean): boolean {
    const { violations, isUndecided } = this.plan.judge(inOrder(operations), isLast);
    if (isUndecided) return true;
    this.judged.keys++;
    this.judged.operations += operations.length;
    for (const violation of violations) this.ground.report(violation);
    return false;
  }

  private seal(operations: readonly Operation[]): void {
    const read = operations.at(-1);
    if (!this.plan.readsBack || read === undefined || isWrite(read) || read.outcome.kind !== 'ok') return;
    const isOpen = merged(operations.filter(isWrite)).some((write) => settledMs(write) >= read.startMs);
    if (!isOpen) this.sealed.push(read);
  }

  private async readAgain(sealed: Operation, verify: readonly Caller[]): Promise<void> {
    const later = await this.read(sealed.key, verify);
    if (later.outcome.kind !== 'ok') return;
    this.judged.readAgain++;
    for (const violation of judgeSealed(sealed, later)) this.ground.report(violation);
  }
}

/** At most `width` at a time. */
async function inParallel<T>(all: readonly T[], width: number, each: (item: T) => Promise<void>): Promise<void> {
  let next = 0;
  const take = async (): Promise<void> => {
    while (next < all.length) await each(all[next++] as T);
  };
  await Promise.all(Array.from({ length: Math.min(width, all.length) }, take));
}
