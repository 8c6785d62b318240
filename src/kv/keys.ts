/**
 * Keys and values as bytes in the engine (docs/data-format.md). Numbers are big-endian, so that byte order is number
 * order.
 *
 *   data key    = "d" bucket:u16 ring:u32 user-key     value = flags:u8 revision:u48 [expires:u48] bytes
 *   index key   = "i" bucket:u16 user-key              value = empty
 *   expiry key  = "x" expires:u48 data-key               value = empty; a hint, see `ExpiredKey`
 *   system key  = "s" shard:u16 kind:u8 [index:u48]
 *
 * A shard is an arc of the ring, so its data are one contiguous range a bucket. These constants are on disk: changing
 * one loses data.
 */
import { type BucketId, emptyBytes, type ShardId } from '../base/index.js';

const dataTag = 0x64;
const indexTag = 0x69;
const systemTag = 0x73;
const expiryTag = 0x78;
const expiryHeaderBytes = 7;
const dataHeaderBytes = 7;
const indexHeaderBytes = 3;
const ringEnd = 0x1_0000_0000;

export const SystemKind = {
  Position: 1,
  SessionTable: 2,
  Outcomes: 3,
  Installing: 4,
  Marker: 5,
  Started: 6,
  Incarnation: 7,
  ClusterMap: 8,
  DroppedBuckets: 9,
} as const;
export type SystemKind = (typeof SystemKind)[keyof typeof SystemKind];

/** What a shard's state is beside its data: goes with snapshots, and is removed with it. */
export const shardRecords = [
  SystemKind.Position,
  SystemKind.SessionTable,
  SystemKind.Outcomes,
  SystemKind.DroppedBuckets,
] as const;

export const lastBucketId = 0xffff as BucketId;

export function dataKey(bucketId: BucketId, ring: number, key: Buffer): Buffer {
  const bytes = Buffer.allocUnsafe(dataHeaderBytes + key.length);
  bytes[0] = dataTag;
  bytes.writeUInt16BE(bucketId, 1);
  bytes.writeUInt32BE(ring, 3);
  key.copy(bytes, dataHeaderBytes);
  return bytes;
}

export const bucketOfDataKey = (bytes: Buffer): BucketId => bytes.readUInt16BE(1) as BucketId;
/** Of a data key as a map key. */
export const bucketOfName = (name: string): BucketId => ((name.charCodeAt(1) << 8) | name.charCodeAt(2)) as BucketId;
export const userKeyOfDataKey = (bytes: Buffer): Buffer => bytes.subarray(dataHeaderBytes);
export const isDataKey = (bytes: Buffer): boolean => bytes[0] === dataTag;

/** The data of one bucket on the arc [start, end). */
export function dataRange(
  bucketId: BucketId,
  start: number,
  end: number,
): { readonly gte: Buffer; readonly lt: Buffer } {
  const lt = end >= ringEnd ? tagged(dataTag, bucketId + 1) : dataKey(bucketId, end, emptyBytes);
  return { gte: dataKey(bucketId, start, emptyBytes), lt };
}

/** Tag and u16; past the last u16 the next tag. */
function tagged(tag: number, number: number): Buffer {
  if (number > 0xffff) return Buffer.from([tag + 1]);
  const bytes = Buffer.from([tag, 0, 0]);
  bytes.writeUInt16BE(number, 1);
  return bytes;
}

export function indexKey(bucketId: BucketId, key: Buffer): Buffer {
  const bytes = Buffer.allocUnsafe(indexHeaderBytes + key.length);
  bytes[0] = indexTag;
  bytes.writeUInt16BE(bucketId, 1);
  key.copy(bytes, indexHeaderBytes);
  return bytes;
}

export const userKeyOfIndexKey = (bytes: Buffer): Buffer => bytes.subarray(indexHeaderBytes);

/** The index of a bucket from `gte` (a user key) to before `lt`; an undefined end: to the end of the bucket. */
export const indexRange = (bucketId: BucketId, gte: Buffer, lt: Buffer | undefined): { gte: Buffer; lt: Buffer } => ({
  gte: indexKey(bucketId, gte),
  lt: lt === undefined ? tagged(indexTag, bucketId + 1) : indexKey(bucketId, lt),
});

export function systemKey(shardId: ShardId, kind: SystemKind, index?: number): Buffer {
  const bytes = Buffer.alloc(index === undefined ? 4 : 10);
  bytes[0] = systemTag;
  bytes.writeUInt16BE(shardId, 1);
  bytes[3] = kind;
  if (index !== undefined) bytes.writeUIntBE(index, 4, 6);
  return bytes;
}

/** Everything the system keeps of one kind for a shard. */
export const systemRange = (shardId: ShardId, kind: SystemKind): { readonly gte: Buffer; readonly lt: Buffer } => ({
  gte: systemKey(shardId, kind),
  lt: systemKey(shardId, (kind + 1) as SystemKind),
});

/**
 * Says that a key expires at a time: found again in the order of time. A hint alone: what the key's value says holds, and
 * a hint may outlive it.
 */
export function expiryKey(expiresAtMs: number, storedKey: Buffer): Buffer {
  const bytes = Buffer.allocUnsafe(expiryHeaderBytes + storedKey.length);
  bytes[0] = expiryTag;
  bytes.writeUIntBE(expiresAtMs, 1, 6);
  storedKey.copy(bytes, expiryHeaderBytes);
  return bytes;
}

/** Of everything that expires up to `nowMs`, after the hint `after`. */
export function expiryRange(nowMs: number, after: Buffer | undefined): { readonly gte: Buffer; readonly lt: Buffer } {
  const gte = after === undefined ? expiryKey(0, emptyBytes) : Buffer.concat([after, Buffer.from([0])]);
  return { gte, lt: expiryKey(nowMs + 1, emptyBytes) };
}

/** A key whose time was over when the hint was found. */
export type ExpiredKey = {
  readonly bucketId: BucketId;
  readonly key: Buffer;
  readonly expiresAtMs: number;
  /** As it stands in the engine. */
  readonly hint: Buffer;
};

export function decodeExpiryKey(hint: Buffer): ExpiredKey {
  const storedKey = hint.subarray(expiryHeaderBytes);
  return {
    bucketId: bucketOfDataKey(storedKey),
    key: userKeyOfDataKey(storedKey),
    expiresAtMs: hint.readUIntBE(1, 6),
    hint,
  };
}

/** A value with what the state machine knows of it. */
export type StoredValue = {
  readonly revision: number;
  /** Milliseconds since 1970; 0: never. */
  readonly expiresAtMs: number;
  readonly value: Buffer;
  /** As it stands in the engine; `value` is a view of it. */
  readonly encoded: Buffer;
};

const expiresFlag = 1;

export function encodeValue(revision: number, expiresAtMs: number, value: Buffer): StoredValue {
  const headerBytes = expiresAtMs > 0 ? 13 : 7;
  const encoded = Buffer.allocUnsafe(headerBytes + value.length);
  encoded[0] = expiresAtMs > 0 ? expiresFlag : 0;
  encoded.writeUIntBE(revision, 1, 6);
  if (expiresAtMs > 0) encoded.writeUIntBE(expiresAtMs, 7, 6);
  value.copy(encoded, headerBytes);
  return { revision, expiresAtMs, value: encoded.subarray(headerBytes), encoded };
}

export function decodeValue(encoded: Buffer): StoredValue {
  const expires = encoded[0] === expiresFlag;
  return {
    revision: encoded.readUIntBE(1, 6),
    expiresAtMs: expires ? encoded.readUIntBE(7, 6) : 0,
    value: encoded.subarray(expires ? 13 : 7),
    encoded,
  };
}

export const isLive = (stored: StoredValue, nowMs: number): boolean =>
  stored.expiresAtMs === 0 || stored.expiresAtMs > nowMs;
