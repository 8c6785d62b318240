/** Ranges of the engine, a slice at a time. */
import type { BackgroundWork, BucketId } from '../base/index.js';
import type { Engine, EngineBatch, EnginePair, EngineRange } from '../engine/index.js';
import { bucketOfDataKey, dataRange, indexKey, isDataKey, lastBucketId, userKeyOfDataKey } from './keys.js';

/** What is done between two rests. */
export const pairsPerBatch = 128;

export const writeBatch = (batch: EngineBatch, sync: boolean): Promise<void> =>
  new Promise((resolve, reject) => batch.write(sync, (error) => (error === undefined ? resolve() : reject(error))));

/** Every pair of a range, which must be small. */
export async function readAll(engine: Engine, range: EngineRange): Promise<readonly EnginePair[]> {
  const found: EnginePair[] = [];
  for await (const pairs of pages(engine, range)) found.push(...pairs);
  return found;
}

export async function* pages(
  engine: Engine,
  range: EngineRange,
  perPage = pairsPerBatch,
): AsyncGenerator<readonly EnginePair[]> {
  const iterator = engine.iterate(range);
  try {
    for (;;) {
      const pairs = await new Promise<readonly EnginePair[]>((resolve, reject) => {
        iterator.next(perPage, (error, some) => (error === undefined ? resolve(some) : reject(error)));
      });
      if (pairs.length === 0) return;
      yield pairs;
    }
  } finally {
    await new Promise<void>((resolve) => iterator.close(resolve));
  }
}

export type Clearing = {
  readonly work: BackgroundWork;
  /** Told of every data key that is removed. */
  readonly onCleared: (dataKey: Buffer) => void;
  /** False: the rest is left as it is. */
  readonly goesOn?: () => boolean;
};

/** Removes what the engine holds of a range, and of data the index. */
export async function clearRange(engine: Engine, range: EngineRange, clearing: Clearing): Promise<void> {
  const { work, onCleared, goesOn = () => true } = clearing;
  for await (const pairs of pages(engine, { ...range, keysOnly: true })) {
    if (!goesOn()) return;
    const batch = engine.batch();
    for (const [key] of pairs) {
      batch.delete(key);
      if (!isDataKey(key)) continue;
      batch.delete(indexKey(bucketOfDataKey(key), userKeyOfDataKey(key)));
      onCleared(key);
    }
    await writeBatch(batch, false);
    await work.rest();
  }
}

/** Every bucket of users that has data in the engine: one look a bucket, however much it holds. */
export async function bucketsIn(engine: Engine): Promise<readonly BucketId[]> {
  const found: BucketId[] = [];
  for (let from = 1; from <= lastBucketId; ) {
    const { gte } = dataRange(from as BucketId, 0, 1);
    const { lt } = dataRange(lastBucketId, 0, 2 ** 32);
    const first = await firstKey(engine, { gte, lt, keysOnly: true });
    if (first === undefined) break;
    const bucketId = bucketOfDataKey(first);
    found.push(bucketId);
    from = bucketId + 1;
  }
  return found;
}

async function firstKey(engine: Engine, range: EngineRange): Promise<Buffer | undefined> {
  for await (const [pair] of pages(engine, range, 1)) return pair === undefined ? undefined : Buffer.from(pair[0]);
  return undefined;
}
