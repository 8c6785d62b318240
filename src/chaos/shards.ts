/** Which shard a key belongs to, and keys for each shard. */
import type { Random } from '../base/index.js';
import { arcAt, ringHash } from '../ring/index.js';
import type { ClusterMap } from '../wire/index.js';

export class Shards {
  readonly ids: readonly number[];
  private readonly starts: readonly number[];
  /** By position in `ids`: what, in braces, places a key there. */
  private readonly tags: readonly string[];

  /** `run` stands in every key, so that no run meets the keys of another. */
  constructor({ shards }: Pick<ClusterMap, 'shards'>, run: string) {
    this.ids = shards.map(({ id }) => id);
    this.starts = shards.map(({ arcStart }) => arcStart);
    this.tags = tagsOf(this.starts, run);
  }

  of(key: string): number {
    return this.ids[arcAt(this.starts, ringHash(Buffer.from(key)))] as number;
  }

  /** A key of this name in the shard at a position in `ids`, counted round. */
  key(name: string, at: number): string {
    return `${name}{${this.tags[at % this.tags.length]}}`;
  }

  any(random: Random): number {
    return random.nextU32() % this.ids.length;
  }
}

function tagsOf(starts: readonly number[], run: string): string[] {
  const tags: string[] = [];
  for (let tried = 0, found = 0; found < starts.length; tried++) {
    const tag = `${run}.${tried}`;
    const at = arcAt(starts, ringHash(Buffer.from(tag)));
    if (tags[at] !== undefined) continue;
    tags[at] = tag;
    found++;
  }
  return tags;
}
