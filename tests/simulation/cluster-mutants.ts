/** Bugs that a cluster which manages itself could have, switched on by name; see `mutants.ts`. */
import { MapSaver } from '../../src/host/map-saver.js';
import { SystemShard } from '../../src/host/system-shard.js';
import { FoundingStates } from '../../src/meta/founding-states.js';
import { Manager } from '../../src/meta/manager.js';
import { isMoving } from '../../src/meta/planning.js';
import type { ClusterMap } from '../../src/wire/index.js';

/** A move is over for the manager as soon as it has begun: nobody has said that the new replica votes. */
function moveNotWaitedFor(): void {
  Object.defineProperty(Manager.prototype, 'movesDone', {
    value: (map: ClusterMap) => {
      const done = map.shards.filter(isMoving).map((shard) => ({ ...shard, leaving: [] }));
      return done.length === 0 ? undefined : { kind: 'moveDone', summary: 'not waited for', shards: done };
    },
  });
}

/** A manager goes on from what it read when it managed the last time. */
function mapNotReadAgain(): void {
  const { read } = SystemShard.prototype;
  const kept = new WeakMap<SystemShard, ReadonlyMap<string, string>>();
  SystemShard.prototype.read = async function (this: SystemShard, term: number) {
    const records = kept.get(this) ?? (await read.call(this, term));
    if (records.size > 0) kept.set(this, records);
    return records;
  };
}

/** Whoever has nothing founds, whatever the others have. */
function foundedWithoutAsking(): void {
  FoundingStates.prototype.isEach = () => true;
}

/** A replica exists before the map that places it there is on the disk. */
function mapNotKeptFirst(): void {
  MapSaver.prototype.save = () => Promise.resolve();
}

export const clusterMutants = {
  'move-not-waited-for': moveNotWaitedFor,
  'map-not-read-again': mapNotReadAgain,
  'founded-without-asking': foundedWithoutAsking,
  'map-not-kept-first': mapNotKeptFirst,
} as const;

export const isClusterMutant = (name: string): boolean => Object.hasOwn(clusterMutants, name);
