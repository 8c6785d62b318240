/**
 * The sequence numbers of one client's writes. They are numbered over the whole client, but every shard keeps its own
 * session of a client, so what is settled is counted by shard: a shard without a leader must not make the sessions of
 * the others grow.
 *
 * Invariants:
 * 1. Sequences start at 1, and none is given out twice.
 * 2. `ackedBelow(shard)` never falls, and no write of that shard with a sequence below it is ever sent again. Nodes
 *    forget their answers below it and refuse such writes for good.
 * 3. At most `maxSpan` sequences of a shard lie from its lowest unsettled one on: as many answers as a node remembers
 *    of one session, so that it never forgets one that may still be asked for.
 */
import { assert, type ShardId } from '../base/index.js';

/** Below the number of answers that a node keeps of one session. */
export const maxSpan = 4000;
const compactAt = 1024;

class ShardWindow {
  /** Ascending; the first of them from `head` on is unsettled. */
  private taken: number[] = [];
  private head = 0;
  private readonly settled = new Set<number>();

  get lowest(): number | undefined {
    return this.taken[this.head];
  }

  get span(): number {
    return this.taken.length - this.head;
  }

  take(sequence: number): void {
    this.taken.push(sequence);
  }

  settle(sequence: number): void {
    assert(this.lowest !== undefined && sequence >= this.lowest, 'a sequence settles once');
    if (sequence !== this.lowest) {
      this.settled.add(sequence);
      return;
    }
    do this.head++;
    while (this.settled.size > 0 && this.settled.delete(this.taken[this.head] as number));
    if (this.head === this.taken.length) {
      this.taken = [];
      this.head = 0;
    } else if (this.head >= compactAt && this.head * 2 >= this.taken.length) {
      this.taken = this.taken.slice(this.head);
      this.head = 0;
    }
  }
}

export class SequenceWindow {
  private next = 1;
  private readonly shards = new Map<ShardId, ShardWindow>();

  /** The sequence that the next write gets. */
  get nextSequence(): number {
    return this.next;
  }

  hasRoom(shard: ShardId): boolean {
    return (this.shards.get(shard)?.span ?? 0) < maxSpan;
  }

  take(shard: ShardId): number {
    let window = this.shards.get(shard);
    if (window === undefined) {
      window = new ShardWindow();
      this.shards.set(shard, window);
    }
    const sequence = this.next++;
    window.take(sequence);
    return sequence;
  }

  /** The write was answered, or given up for ever. */
  settle(shard: ShardId, sequence: number): void {
    const window = this.shards.get(shard);
    assert(window !== undefined, 'a sequence belongs to a shard');
    window.settle(sequence);
  }

  /** The shard's lowest unsettled sequence, or the next one when all are settled. */
  ackedBelow(shard: ShardId): number {
    return this.shards.get(shard)?.lowest ?? this.next;
  }
}
