/**
 * Which key is next. Zipfian as in YCSB (Gray et al., "Quickly generating billion-record synthetic databases", 1994):
 * the n-th most popular of all keys is chosen with a probability in proportion to 1 / n^0.99.
 */
import { type Random, randomBetween } from '../base/index.js';
import type { KeyChoice } from './workload.js';

const skew = 0.99;

/** In [0, 1). */
export const unitInterval = (random: Random): number => random.nextU32() / 0x1_0000_0000;

/** Ranks in [0, count): 0 is the most popular. */
export class Zipfian {
  private readonly zeta: number;
  private readonly eta: number;
  private readonly alpha = 1 / (1 - skew);
  /** Of rank 0, and of ranks 0 and 1, times zeta. */
  private readonly second = 1 + 0.5 ** skew;

  constructor(
    private readonly count: number,
    private readonly random: Random,
  ) {
    let zeta = 0;
    for (let rank = 1; rank <= count; rank++) zeta += rank ** -skew;
    this.zeta = zeta;
    this.eta = (1 - (2 / count) ** (1 - skew)) / (1 - this.second / zeta);
  }

  next(): number {
    const unit = unitInterval(this.random);
    const scaled = unit * this.zeta;
    if (scaled < 1 || this.count === 1) return 0;
    if (scaled < this.second || this.count === 2) return 1;
    return Math.min(this.count - 1, Math.floor(this.count * (this.eta * unit - this.eta + 1) ** this.alpha));
  }
}

const greatestCommonDivisor = (a: number, b: number): number => (b === 0 ? a : greatestCommonDivisor(b, a % b));

/** Spreads ranks over all numbers below `count`, each to one of its own: popular keys are not neighbours. */
export function scattered(count: number): (rank: number) => number {
  let step = Math.max(1, Math.floor(count * 0.6180339887));
  while (greatestCommonDivisor(step, count) !== 1) step++;
  return (rank) => (rank * step) % count;
}

/** The keys of a run: those that were loaded, and those that this process has inserted since. */
export class KeyChooser {
  /** Numbers of records that were inserted and acknowledged, the newest last. */
  private readonly inserted: number[] = [];
  private readonly zipfian: Zipfian | undefined;
  private readonly scatter: (rank: number) => number;

  constructor(
    private readonly records: number,
    private readonly choice: KeyChoice,
    private readonly random: Random,
  ) {
    this.zipfian = choice === 'uniform' ? undefined : new Zipfian(records, random);
    this.scatter = scattered(records);
  }

  next(): number {
    if (this.zipfian === undefined) return randomBetween(this.random, 0, this.records - 1);
    const rank = this.zipfian.next();
    if (this.choice === 'zipfian') return this.scatter(rank);
    const fromNewest = this.inserted.length - 1 - rank;
    return this.inserted[fromNewest] ?? this.records + fromNewest;
  }

  /** So many different ones. */
  many(count: number): readonly number[] {
    const first = randomBetween(this.random, 0, this.records - 1);
    const most = Math.min(count, this.records);
    return Array.from({ length: most }, (_, at) => this.scatter((first + at) % this.records));
  }

  wasInserted(number: number): void {
    this.inserted.push(number);
  }
}
