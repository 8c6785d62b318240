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
import { assert, type BucketId, emptyBytes, type ShardId } from '../base/index.js';

const dataTag = 0x64;
const indexTag = 0x69;
const systemTag = 0x73;
const expiryTag = 0x78;
const expiryHeaderBytes = 7;
/** Of a data key, before the user's. */
export const dataHeaderBytes = 7;
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

/** Up to here a loop is quicker than a call of `copy`. */
const shortBytes = 48;

function copyKey(key: Buffer, to: Buffer, at: number): void {
  const { length } = key;
  if (length > shortBytes) key.copy(to, at);
  else for (let from = 0; from < length; from++) to[at + from] = key[from] as number;
}

function writeU16(bytes: Buffer, value: number, at: number): void {
  bytes[at] = value >>> 8;
  bytes[at + 1] = value;
}

function writeU32(bytes: Buffer, value: number, at: number): void {
  bytes[at] = value >>> 24;
  bytes[at + 1] = value >>> 16;
  bytes[at + 2] = value >>> 8;
  bytes[at + 3] = value;
}

const u32At = (bytes: Buffer, at: number): number =>
  (((bytes[at] as number) << 24) |
    ((bytes[at + 1] as number) << 16) |
    ((bytes[at + 2] as number) << 8) |
    (bytes[at + 3] as number)) >>>
  0;

const u48At = (bytes: Buffer, at: number): number =>
  (((bytes[at] as number) << 8) | (bytes[at + 1] as number)) * 0x1_0000_0000 + u32At(bytes, at + 2);

/** What `writeUIntBE` does of 6 bytes, at a third of its price; gives where it ends. */
export function writeU48(bytes: Buffer, value: number, at: number): number {
  assert(value >= 0 && value < 0x1_0000_0000_0000, 'a number of 48 bits');
  writeU16(bytes, Math.floor(value / 0x1_0000_0000), at);
  writeU32(bytes, value >>> 0, at + 2);
  return at + 6;
}

export const dataKeyBytes = (key: Buffer): number => dataHeaderBytes + key.length;

/** Writes a data key; gives where it ends. */
export function writeDataKey(bytes: Buffer, at: number, bucketId: BucketId, ring: number, key: Buffer): number {
  bytes[at] = dataTag;
  writeU16(bytes, bucketId, at + 1);
  writeU32(bytes, ring, at + 3);
  copyKey(key, bytes, at + dataHeaderBytes);
  return at + dataHeaderBytes + key.length;
}

/** Whether the data key of so many bytes that is there is the one of this key. */
export function isDataKeyOf(bytes: Buffer, at: number, length: number, bucketId: BucketId, key: Buffer): boolean {
  if (length !== dataHeaderBytes + key.length || bucketOfDataKey(bytes, at) !== bucketId) return false;
  const from = at + dataHeaderBytes;
  if (key.length > shortBytes) return key.compare(bytes, from, from + key.length) === 0;
  for (let next = 0; next < key.length; next++) if (bytes[from + next] !== key[next]) return false;
  return true;
}

export function dataKey(bucketId: BucketId, ring: number, key: Buffer): Buffer {
  const bytes = Buffer.allocUnsafe(dataKeyBytes(key));
  writeDataKey(bytes, 0, bucketId, ring, key);
  return bytes;
}

const scratch = Buffer.allocUnsafeSlow(1024);

/** The data key as a map key, for whoever does not need its bytes. */
export function dataName(bucketId: BucketId, ring: number, key: Buffer): string {
  const length = dataHeaderBytes + key.length;
  const bytes = length > scratch.length ? Buffer.allocUnsafe(length) : scratch;
  writeDataKey(bytes, 0, bucketId, ring, key);
  return bytes.toString('latin1', 0, length);
}

/** Of a data key that begins there; so below. */
export const ringOfDataKey = (bytes: Buffer, at = 0): number => u32At(bytes, at + 3);
export const bucketOfDataKey = (bytes: Buffer, at = 0): BucketId =>
  (((bytes[at + 1] as number) << 8) | (bytes[at + 2] as number)) as BucketId;
/** Of a data key as a map key. */
export const bucketOfName = (name: string): BucketId => ((name.charCodeAt(1) << 8) | name.charCodeAt(2)) as BucketId;
export const userKeyOfDataKey = (bytes: Buffer): Buffer => bytes.subarray(dataHeaderBytes);
/** The user's key, of a data key as a map key; such strings are in the order of their bytes. */
export const userKeyOfName = (name: string): string => name.slice(dataHeaderBytes);
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
  writeU16(bytes, bucketId, 1);
  copyKey(key, bytes, indexHeaderBytes);
  return bytes;
}

/**
 * The value of keys that have nothing to say beside that they are there: in the ordered index, and of times to live. Not empty:
 * RocksDB's binding copies each value, and never frees the copy of an empty one (32 bytes a put).
 */
export const indexValue = Buffer.from([1]);

export const userKeyOfIndexKey = (bytes: Buffer): Buffer => bytes.subarray(indexHeaderBytes);

/** The index of a bucket from `gte` (a user key) to before `lt`; an undefined end: to the end of the bucket. */
export const indexRange = (bucketId: BucketId, gte: Buffer, lt: Buffer | undefined): { gte: Buffer; lt: Buffer } => ({
  gte: indexKey(bucketId, gte),
  lt: lt === undefined ? tagged(indexTag, bucketId + 1) : indexKey(bucketId, lt),
});

export function systemKey(shardId: ShardId, kind: SystemKind, index?: number): Buffer {
  const bytes = Buffer.allocUnsafe(index === undefined ? 4 : 10);
  bytes[0] = systemTag;
  writeU16(bytes, shardId, 1);
  bytes[3] = kind;
  if (index !== undefined) writeU48(bytes, index, 4);
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
  writeU48(bytes, expiresAtMs, 1);
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
  /** As it stands in the engine. */
  readonly encoded: Buffer;
};

/** What memory knows of a key: null, that there is none; undefined: nothing, only the engine can tell. */
export type Known = StoredValue | null | undefined;

/** Where a stored value says what: flags first. */
const expiresFlag = 1;
const revisionAt = 1;
const expiryAt = 7;
const headerBytesOf = (flags: number | undefined): number => (flags === expiresFlag ? 13 : 7);

/** How many bytes before the user's a stored value has there. */
export const valueHeaderBytesAt = (bytes: Buffer, at: number): number => headerBytesOf(bytes[at]);
export const encodedValueBytes = (expiresAtMs: number, value: Buffer): number =>
  (expiresAtMs > 0 ? headerBytesOf(expiresFlag) : headerBytesOf(0)) + value.length;
export const revisionOfValueAt = (bytes: Buffer, at: number): number => u48At(bytes, at + revisionAt);
export const expiryOfValueAt = (bytes: Buffer, at: number): number =>
  bytes[at] === expiresFlag ? u48At(bytes, at + expiryAt) : 0;

/** Writes a value as it stands in the engine. */
export function writeValue(bytes: Buffer, at: number, revision: number, expiresAtMs: number, value: Buffer): void {
  const flags = expiresAtMs > 0 ? expiresFlag : 0;
  bytes[at] = flags;
  writeU48(bytes, revision, at + revisionAt);
  if (expiresAtMs > 0) writeU48(bytes, expiresAtMs, at + expiryAt);
  bytes.set(value, at + headerBytesOf(flags));
}

export const decodeValue = (encoded: Buffer): StoredValue => ({
  revision: revisionOfValueAt(encoded, 0),
  expiresAtMs: expiryOfValueAt(encoded, 0),
  encoded,
});

/** The user's bytes: a view. */
export const valueIn = ({ encoded }: StoredValue): Buffer => encoded.subarray(headerBytesOf(encoded[0]));

export const isLive = (stored: StoredValue, nowMs: number): boolean =>
  stored.expiresAtMs === 0 || stored.expiresAtMs > nowMs;
