/**
 * What names of buckets stand for. A bucket may be created after this client's map, or removed and its name given to another
 * one; nodes asked for the map may be behind for a moment.
 */
import { type BucketId, type Clock, isRingraftError, pause, RingraftError } from '../base/index.js';
import type { MapSource } from './map-source.js';
import type { RoutingTable } from './routing-table.js';
import type { ReadOptions } from './types.js';

/** A map younger than this answers doubts about leaders and buckets. */
export const mapFreshMs = 100;
/** Before an unknown bucket is looked for again; a name that is misspelt fails after them all. */
const pausesMs = [100, 200, 400];

/** The bucket was there and is no more. */
export const isGone = (error: unknown): error is RingraftError =>
  isRingraftError(error, 'NOT_FOUND') && error.happened === 'no';

export type BucketNamesParts = {
  readonly cluster: string;
  readonly maps: MapSource;
  readonly routes: RoutingTable;
  readonly clock: Clock;
  readonly timeoutMs: number;
  /** Throws CLOSED once the client is. */
  readonly checkOpen: () => void;
};

export class BucketNames {
  constructor(private readonly parts: BucketNamesParts) {}

  /** As far as the map at hand knows. */
  known(bucket: string): BucketId | undefined {
    return this.parts.routes.bucketId(bucket);
  }

  async find(bucket: string): Promise<BucketId> {
    const { maps, routes, clock, cluster, timeoutMs, checkOpen } = this.parts;
    const known = routes.bucketId(bucket);
    if (known !== undefined) return known;
    for (const pauseMs of [0, ...pausesMs]) {
      if (pauseMs > 0) await pause(clock, pauseMs);
      checkOpen();
      if (maps.ageMs() >= mapFreshMs) await maps.fetch(timeoutMs);
      const bucketId = routes.bucketId(bucket);
      if (bucketId !== undefined) return bucketId;
    }
    const fields = { bucket };
    throw new RingraftError('NOT_FOUND', `cluster ${cluster} has no bucket ${JSON.stringify(bucket)}`, { fields });
  }

  /** What the name stands for after the bucket `gone`; undefined: nothing. */
  async after(bucket: string, gone: BucketId): Promise<BucketId | undefined> {
    const { maps, routes, clock, timeoutMs } = this.parts;
    for (const pauseMs of pausesMs) {
      await maps.fetch(timeoutMs);
      const id = routes.bucketId(bucket);
      if (id !== gone) return id;
      await pause(clock, pauseMs);
    }
    return undefined;
  }

  /** A bucket is gone; where its name stands for another one by now that is the one that was meant. */
  async again<T>(bucket: string, gone: BucketId, error: unknown, attempt: (id: BucketId) => Promise<T>): Promise<T> {
    const id = isGone(error) ? await this.after(bucket, gone) : undefined;
    if (id === undefined) throw error;
    return attempt(id);
  }

  /** Whether the bucket's defaults change nothing about these options: nearly always. */
  areDefaultsPlain(bucket: string, { consistency, available }: ReadOptions): boolean {
    const settings = this.parts.routes.bucket(bucket);
    if (settings === undefined) return true;
    const isLevelPlain = consistency !== undefined || settings.defaultLevel === 'linearizable';
    return isLevelPlain && (available !== undefined || settings.mode === 'consistent');
  }

  /** What the bucket has for reads that do not say. */
  withDefaults(bucket: string, options: ReadOptions): ReadOptions {
    const settings = this.parts.routes.bucket(bucket);
    if (settings === undefined) return options;
    const consistency = options.consistency ?? settings.defaultLevel;
    const available = options.available ?? settings.mode === 'available';
    return { ...options, consistency, available };
  }
}
