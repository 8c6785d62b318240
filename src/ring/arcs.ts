/**
 * Shards as arcs: the ring cut into `count` arcs as equal as whole positions allow. Arc i is
 * [floor(i * 2^32 / count), floor((i + 1) * 2^32 / count)).
 */
import { assert, type ShardId, shardId } from '../base/index.js';
import { ringSize } from './hash.js';

export type ShardArc = { readonly shardId: ShardId; readonly start: number; readonly end: number };

/** The arcs of `count` shards, in ring order, shard ids from `firstShardId`. */
export function equalArcs(count: number, firstShardId = 1): readonly ShardArc[] {
  assert(Number.isInteger(count) && count >= 1, 'a ring has at least one arc');
  const edge = (at: number): number => Math.floor((at * ringSize) / count);
  return Array.from({ length: count }, (_, at) => ({
    shardId: shardId(firstShardId + at),
    start: edge(at),
    end: edge(at + 1),
  }));
}

/** Position in `starts` (ascending, first 0) of the arc that holds `position`. */
export function arcAt(starts: readonly number[], position: number): number {
  let low = 0;
  let high = starts.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >>> 1;
    if ((starts[middle] as number) <= position) low = middle;
    else high = middle - 1;
  }
  return low;
}
