/**
 * Keeps this node's copy of the cluster map on its disk.
 *
 * Invariant: what is saved never gets older; saves follow each other.
 */
import type { ClusterMap } from '../wire/index.js';
import type { LocalMap } from './local-map.js';

export class MapSaver {
  private savedEpoch: number;
  private work: Promise<void> = Promise.resolve();

  /** What `maps` holds now is saved, or needs not be. `write` undefined: this node keeps no copy. */
  constructor(
    private readonly maps: LocalMap,
    private readonly write: ((map: ClusterMap) => Promise<void>) | undefined,
  ) {
    this.savedEpoch = maps.current.epoch;
  }

  /** Resolves once a copy as new as that of this moment is durable. */
  save(): Promise<void> {
    if (this.write === undefined || this.maps.current.epoch <= this.savedEpoch) return Promise.resolve();
    this.work = this.work.then(async () => {
      const map = this.maps.current;
      if (map.epoch <= this.savedEpoch) return;
      await this.write?.(map);
      this.savedEpoch = map.epoch;
    });
    return this.work;
  }
}
