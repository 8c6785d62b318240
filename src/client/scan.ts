/** A scan over all shards: pages from as few nodes as have all of them, merged by key. */
import type { ScanPair } from '../wire/index.js';
import type { ScanBounds } from './scan-bounds.js';
import { type ScanContext, type ScanPart, ScanSource } from './scan-source.js';
import type { ScanItem } from './types.js';

/**
 * Items in order of key bytes, at most `limit`. Each page is linearizable by itself; the scan as a whole is no
 * snapshot: a key written while it runs may be in it or not.
 */
export async function* mergedScan(context: ScanContext, bounds: ScanBounds, limit: number): AsyncGenerator<ScanItem> {
  const sources: ScanSource[] = [];
  const add = (part: ScanPart): void => {
    sources.push(new ScanSource(context, part, (parts) => parts.forEach(add)));
  };
  const { routes: table, clock } = context;
  for (const { link, routes } of table.cover(table.shards, clock.nowMs())) add({ routes, bounds, replica: link });
  let isReady = false;
  let filled = 0;
  for (let given = 0; given < limit; given++) {
    // Sources are only added while one is being filled, or by a page fetched ahead: then they are not filled yet.
    if (!isReady || sources.length > filled) {
      await fillAll(sources);
      filled = sources.length;
    }
    const source = firstSource(sources, context.reverse);
    const item = source?.peek();
    if (source === undefined || item === undefined) return;
    source.shift();
    if (limit - given > context.pageItems) source.prefetch();
    isReady = source.peek() !== undefined;
    yield { key: item.key, value: item.value, revision: item.revision };
  }
}

/** Until every source has its next item at hand; those that are done are taken out. */
async function fillAll(sources: ScanSource[]): Promise<void> {
  for (;;) {
    const empty = sources.filter((source) => source.peek() === undefined && !source.isDone);
    if (empty.length === 0) break;
    for (const source of empty) source.prefetch();
    for (const source of empty) await source.fill();
  }
  for (let at = sources.length - 1; at >= 0; at--) if (sources[at]?.isDone) sources.splice(at, 1);
}

function firstSource(sources: readonly ScanSource[], reverse: boolean): ScanSource | undefined {
  let first: ScanSource | undefined;
  let firstItem: ScanPair | undefined;
  for (const source of sources) {
    const item = source.peek();
    if (item === undefined) continue;
    const order = firstItem === undefined ? -1 : Buffer.compare(item.key, firstItem.key);
    if (reverse ? order > 0 || firstItem === undefined : order < 0) {
      first = source;
      firstItem = item;
    }
  }
  return first;
}
