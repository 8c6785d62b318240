/** Transfers between accounts that stand in one value: read, then compare-and-swap by value or by revision. */
import { type Random, randomBetween } from '../../base/index.js';
import { accountsOfBank, type Bank, bankOf, bankTotal, judgeBank } from '../judges/index.js';
import { type Operation, revisionOf, seenOf } from '../operation.js';
import type { Generation, Plan, Verdict, Worker } from '../rotation.js';
import type { Shards } from '../shards.js';
import { chance } from '../workload.js';
import { strongLevel } from './registers.js';

const banksPerGeneration = 2;

export class Banks implements Plan {
  readonly name = 'bank';
  readonly generationMs = 15_000;
  readonly workersPerClient = 1;
  readonly readsBack = true;
  private transfers = 0;

  constructor(
    private readonly shards: Shards,
    readonly rate: number,
  ) {}

  async round(worker: Worker, { number }: Generation): Promise<void> {
    const { random } = worker;
    const at = randomBetween(random, 0, banksPerGeneration - 1);
    const key = this.shards.key(`bank/${number}/${at}`, number * banksPerGeneration + at);
    const read = await worker.call(key, { op: 'get', level: strongLevel(random) });
    if (read.outcome.kind !== 'ok' || chance(random, 20)) return;
    const text = seenOf(read);
    const by = `t${++this.transfers}`;
    if (text === null) {
      const bank: Bank = {
        version: 0,
        by,
        accounts: new Array<number>(accountsOfBank).fill(bankTotal / accountsOfBank),
      };
      await worker.call(key, { op: 'put', value: JSON.stringify(bank), ifAbsent: true });
      return;
    }
    const bank = bankOf(text);
    if (bank === undefined) return;
    const value = JSON.stringify(afterTransfer(bank, by, random));
    const condition = chance(random, 50) ? { ifValue: text } : { ifRevision: revisionOf(read) };
    await worker.call(key, { op: 'put', value, ...condition });
  }

  judge(operations: readonly Operation[]): Verdict {
    return { violations: judgeBank(operations), isUndecided: false };
  }
}

function afterTransfer({ version, accounts }: Bank, by: string, random: Random): Bank {
  const [from, to] = [random.nextU32() % accounts.length, random.nextU32() % accounts.length];
  const amount = randomBetween(random, 0, accounts[from] ?? 0);
  const moved = [...accounts];
  moved[from] = (moved[from] as number) - amount;
  moved[to] = (moved[to] as number) + amount;
  return { version: version + 1, by, accounts: moved };
}
