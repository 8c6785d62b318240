/** Keys of a chosen shard, one operation a key, and reading many back. */
import type { RingraftClient } from '../../src/client/index.js';
import { initHash, ringHash } from '../../src/ring/index.js';
import type { ClusterMap } from '../../src/wire/index.js';
import { bucket, operationTimeoutMs } from './program.js';

const keysPerRead = 1000;
const readsInFlight = 4;

/** For every shard, by its position in the map, a tag: every key that begins with it belongs to the shard. */
export async function tagsOf({ shards }: ClusterMap): Promise<readonly string[]> {
  await initHash();
  const tags = new Map<number, string>();
  for (let number = 0; tags.size < shards.length; number++) {
    const tag = `{m${number}}`;
    const position = ringHash(Buffer.from(tag));
    const at = shards.findIndex(({ arcStart, arcEnd }) => position >= arcStart && position < arcEnd);
    if (!tags.has(at)) tags.set(at, tag);
  }
  return shards.map((_, at) => tags.get(at) as string);
}

/** One operation for each of `count` keys, so many under way at a time. */
export async function forEachKey(
  count: number,
  concurrency: number,
  single: (at: number) => Promise<void>,
): Promise<void> {
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < count) await single(next++);
  };
  await Promise.all(Array.from({ length: concurrency }, worker));
}

/** Reads `count` keys, linearizably, and hands every value to `check`; a read that fails is thrown. */
export async function readBack(
  client: RingraftClient,
  count: number,
  keyAt: (at: number) => string,
  check: (at: number, value: Buffer | undefined) => void,
  onRead: (keys: number) => void = () => {},
): Promise<void> {
  let next = 0;
  const reader = async (): Promise<void> => {
    while (next < count) {
      const from = next;
      next = Math.min(count, from + keysPerRead);
      const keys = Array.from({ length: next - from }, (_, at) => keyAt(from + at));
      const found = await client.getMany(bucket, keys, { timeoutMs: operationTimeoutMs });
      found.forEach((one, at) => {
        if (!one.ok) throw one.error;
        check(from + at, one.result?.value);
      });
      onRead(keys.length);
    }
  };
  await Promise.all(Array.from({ length: readsInFlight }, reader));
}
