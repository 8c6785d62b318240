/**
 * A bank: one key holds all accounts, a transfer is a read and a compare-and-swap. The total never changes, versions are
 * made one after the other by one transfer each, and nobody sees an earlier one after a later one.
 */
import { Ended, type Ranked } from '../ended.js';
import { inOrder, isAcknowledged, isFreshRead, merged, type Operation, seenOf, type Violation } from '../operation.js';
import { keyName } from '../words.js';

export type Bank = {
  /** One more with every transfer. */
  readonly version: number;
  /** The transfer that made it. */
  readonly by: string;
  readonly accounts: readonly number[];
};

export const accountsOfBank = 5;
export const bankTotal = 1000;

/** A bank, or undefined when the text is none. */
export function bankOf(text: string): Bank | undefined {
  try {
    const { version, by, accounts } = JSON.parse(text) as Partial<Bank>;
    const isBank = Number.isInteger(version) && typeof by === 'string' && Array.isArray(accounts);
    return isBank ? ({ version, by, accounts } as Bank) : undefined;
  } catch {
    return undefined;
  }
}

export const totalOf = ({ accounts }: Bank): number => accounts.reduce((sum, balance) => sum + balance, 0);

type Seen = Ranked & { readonly bank: Bank };

/** Of the operations on one key. */
export function judgeBank(operations: readonly Operation[]): Violation[] {
  const transfers = merged(operations).filter(({ call }) => call.op === 'put');
  const made = transfers.filter(isAcknowledged).flatMap((operation) => seenIn(operation, textOf(operation)));
  const reads = operations.filter(isFreshRead);
  const read = reads.flatMap((operation) => seenIn(operation, seenOf(operation)));
  return [
    ...wrongTexts(reads),
    ...read.flatMap(wrongTotal).slice(0, 1),
    ...clashes(made),
    ...strangers(read, made, transfers),
    ...wentBack(read, made),
  ];
}

const textOf = ({ call }: Operation): string => (call.op === 'put' ? call.value : '');

function seenIn(operation: Operation, text: string | null): Seen[] {
  const bank = text === null ? undefined : bankOf(text);
  return bank === undefined ? [] : [{ operation, bank, rank: bank.version }];
}

function violation(what: string, culprit: Operation, others: readonly Operation[] = []): Violation {
  const { workload, key } = culprit;
  const operations = inOrder([...others, culprit]);
  return { workload, key, what: `Bank ${keyName(key)}: ${what}.`, operations, culprit };
}

const wrongTexts = (reads: readonly Operation[]): Violation[] =>
  reads
    .filter((read) => seenOf(read) !== null && bankOf(seenOf(read) as string) === undefined)
    .slice(0, 1)
    .map((read) => violation(`the read by ${read.client} shows what nobody wrote`, read));

const wrongTotal = ({ operation, bank }: Seen): Violation[] =>
  totalOf(bank) === bankTotal
    ? []
    : [violation(`the read by ${operation.client} shows a total of ${totalOf(bank)}, not ${bankTotal}`, operation)];

/** Two transfers from the same version, both acknowledged: the first is lost. */
function clashes(made: readonly Seen[]): Violation[] {
  const first = new Map<number, Seen>();
  for (const each of made) {
    const other = first.get(each.bank.version);
    if (other === undefined) {
      first.set(each.bank.version, each);
      continue;
    }
    const what = `transfers ${other.bank.by} and ${each.bank.by} both made version ${each.bank.version}: one is lost`;
    return [violation(what, each.operation, [other.operation])];
  }
  return [];
}

/** What is read was written by a transfer that may have happened, and by none other than the one acknowledged for it. */
function strangers(read: readonly Seen[], made: readonly Seen[], transfers: readonly Operation[]): Violation[] {
  const acknowledged = new Map(made.map((each) => [each.bank.version, each]));
  const byText = new Map(transfers.map((operation) => [textOf(operation), operation]));
  for (const { operation, bank } of read) {
    const writer = byText.get(seenOf(operation) as string);
    if (writer === undefined) return [violation(`the read by ${operation.client} shows what nobody wrote`, operation)];
    if (writer.outcome.kind === 'failed' || writer.outcome.kind === 'refused') {
      const what = `the read by ${operation.client} shows transfer ${bank.by}, which was ${writer.outcome.kind}`;
      return [violation(what, operation, [writer])];
    }
    const owner = acknowledged.get(bank.version);
    if (owner === undefined || owner.bank.by === bank.by) continue;
    const what = `version ${bank.version} was acknowledged to ${owner.bank.by}, but it is ${bank.by} that is read`;
    return [violation(what, operation, [owner.operation])];
  }
  return [];
}

function wentBack(read: readonly Seen[], made: readonly Seen[]): Violation[] {
  const ended = new Ended([...read, ...made]);
  for (const [shown, step] of [
    [read, 0],
    [made, 1],
  ] as const) {
    for (const { operation, bank } of [...shown].sort((a, b) => a.operation.startMs - b.operation.startMs)) {
      const floor = ended.before(operation.startMs);
      if (floor === undefined || bank.version >= floor.rank + step) continue;
      const verb = step === 0 ? 'read' : 'made';
      const what = `${operation.client} ${verb} version ${bank.version} after ${floor.operation.client} had version ${floor.rank}`;
      return [violation(what, operation, [floor.operation])];
    }
  }
  return [];
}
