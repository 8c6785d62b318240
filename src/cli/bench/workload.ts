/** What bench asks of a cluster: operations on random keys of its own, `bench/000000000` and on. */
import { type Random, randomBetween, seededRandom } from '../../base/index.js';
import type { Consistency, RingraftClient } from '../../client/index.js';

export const benchOperations = ['put', 'get', 'mixed'] as const;
export type BenchOperation = (typeof benchOperations)[number];

export type Workload = {
  readonly operation: BenchOperation;
  readonly bucket: string;
  readonly valueBytes: number;
  readonly keys: number;
  /** Of reads. */
  readonly consistency: Consistency;
  readonly timeoutMs: number;
};

const keyOf = (number: number): Buffer => Buffer.from(`bench/${String(number).padStart(9, '0')}`);

/** Bytes that do not compress to nothing. */
function randomBytes(length: number, random: Random): Buffer {
  const bytes = Buffer.alloc(length);
  for (let at = 0; at < length; at++) bytes[at] = random.nextU32() & 0xff;
  return bytes;
}

/** Stores every key once, so that reads find something. */
export async function loadKeys(
  client: RingraftClient,
  { bucket, valueBytes, keys, timeoutMs }: Workload,
  { signal, onLoaded }: { readonly signal: AbortSignal; readonly onLoaded: (keys: number) => void },
): Promise<void> {
  const value = randomBytes(valueBytes, seededRandom(1));
  const perBatch = Math.max(1, Math.min(512, Math.floor((4 * 1024 * 1024) / (valueBytes + 64))));
  for (let from = 0; from < keys && !signal.aborted; from += perBatch) {
    const count = Math.min(perBatch, keys - from);
    const pairs = Array.from({ length: count }, (_, at) => [keyOf(from + at), value] as const);
    const settled = await client.putMany(bucket, pairs, { timeoutMs: Math.max(timeoutMs, 30_000) });
    for (const one of settled) if (!one.ok) throw one.error;
    onLoaded(count);
  }
}

/** The next operation of the workload, each time it is called. */
export function operationsOn(client: RingraftClient, workload: Workload): () => Promise<void> {
  const { operation, bucket, valueBytes, keys, consistency, timeoutMs } = workload;
  const random = seededRandom(2);
  const value = randomBytes(valueBytes, random);
  return async () => {
    const key = keyOf(randomBetween(random, 0, keys - 1));
    const isPut = operation === 'put' || (operation === 'mixed' && (random.nextU32() & 1) === 0);
    if (isPut) await client.put(bucket, key, value, { timeoutMs });
    else await client.get(bucket, key, { timeoutMs, consistency });
  };
}
