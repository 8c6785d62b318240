/** The engine port with promises, for tests. */
import type { Engine, EngineIterator, EnginePair, EngineRange } from '../../src/engine/index.js';

export type Change = readonly [key: string, value: string | undefined];

/** Writes one batch; resolves when its callback ran. */
export function writeChanges(engine: Engine, changes: readonly Change[], sync = false): Promise<void> {
  const batch = engine.batch();
  for (const [key, value] of changes) {
    if (value === undefined) batch.delete(Buffer.from(key, 'latin1'));
    else batch.put(Buffer.from(key, 'latin1'), Buffer.from(value, 'latin1'));
  }
  return new Promise((resolve, reject) => batch.write(sync, (error) => (error ? reject(error) : resolve())));
}

export function getValues(engine: Engine, keys: readonly string[]): Promise<readonly (string | undefined)[]> {
  return new Promise((resolve, reject) => {
    engine.getMany(
      keys.map((key) => Buffer.from(key, 'latin1')),
      (error, values) => (error ? reject(error) : resolve(values.map((value) => value?.toString('latin1')))),
    );
  });
}

export const nextPairs = (iterator: EngineIterator, count: number): Promise<readonly EnginePair[]> =>
  new Promise((resolve, reject) => iterator.next(count, (error, pairs) => (error ? reject(error) : resolve(pairs))));

/** Reads an iterator to its end, then closes it. */
export async function drain(iterator: EngineIterator, count = 100): Promise<readonly (readonly [string, string])[]> {
  const found: (readonly [string, string])[] = [];
  for (;;) {
    const pairs = await nextPairs(iterator, count);
    if (pairs.length === 0) break;
    for (const [key, value] of pairs) found.push([key.toString('latin1'), value.toString('latin1')]);
  }
  await new Promise<void>((resolve) => iterator.close(resolve));
  return found;
}

export const everything: EngineRange = { gte: Buffer.from([0]), lt: Buffer.alloc(40, 0xff) };
