/** Each client writes increasing numbers to a key of its own and reads everybody's at the weak levels. */
import { judgeFreshness } from '../judges/index.js';
import type { Call, Operation } from '../operation.js';
import type { Generation, Plan, Verdict, Worker } from '../rotation.js';
import type { Shards } from '../shards.js';
import { chance, pick } from '../workload.js';

/** What is read of all that may be read. */
const reads: readonly Call[] = [
  { op: 'get', level: 'one' },
  { op: 'get', level: 'one' },
  { op: 'get', level: 'one', maxStalenessMs: 500 },
  { op: 'get', level: 'linearizable', available: true },
  { op: 'get', level: 'lease', available: true },
  { op: 'get', level: 'quorum' },
  { op: 'get', level: 'quorum', available: true },
];

export class Sessions implements Plan {
  readonly name = 'session';
  readonly generationMs = 10_000;
  readonly workersPerClient = 1;
  readonly readsBack = true;
  private numbers = 0;

  constructor(
    private readonly shards: Shards,
    private readonly writers: number,
    readonly rate: number,
  ) {}

  async round(worker: Worker, { number }: Generation): Promise<void> {
    const { random } = worker;
    const keyOf = (writer: number): string => this.shards.key(`session/${number}/${writer}`, number + writer);
    if (chance(random, 30)) await worker.call(keyOf(worker.number), { op: 'put', value: String(++this.numbers) });
    else await worker.call(keyOf(random.nextU32() % this.writers), pick(random, reads));
  }

  judge(operations: readonly Operation[]): Verdict {
    return { violations: judgeFreshness(operations), isUndecided: false };
  }
}
