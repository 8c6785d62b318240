/** Unique elements, one key each, added once. */
import { judgeSet } from '../judges/index.js';
import type { Operation } from '../operation.js';
import type { Generation, Plan, Verdict, Worker } from '../rotation.js';
import type { Shards } from '../shards.js';

export class Sets implements Plan {
  readonly name = 'set';
  readonly generationMs = 10_000;
  readonly workersPerClient = 1;
  readonly readsBack = true;
  private elements = 0;

  constructor(
    private readonly shards: Shards,
    readonly rate: number,
  ) {}

  async round(worker: Worker, { number }: Generation): Promise<void> {
    const element = ++this.elements;
    const key = this.shards.key(`set/${number}/${element}`, element);
    await worker.call(key, { op: 'put', value: `e${element} of ${worker.client}` });
  }

  judge(operations: readonly Operation[]): Verdict {
    return { violations: judgeSet(operations), isUndecided: false };
  }
}
