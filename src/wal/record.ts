/**
 * The byte format of the log (docs/wal-format.md). All numbers are big-endian.
 *
 *   segment = header batch*            header = "RRWAL\0\0\2" sequence:u64 from:u64 crc:u32 zero:u32
 *   batch   = "BTCH" crc:u32 number:u64 bytes:u32 records:u32 record*     crc is over number, bytes and records
 *   record  = length:u32 crc:u32 shard:u32 type:u8 payload                length is of payload; crc is over the batch's number
 *                                                                         and the rest
 *
 * A segment may be a file that was one before: what stands in it behind its batches has numbers below `from`, and no record of it
 * passes for one of a later batch, wherever a write was torn. Version 1 has no `from`, and no number in the checksum of a record.
 *
 * These constants are on disk: changing one loses data.
 */
import { crc32 } from 'node:zlib';
import type { ReplicaId, ShardId } from '../base/index.js';
import {
  decodeConfiguration,
  type Entry,
  type EntryType,
  encodeConfiguration,
  type HardState,
  type SnapshotMetadata,
} from '../raft/index.js';
import type { BatchWriter } from './batch-writer.js';

export const segmentHeaderBytes = 32;
const oldHeaderBytes = 24;
export const batchHeaderBytes = 24;
export const recordHeaderBytes = 13;
const segmentMagic = Buffer.from('RRWAL\0\0\x02', 'latin1');
const oldMagic = Buffer.from('RRWAL\0\0\x01', 'latin1');
const batchMagic = 0x42544348;
const entryHeaderBytes = 13;
const entriesHeadBytes = 20;
const hardStateBytes = 20;
/** Of Group, Snapshot and Release, before the configuration. */
const baseBytes = 20;

export const RecordType = { Group: 1, Entries: 2, HardState: 3, Snapshot: 4, Release: 5, Tombstone: 6 } as const;
export type RecordType = (typeof RecordType)[keyof typeof RecordType];

/** Numbers up to 2^53 as eight bytes. Returns where they end. */
export function writeU53(bytes: Buffer, value: number, at: number): number {
  bytes.writeUInt32BE(Math.floor(value / 0x1_0000_0000), at);
  return bytes.writeUInt32BE(value % 0x1_0000_0000, at + 4);
}

const readU53 = (bytes: Buffer, at: number): number =>
  bytes.readUInt32BE(at) * 0x1_0000_0000 + bytes.readUInt32BE(at + 4);

export type SegmentHeader = {
  readonly sequence: number;
  /** Batches with lower numbers are of an earlier use of the file; 0: it is its first. */
  readonly from: number;
  /** Where the first batch begins. */
  readonly bytes: number;
  /** The checksum of a record begins with the number of its batch. */
  readonly isNumbered: boolean;
};

export function encodeSegmentHeader(sequence: number, from = 0): Buffer {
  const bytes = Buffer.alloc(segmentHeaderBytes);
  segmentMagic.copy(bytes, 0);
  writeU53(bytes, sequence, 8);
  writeU53(bytes, from, 16);
  bytes.writeUInt32BE(crc32(bytes.subarray(0, 24)), 24);
  return bytes;
}

/** undefined when these bytes do not begin a segment. */
export function decodeSegmentHeader(bytes: Buffer): SegmentHeader | undefined {
  if (bytes.length < segmentHeaderBytes) return undefined;
  const magic = bytes.subarray(0, 8);
  if (magic.equals(oldMagic)) {
    if (crc32(bytes.subarray(0, 16)) !== bytes.readUInt32BE(16)) return undefined;
    return { sequence: readU53(bytes, 8), from: 0, bytes: oldHeaderBytes, isNumbered: false };
  }
  if (!magic.equals(segmentMagic) || crc32(bytes.subarray(0, 24)) !== bytes.readUInt32BE(24)) return undefined;
  return { sequence: readU53(bytes, 8), from: readU53(bytes, 16), bytes: segmentHeaderBytes, isNumbered: true };
}

const numberBytes = Buffer.alloc(8);

/** What the checksum of a record goes on from. */
export function recordSeed(batchNumber: number): number {
  writeU53(numberBytes, batchNumber, 0);
  return crc32(numberBytes);
}

export type BatchHeader = { readonly number: number; readonly bytes: number; readonly records: number };

/** At the beginning of `bytes`. */
export function writeBatchHeader(header: Buffer, { number, bytes, records }: BatchHeader): void {
  header.writeUInt32BE(batchMagic, 0);
  writeU53(header, number, 8);
  header.writeUInt32BE(bytes, 16);
  header.writeUInt32BE(records, 20);
  header.writeUInt32BE(crc32(header.subarray(8, batchHeaderBytes)), 4);
}

/** undefined when no valid batch begins at `at`. */
export function decodeBatchHeader(bytes: Buffer, at: number): BatchHeader | undefined {
  if (at + batchHeaderBytes > bytes.length || bytes.readUInt32BE(at) !== batchMagic) return undefined;
  if (crc32(bytes.subarray(at + 8, at + batchHeaderBytes)) !== bytes.readUInt32BE(at + 4)) return undefined;
  return { number: readU53(bytes, at + 8), bytes: bytes.readUInt32BE(at + 16), records: bytes.readUInt32BE(at + 20) };
}

/** Group, Snapshot and Release: who the replica is and where its log begins. */
export function writeBase(
  batch: BatchWriter,
  shardId: ShardId,
  type: typeof RecordType.Group | typeof RecordType.Snapshot | typeof RecordType.Release,
  replicaId: ReplicaId,
  snapshot: SnapshotMetadata,
): void {
  const configuration = encodeConfiguration(snapshot.configuration);
  batch.begin(shardId, type, baseBytes + configuration.length);
  batch.u32(replicaId);
  batch.u53(snapshot.index);
  batch.u53(snapshot.term);
  batch.data(configuration);
  batch.end();
}

/** first index, count, the commit index known; then per entry term, type, length, data. Entries have no gaps. */
export function writeEntries(
  batch: BatchWriter,
  shardId: ShardId,
  entries: readonly Entry[],
  commitIndex: number,
): void {
  let length = entriesHeadBytes;
  for (const { data } of entries) length += entryHeaderBytes + data.length;
  batch.begin(shardId, RecordType.Entries, length);
  batch.u53((entries[0] as Entry).index);
  batch.u32(entries.length);
  batch.u53(commitIndex);
  for (const { term, type, data } of entries) {
    batch.u53(term);
    batch.u8(type);
    batch.u32(data.length);
    batch.data(data);
  }
  batch.end();
}

export function writeHardState(batch: BatchWriter, shardId: ShardId, hardState: HardState): void {
  batch.begin(shardId, RecordType.HardState, hardStateBytes);
  batch.u53(hardState.currentTerm);
  batch.u32(hardState.votedFor);
  batch.u53(hardState.commitIndex);
  batch.end();
}

export function writeTombstone(batch: BatchWriter, shardId: ShardId): void {
  batch.begin(shardId, RecordType.Tombstone, 0);
  batch.end();
}

export type DecodedRecord =
  | {
      readonly type: 'Group' | 'Snapshot' | 'Release';
      readonly shardId: ShardId;
      readonly replicaId: ReplicaId;
      readonly snapshot: SnapshotMetadata;
    }
  | {
      readonly type: 'Entries';
      readonly shardId: ShardId;
      readonly entries: readonly Entry[];
      readonly commitIndex: number;
    }
  | { readonly type: 'HardState'; readonly shardId: ShardId; readonly hardState: HardState }
  | { readonly type: 'Tombstone'; readonly shardId: ShardId };

/** The record at `at` and where the next one begins; undefined when there is no whole, valid record. `seed`: see `recordSeed`. */
export function decodeRecord(
  bytes: Buffer,
  at: number,
  end: number,
  seed: number,
): { readonly record: DecodedRecord; readonly next: number } | undefined {
  if (at + recordHeaderBytes > end) return undefined;
  const next = at + recordHeaderBytes + bytes.readUInt32BE(at);
  if (next > end) return undefined;
  const crc = crc32(bytes.subarray(at + 8, next), crc32(bytes.subarray(at, at + 4), seed));
  if (crc !== bytes.readUInt32BE(at + 4)) return undefined;
  const shardId = bytes.readUInt32BE(at + 8) as ShardId;
  const record = decodePayload(shardId, bytes.readUInt8(at + 12), bytes.subarray(at + recordHeaderBytes, next));
  return record === undefined ? undefined : { record, next };
}

function decodePayload(shardId: ShardId, type: number, payload: Buffer): DecodedRecord | undefined {
  switch (type) {
    case RecordType.Group:
      return { type: 'Group', shardId, ...decodeBase(payload) };
    case RecordType.Snapshot:
      return { type: 'Snapshot', shardId, ...decodeBase(payload) };
    case RecordType.Release:
      return { type: 'Release', shardId, ...decodeBase(payload) };
    case RecordType.Entries:
      return { type: 'Entries', shardId, entries: decodeEntries(payload), commitIndex: readU53(payload, 12) };
    case RecordType.HardState: {
      const votedFor = payload.readUInt32BE(8) as ReplicaId;
      const hardState = { currentTerm: readU53(payload, 0), votedFor, commitIndex: readU53(payload, 12) };
      return { type: 'HardState', shardId, hardState };
    }
    case RecordType.Tombstone:
      return { type: 'Tombstone', shardId };
    default:
      return undefined;
  }
}

const decodeBase = (payload: Buffer): { replicaId: ReplicaId; snapshot: SnapshotMetadata } => ({
  replicaId: payload.readUInt32BE(0) as ReplicaId,
  snapshot: {
    index: readU53(payload, 4),
    term: readU53(payload, 12),
    configuration: decodeConfiguration(payload.subarray(baseBytes)),
  },
});

function decodeEntries(payload: Buffer): readonly Entry[] {
  const first = readU53(payload, 0);
  const count = payload.readUInt32BE(8);
  const entries: Entry[] = [];
  let at = entriesHeadBytes;
  for (let i = 0; i < count; i++) {
    const length = payload.readUInt32BE(at + 9);
    const start = at + entryHeaderBytes;
    entries.push({
      term: readU53(payload, at),
      index: first + i,
      type: payload.readUInt8(at + 8) as EntryType,
      data: payload.subarray(start, start + length),
    });
    at = start + length;
  }
  return entries;
}
