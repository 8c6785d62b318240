/**
 * Small reads of every level and writes, from every host to every shard, at a fixed beat and with a short time-out: what is
 * served where. They do not wait for each other, so that a shard without service does not hide the others.
 */
import { type Random, randomBetween } from '../../base/index.js';
import type { Caller } from '../caller.js';
import { judgeFreshness } from '../judges/index.js';
import { byKey, type Call, type Operation } from '../operation.js';
import type { Ground, Workload, WorkloadReport } from '../workload.js';

export type ProbeRates = {
  /** A shard is written from each host so often. */
  readonly writesPerSecond: number;
  /** A host reads so often at each level, one shard after the other. */
  readonly readsPerSecond: number;
};

export const probeLevels = ['linearizable', 'lease', 'quorum', 'one'] as const;
const generationMs = 10_000;

type Generation = { readonly number: number; operations: Operation[] };

export class Probes implements Workload {
  readonly name = 'probe';
  private readonly counts = { ok: 0, failed: 0, unknown: 0 };
  private readonly judged = { keys: 0, operations: 0 };
  private readonly inFlight = new Set<Promise<void>>();
  private generations: Generation[] = [];
  private readonly startedMs: number;
  private running = true;
  private numbers = 0;

  constructor(
    private readonly ground: Ground,
    private readonly rates: ProbeRates,
    private readonly timeoutMs: number,
  ) {
    this.startedMs = ground.clock.nowMs();
  }

  start(): void {
    const { shards, callers, newRandom } = this.ground;
    const hosts = new Map([...callers].reverse().map((caller) => [caller.host, caller]));
    const random = newRandom();
    for (const caller of hosts.values()) {
      for (const at of shards.ids.keys()) {
        this.beat(this.rates.writesPerSecond, random, () =>
          this.probe(caller, at, { op: 'put', value: String(++this.numbers) }),
        );
      }
      for (const level of probeLevels) {
        let at = shards.any(random);
        this.beat(this.rates.readsPerSecond, random, () => this.probe(caller, at++, { op: 'get', level }));
      }
    }
  }

  /** The first beat comes at any moment of the interval: not all at once. */
  private beat(perSecond: number, random: Random, action: () => void): void {
    const intervalMs = 1000 / perSecond;
    const { clock } = this.ground;
    let dueMs = clock.nowMs() + (randomBetween(random, 0, 1000) / 1000) * intervalMs;
    const next = (): void => {
      if (!this.running) return;
      action();
      dueMs = Math.max(dueMs + intervalMs, clock.nowMs());
      clock.after(dueMs - clock.nowMs(), next);
    };
    clock.after(dueMs - clock.nowMs(), next);
  }

  private probe(caller: Caller, at: number, call: Call): void {
    const generation = this.current();
    const key = this.ground.shards.key(`probe/${generation.number}`, at);
    const probe = caller
      .call(this.name, key, call, this.timeoutMs)
      .then((operation) => {
        this.counts[operation.outcome.kind === 'refused' ? 'ok' : operation.outcome.kind]++;
        generation.operations.push(operation);
      })
      .finally(() => this.inFlight.delete(probe));
    this.inFlight.add(probe);
  }

  private current(): Generation {
    const number = Math.floor((this.ground.clock.nowMs() - this.startedMs) / generationMs);
    let latest = this.generations.at(-1);
    if (latest === undefined || latest.number < number) {
      latest = { number, operations: [] };
      this.generations.push(latest);
      // What is older than one generation has run into its time-out long ago.
      while (this.generations.length > 2) this.judge(this.generations.shift() as Generation);
    }
    return latest;
  }

  private judge({ operations }: Generation): void {
    for (const ofKey of byKey(operations).values()) {
      this.judged.keys++;
      this.judged.operations += ofKey.length;
      for (const violation of judgeFreshness(ofKey)) this.ground.report(violation);
    }
  }

  async stop(): Promise<void> {
    this.running = false;
    await Promise.all(this.inFlight);
  }

  async finish(): Promise<WorkloadReport> {
    for (const generation of this.generations.splice(0)) this.judge(generation);
    return {
      workload: this.name,
      ...this.counts,
      keysJudged: this.judged.keys,
      operationsJudged: this.judged.operations,
      keysReadAgain: 0,
      undecided: 0,
      unanswered: [],
    };
  }
}
