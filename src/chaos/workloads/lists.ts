/** Unique tokens appended to lists: some under a request id until answered, some once whatever becomes of them. */
import { randomBetween } from '../../base/index.js';
import { judgeList, tokenOf } from '../judges/index.js';
import type { Operation } from '../operation.js';
import type { Generation, Plan, Verdict, Worker } from '../rotation.js';
import type { Shards } from '../shards.js';
import { chance } from '../workload.js';
import { strongLevel } from './registers.js';

const listsPerGeneration = 2;
/** A read carries the whole list. */
const mostTokens = 100;

export class Lists implements Plan {
  readonly name = 'list';
  readonly generationMs = 10_000;
  readonly workersPerClient = 1;
  readonly readsBack = true;
  private tokens = 0;

  constructor(
    private readonly shards: Shards,
    private readonly runName: string,
    readonly rate: number,
  ) {}

  async round(worker: Worker, { number }: Generation): Promise<void> {
    const { random } = worker;
    const part = Math.floor(this.tokens / (mostTokens * listsPerGeneration));
    const at = randomBetween(random, 0, listsPerGeneration - 1);
    const key = this.shards.key(`list/${number}/${part}/${at}`, number * listsPerGeneration + at + part);
    if (chance(random, 25)) {
      await worker.call(key, { op: 'get', level: strongLevel(random) });
      return;
    }
    const token = ++this.tokens;
    const value = tokenOf(`${worker.number}-${token}`);
    if (chance(random, 50)) await worker.call(key, { op: 'append', value });
    else await worker.insist(key, { op: 'append', value, requestId: `${this.runName}/append/${token}` });
  }

  judge(operations: readonly Operation[]): Verdict {
    return { violations: judgeList(operations), isUndecided: false };
  }
}
