/** Few hot keys that are read, written, deleted and compared-and-swapped; each key's history must be linearizable. */
import { type Random, randomBetween } from '../../base/index.js';
import type { Consistency } from '../../client/index.js';
import { judgeRegister } from '../judges/index.js';
import type { Call, Operation } from '../operation.js';
import type { Generation, Plan, Verdict, Worker } from '../rotation.js';
import type { Shards } from '../shards.js';
import { pick } from '../workload.js';

const keysPerGeneration = 6;
/** Few enough that the search does not hold up the run; the rest is searched when that is over. */
const stepsMeanwhile = 100_000;
const stepsAtLast = 1_000_000;

const levels: readonly Consistency[] = ['linearizable', 'linearizable', 'lease', 'quorum', 'quorum'];

/** A level at which answers can be linearizable, whichever. */
export const strongLevel = (random: Random): Consistency => pick(random, levels);

export class Registers implements Plan {
  readonly name = 'register';
  readonly generationMs = 4000;
  readonly workersPerClient = 1;
  /** An unknown write may happen any time: it is for the checker to say. */
  readonly readsBack = false;
  private readonly last = new Map<string, string | null>();
  private latest = 0;
  private values = 0;

  constructor(
    private readonly shards: Shards,
    readonly rate: number,
  ) {}

  async round(worker: Worker, { number }: Generation): Promise<void> {
    this.forgetBefore(number);
    const at = randomBetween(worker.random, 0, keysPerGeneration - 1);
    const key = this.shards.key(`register/${number}/${at}`, number * keysPerGeneration + at);
    this.learn(await worker.call(key, this.nextCall(worker.random, key)));
  }

  private forgetBefore(number: number): void {
    if (number === this.latest) return;
    this.latest = number;
    this.last.clear();
  }

  /** A compare-and-swap expects what was seen of the key last: often right, often not; now and then what never was. */
  private nextCall(random: Random, key: string): Call {
    const share = randomBetween(random, 1, 100);
    if (share <= 42) return { op: 'get', level: strongLevel(random) };
    if (share <= 50) return { op: 'delete' };
    const value = `v${++this.values}`;
    if (share <= 72) return { op: 'put', value };
    if (share >= 96) return { op: 'put', value, ifValue: 'never written' };
    const expected = this.last.get(key) ?? null;
    return expected === null ? { op: 'put', value, ifAbsent: true } : { op: 'put', value, ifValue: expected };
  }

  private learn({ key, call, outcome }: Operation): void {
    if (outcome.kind !== 'ok') return;
    if (call.op === 'put') this.last.set(key, call.value);
    else this.last.set(key, call.op === 'get' ? (outcome.value ?? null) : null);
  }

  judge(operations: readonly Operation[], isLast: boolean): Verdict {
    return judgeRegister(operations, isLast ? stepsAtLast : stepsMeanwhile);
  }
}
