/**
 * Writes sent again on purpose: at the same time through two clients, or after they were answered and another write has
 * followed. A store that does not remember what it answered is caught without any fault.
 */
import { type Random, randomBetween } from '../../base/index.js';
import { judgeRetries } from '../judges/index.js';
import type { Call, Operation } from '../operation.js';
import type { Generation, Plan, Verdict, Worker } from '../rotation.js';
import type { Shards } from '../shards.js';
import { chance } from '../workload.js';

export class Retries implements Plan {
  readonly name = 'retry';
  readonly generationMs = 10_000;
  readonly workersPerClient = 1;
  readonly readsBack = true;
  private rounds = 0;

  constructor(
    private readonly shards: Shards,
    private readonly runName: string,
    readonly rate: number,
  ) {}

  async round(worker: Worker, { number }: Generation): Promise<void> {
    const { random } = worker;
    const round = ++this.rounds;
    const key = this.shards.key(`retry/${number}/${round}`, this.shards.any(random));
    const requestId = (name: string): string => `${this.runName}/retry/${round}/${name}`;
    const isNumber = chance(random, 30);
    const seed = isNumber ? '5' : 'a';
    if (chance(random, 70)) await worker.insist(key, { op: 'put', value: seed, requestId: requestId('seed') });
    const write = isNumber ? this.incrementing(requestId('x')) : this.writing(random, seed, requestId('x'));
    if (chance(random, 40)) await Promise.all([worker.insist(key, write), worker.callElsewhere(key, write)]);
    else await worker.insist(key, write);
    // A put done twice overwrites this one.
    if (chance(random, 60)) {
      const between: Call = isNumber
        ? this.incrementing(requestId('y'))
        : { op: 'append', value: 'y', requestId: requestId('y') };
      await worker.insist(key, between);
    }
    await worker.callElsewhere(key, write);
  }

  private incrementing(requestId: string): Call {
    return { op: 'incr', by: 3, requestId };
  }

  private writing(random: Random, seed: string, requestId: string): Call {
    switch (randomBetween(random, 1, 4)) {
      case 1:
        return { op: 'append', value: 'x', requestId };
      case 2:
        return { op: 'put', value: 'x', ifAbsent: true, requestId };
      case 3:
        return { op: 'put', value: 'x', ifValue: seed, requestId };
      default:
        return { op: 'put', value: 'x', requestId };
    }
  }

  judge(operations: readonly Operation[]): Verdict {
    return { violations: judgeRetries(operations), isUndecided: false };
  }
}
