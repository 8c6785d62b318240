/** Increments, each under a request id of its own and repeated until answered, so that the total is exact. */
import { randomBetween } from '../../base/index.js';
import { judgeCounter } from '../judges/index.js';
import type { Operation } from '../operation.js';
import type { Generation, Plan, Verdict, Worker } from '../rotation.js';
import type { Shards } from '../shards.js';
import { chance } from '../workload.js';
import { strongLevel } from './registers.js';

const keysPerGeneration = 3;

export class Counters implements Plan {
  readonly name = 'counter';
  readonly generationMs = 15_000;
  readonly workersPerClient = 1;
  readonly readsBack = true;
  private requests = 0;

  constructor(
    private readonly shards: Shards,
    private readonly runName: string,
    readonly rate: number,
  ) {}

  async round(worker: Worker, { number }: Generation): Promise<void> {
    const at = randomBetween(worker.random, 0, keysPerGeneration - 1);
    const key = this.shards.key(`counter/${number}/${at}`, number * keysPerGeneration + at);
    if (chance(worker.random, 20)) await worker.call(key, { op: 'get', level: strongLevel(worker.random) });
    else await worker.insist(key, { op: 'incr', by: 1, requestId: `${this.runName}/incr/${++this.requests}` });
  }

  judge(operations: readonly Operation[]): Verdict {
    return { violations: judgeCounter(operations), isUndecided: false };
  }
}
