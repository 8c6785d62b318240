/**
 * Many keys whose values can be told from their number: loading, overwriting and checking them needs no memory but a
 * version each.
 *
 * Invariants:
 * 1. `versions[n]` is what was last acknowledged of key n; nobody else writes these keys.
 * 2. A key has one write under way at most, and none after one of unknown outcome: it holds its version or the next.
 */
import { isRingraftError } from '../../src/base/index.js';
import type { RingraftClient } from '../../src/client/index.js';
import type { Violations } from '../crash/violations.js';
import { readBack } from './keys.js';
import { bucket, operationTimeoutMs } from './program.js';

const batchesInFlight = 4;
const mostKeysPerBatch = 2000;
const mostBytesPerBatch = 4 * 1024 * 1024;
const headBytes = 24;
const reportedKeys = 5;

export class DataSet {
  private readonly versions: Uint32Array;
  /** Keys with a single write under way, or one of unknown outcome. */
  private readonly unsettled = new Set<number>();
  private readonly filler: Buffer;
  private wrong = 0;

  constructor(
    readonly keys: number,
    private readonly valueBytes: number,
  ) {
    this.versions = new Uint32Array(keys);
    // Bytes that do not compress to nothing: the low byte of a linear congruential generator's upper half.
    this.filler = Buffer.alloc(valueBytes);
    let state = 12_345;
    for (let at = 0; at < valueBytes; at++) {
      state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
      this.filler[at] = state >>> 24;
    }
  }

  private keyOf = (number: number): string => `data/${String(number).padStart(10, '0')}`;

  /** Number and version at the head as far as they fit, then filler that begins elsewhere for every key. */
  private valueOf(number: number, version: number): Buffer {
    const value = Buffer.allocUnsafe(this.valueBytes);
    const from = number % Math.max(1, this.valueBytes);
    this.filler.copy(value, this.filler.copy(value, 0, from), 0, from);
    value.write(`${version}/${number}`.padStart(headBytes, '0'), 0, 'latin1');
    return value;
  }

  /** Writes the keys from `from` to before `to` in their next version; a write that fails is thrown. */
  async write(client: RingraftClient, from: number, to: number, onWritten: (keys: number) => void): Promise<void> {
    const perBatch = Math.max(1, Math.min(mostKeysPerBatch, Math.floor(mostBytesPerBatch / (this.valueBytes + 64))));
    let next = from;
    const writer = async (): Promise<void> => {
      while (next < to) {
        const first = next;
        next = Math.min(to, first + perBatch);
        const count = next - first;
        const pairs = Array.from({ length: count }, (_, at) => {
          const number = first + at;
          return [this.keyOf(number), this.valueOf(number, (this.versions[number] ?? 0) + 1)] as const;
        });
        const settled = await client.putMany(bucket, pairs, { timeoutMs: operationTimeoutMs });
        settled.forEach((one, at) => {
          if (!one.ok) throw one.error;
          this.versions[first + at] = (this.versions[first + at] ?? 0) + 1;
        });
        onWritten(count);
      }
    };
    await Promise.all(Array.from({ length: batchesInFlight }, writer));
  }

  /** Whether nobody may write the key now. */
  isTaken(number: number): boolean {
    return this.unsettled.has(number);
  }

  /** Writes one key in its next version; an error is thrown. */
  async putOne(client: RingraftClient, number: number, timeoutMs: number): Promise<void> {
    const version = (this.versions[number] ?? 0) + 1;
    this.unsettled.add(number);
    try {
      await client.put(bucket, this.keyOf(number), this.valueOf(number, version), { timeoutMs });
      this.versions[number] = version;
    } catch (error) {
      if (isRingraftError(error) && error.happened === 'unknown') throw error;
      this.unsettled.delete(number);
      throw error;
    }
    this.unsettled.delete(number);
  }

  /** Reads one key and checks that it holds what was acknowledged before, or something later; an error is thrown. */
  async getOne(client: RingraftClient, violations: Violations, number: number, timeoutMs: number): Promise<void> {
    const least = this.versions[number] ?? 0;
    const found = await client.get(bucket, this.keyOf(number), { timeoutMs });
    this.check(violations, number, found?.value, least);
  }

  /** Whether the key holds one of the versions it may hold. */
  private holds(number: number, value: Buffer | undefined, least: number): boolean {
    const most = (this.versions[number] ?? 0) + (this.unsettled.has(number) ? 1 : 0);
    for (let version = most; version >= least; version--) {
      if (version === 0 ? value === undefined : value?.equals(this.valueOf(number, version))) return true;
    }
    return false;
  }

  private check(violations: Violations, number: number, value: Buffer | undefined, least: number): boolean {
    if (this.holds(number, value, least)) return true;
    if (++this.wrong > reportedKeys) return false;
    const held = value === undefined ? 'missing' : `holds ${JSON.stringify(value.toString('latin1', 0, headBytes))}`;
    violations.add(`${this.keyOf(number)}: version ${least} was acknowledged before, it is ${held}`);
    return false;
  }

  /** Reads every key and compares it byte for byte; no writes may be under way. */
  async verify(client: RingraftClient, violations: Violations, onRead: (keys: number) => void): Promise<void> {
    let wrong = 0;
    const check = (number: number, value: Buffer | undefined): void => {
      if (!this.check(violations, number, value, this.versions[number] ?? 0)) wrong++;
    };
    await readBack(client, this.keys, this.keyOf, check, onRead);
    if (wrong > reportedKeys) violations.add(`${wrong} of ${this.keys} keys are lost or wrong`);
  }
}
