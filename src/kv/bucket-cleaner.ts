/**
 * Gives back the space of buckets that shards have dropped, a little at a time, beside the operations of users.
 *
 * Invariants:
 * 1. That a shard has dropped a bucket is durable before anything of it is removed: a replay of the log never finds data
 *    missing that it still asks about.
 * 2. What a shard was given after it was replaced is left alone: a cleaning is of one `ShardState`.
 */
import { BackgroundWork, type BucketId, type Clock } from '../base/index.js';
import type { Engine } from '../engine/index.js';
import { bucketOfName, dataRange } from './keys.js';
import { clearRange } from './ranges.js';
import type { Reader } from './reader.js';
import { isOfShard, type ShardState } from './shard-state.js';

export type BucketCleanerParts = {
  readonly engine: Engine;
  readonly clock: Clock;
  readonly reader: Reader;
  /** Makes everything applied durable. */
  readonly sync: () => Promise<void>;
  readonly isOpen: (shard: ShardState) => boolean;
  readonly onFailure: (error: Error) => void;
};

type Task = { readonly shard: ShardState; readonly bucketId: BucketId };

export class BucketCleaner {
  private readonly tasks: Task[] = [];
  private running: Promise<void> | undefined;
  private stopped = false;

  constructor(private readonly parts: BucketCleanerParts) {}

  /** Returns at once. */
  clean(shard: ShardState, bucketId: BucketId): void {
    this.tasks.push({ shard, bucketId });
    this.running ??= this.run().finally(() => {
      this.running = undefined;
    });
  }

  /** Resolves once nothing of it touches the engine any more; what is left is found by the next start. */
  async stop(): Promise<void> {
    this.stopped = true;
    await this.running;
  }

  private async run(): Promise<void> {
    const { clock, sync, onFailure } = this.parts;
    // Not within the turn that applied the command: others wait for that one.
    await new Promise<void>((resolve) => clock.defer(resolve));
    const work = new BackgroundWork(clock);
    try {
      while (this.tasks.length > 0 && !this.stopped) {
        const tasks = this.tasks.splice(0);
        await sync();
        for (const task of tasks) await this.cleanNow(task, work);
      }
    } catch (error) {
      if (!this.stopped) onFailure(error instanceof Error ? error : new Error(String(error)));
    }
  }

  private async cleanNow({ shard, bucketId }: Task, work: BackgroundWork): Promise<void> {
    const { engine, reader, isOpen } = this.parts;
    const goesOn = (): boolean => !this.stopped && isOpen(shard);
    if (!goesOn()) return;
    const { start, end } = shard.arc;
    const cleared = reader.beginReplacing((name) => bucketOfName(name) === bucketId && isOfShard(name, shard));
    try {
      await clearRange(engine, dataRange(bucketId, start, end), { work, onCleared: cleared.forget, goesOn });
    } finally {
      cleared.end();
    }
  }
}
