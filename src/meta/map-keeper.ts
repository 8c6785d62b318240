/**
 * The cluster map on the node that leads the system shard: read once in a term, changed one change after another.
 *
 * Invariants:
 * 1. A change is announced only when it is durable on a majority.
 * 2. Changes of one keeper follow each other without gaps; after a failed one the keeper is used no more.
 */
import { type Clock, RingraftError } from '../base/index.js';
import type { SystemShard } from '../host/index.js';
import type { ClusterMap, MapChange } from '../wire/index.js';
import { applyChange, checkMap } from './map-changes.js';
import { foundingRecords, historyOfRecords, keptChanges, mapOfRecords, recordsOfChange } from './map-records.js';

/** Shards that one entry of the log takes the records of. */
export const shardsPerChange = 256;

export type ChangeDraft = Omit<MapChange, 'epoch' | 'atMs'>;

export type MapKeeperParts = {
  readonly clock: Clock;
  readonly system: SystemShard;
  readonly term: number;
  /** A change is certain; `map` is the map after it. */
  readonly onChange: (change: MapChange, map: ClusterMap) => void;
};

export class MapKeeper {
  private work: Promise<unknown> = Promise.resolve();
  private failure: unknown;

  private constructor(
    private readonly parts: MapKeeperParts,
    private map: ClusterMap,
    private readonly changes: MapChange[],
  ) {}

  /**
   * Reads the map. Where there is none it is founded, from what `mayFound` resolves with; undefined: not here, or not in
   * this term. Rejects with NOT_LEADER when the term is over.
   */
  static async open(parts: MapKeeperParts, mayFound: () => Promise<ClusterMap | undefined>): Promise<MapKeeper> {
    const { system, term, clock } = parts;
    const records = await system.read(term);
    const known = mapOfRecords(records);
    if (known !== undefined) {
      checkMap(known);
      return new MapKeeper(parts, known, [...historyOfRecords(records)]);
    }
    const founding = await mayFound();
    if (founding === undefined) throw new RingraftError('NOT_FOUND', 'the system shard holds no cluster map');
    const map: ClusterMap = { ...founding, epoch: 1 };
    checkMap(map);
    const { nodes, shards } = map;
    const summary = `${shards.length} shards of ${map.replication} replicas on ${nodes.map(({ id }) => id).join(', ')}`;
    const change: MapChange = { epoch: 1, atMs: clock.wallMs(), kind: 'founded', summary };
    const portions = foundingRecords(map, change, shardsPerChange, [...records.keys()]);
    for (const portion of portions) await system.write(portion, term);
    parts.onChange(change, map);
    return new MapKeeper(parts, map, [change]);
  }

  get current(): ClusterMap {
    return this.map;
  }

  /** Newest first. */
  history(limit: number, before = Number.POSITIVE_INFINITY): readonly MapChange[] {
    return this.changes
      .filter(({ epoch }) => epoch < before)
      .reverse()
      .slice(0, limit);
  }

  /**
   * Makes the change that `draft` draws up from the map as it is when its turn comes; undefined: none. Resolves with the
   * epoch of the map that has it, once that is certain.
   */
  change(draft: (map: ClusterMap) => ChangeDraft | undefined): Promise<number> {
    const step = this.work.then(async () => {
      if (this.failure !== undefined) throw this.failure;
      const drafted = draft(this.map);
      if (drafted === undefined) return this.map.epoch;
      return await this.commit(drafted);
    });
    this.work = step.catch(() => {});
    return step;
  }

  private async commit(draft: ChangeDraft): Promise<number> {
    const { clock, system, term, onChange } = this.parts;
    const epoch = this.map.epoch + 1;
    const shards = draft.shards?.map((shard) => ({ ...shard, epoch }));
    const change: MapChange = { ...draft, ...(shards === undefined ? {} : { shards }), epoch, atMs: clock.wallMs() };
    const map = applyChange(this.map, change);
    try {
      await system.write(recordsOfChange(map, change), term);
    } catch (error) {
      // BUSY: nothing was written. Otherwise a later term decides what became of it.
      if (!(error instanceof RingraftError && error.code === 'BUSY')) this.failure = error;
      throw error;
    }
    this.map = map;
    this.changes.push(change);
    if (this.changes.length > keptChanges) this.changes.shift();
    onChange(change, map);
    return epoch;
  }
}
