/**
 * Many keys whose values can be told from their number: loading, overwriting and checking them needs no memory but a
 * version each.
 *
 * Invariant: `versions[n]` is what was last acknowledged of key n; nobody else writes these keys.
 */
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
  private readonly versions: Uint8Array;
  private readonly filler: Buffer;

  constructor(
    readonly keys: number,
    private readonly valueBytes: number,
  ) {
    this.versions = new Uint8Array(keys);
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

  /** Reads every key and compares it byte for byte. */
  async verify(client: RingraftClient, violations: Violations, onRead: (keys: number) => void): Promise<void> {
    let wrong = 0;
    const check = (number: number, value: Buffer | undefined): void => {
      if (value?.equals(this.valueOf(number, this.versions[number] ?? 0))) return;
      wrong++;
      if (wrong > reportedKeys) return;
      const held = value === undefined ? 'missing' : `holds ${JSON.stringify(value.toString('latin1', 0, headBytes))}`;
      violations.add(`${this.keyOf(number)}: version ${this.versions[number]} was acknowledged last, it is ${held}`);
    };
    await readBack(client, this.keys, this.keyOf, check, onRead);
    if (wrong > reportedKeys) violations.add(`${wrong} of ${this.keys} keys are lost or wrong`);
  }
}
