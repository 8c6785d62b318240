/**
 * Buckets as the cluster map has them. A removed bucket stays there as a mark: its id stands in keys that may still lie on
 * some disk, so no other bucket ever gets it. Its name is free.
 */
import type { BucketId } from '../base/index.js';

export const bucketModes = ['consistent', 'available'] as const;
export type BucketMode = (typeof bucketModes)[number];

export const bucketLevels = ['linearizable', 'lease', 'quorum', 'one'] as const;
export type BucketLevel = (typeof bucketLevels)[number];

/** What can be changed while the bucket is in use. */
export type BucketSettings = {
  readonly mode: BucketMode;
  /** Of reads that ask for none. */
  readonly defaultLevel: BucketLevel;
  /** Of values that are written without a time to live; 0: they stay. */
  readonly ttlMs: number;
  /** 0: the node's limit. The lesser of the two counts. */
  readonly maxValueBytes: number;
  /** Fraction of a node's cache of values that is the bucket's own; 0: it shares the common one. */
  readonly cacheShare: number;
};

export type MapBucket = BucketSettings & {
  readonly id: BucketId;
  readonly name: string;
  readonly isRemoved: boolean;
};

/** Ten years. */
export const mostTtlMs = 10 * 366 * 24 * 3_600_000;
/** Of a value in any bucket: what a message takes. */
export const mostValueBytes = 900_000;
/** Buckets of a cluster, the marks of removed ones included: its map must fit into one message. */
export const mostBuckets = 1000;

export const usualBucket: BucketSettings = {
  mode: 'consistent',
  defaultLevel: 'linearizable',
  ttlMs: 0,
  maxValueBytes: 0,
  cacheShare: 0,
};

/** A bucket as an earlier version or a configuration has it: what it does not say is as usual. */
export const wholeBucket = (bucket: Pick<MapBucket, 'id' | 'name'> & Partial<MapBucket>): MapBucket => ({
  id: bucket.id,
  name: bucket.name,
  mode: bucket.mode ?? usualBucket.mode,
  defaultLevel: bucket.defaultLevel ?? usualBucket.defaultLevel,
  ttlMs: bucket.ttlMs ?? usualBucket.ttlMs,
  maxValueBytes: bucket.maxValueBytes ?? usualBucket.maxValueBytes,
  cacheShare: bucket.cacheShare ?? usualBucket.cacheShare,
  isRemoved: bucket.isRemoved ?? false,
});

/** A map as it came from a disk or from another node, perhaps of an earlier version. */
export const withWholeBuckets = <Map extends { readonly buckets: readonly MapBucket[] }>(map: Map): Map => ({
  ...map,
  buckets: map.buckets.map(wholeBucket),
});

export const settingsOfBucket = ({
  mode,
  defaultLevel,
  ttlMs,
  maxValueBytes,
  cacheShare,
}: MapBucket): BucketSettings => ({
  mode,
  defaultLevel,
  ttlMs,
  maxValueBytes,
  cacheShare,
});

/** The bucket that has this name now. */
export const liveBucket = (buckets: readonly MapBucket[], name: string): MapBucket | undefined =>
  buckets.find((bucket) => bucket.name === name && !bucket.isRemoved);
