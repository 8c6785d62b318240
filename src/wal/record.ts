/**
 * The byte format of the log (docs/wal-format.md). All numbers are big-endian.
 *
 *   segment = header batch*            header = "RRWAL\0\0\1" sequence:u64 crc:u32 zero:u32
 *   batch   = "BTCH" crc:u32 number:u64 bytes:u32 records:u32 record*     crc is over number, bytes and records
 *   record  = length:u32 crc:u32 shard:u32 type:u8 payload                length is of payload; crc is over the rest
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

export const segmentHeaderBytes = 24;
export const batchHeaderBytes = 24;
export const recordHeaderBytes = 13;
const segmentMagic = Buffer.from('RRWAL\0\0\x01', 'latin1');
const batchMagic = 0x42544348;
const entryHeaderBytes = 13;

export const RecordType = { Group: 1, Entries: 2, HardState: 3, Snapshot: 4, Release: 5, Tombstone: 6 } as const;
export type RecordType = (typeof RecordType)[keyof typeof RecordType];

/** Numbers up to 2^53 as eight bytes. */
function writeU53(bytes: Buffer, value: number, at: number): number {
  bytes.writeUInt32BE(Math.floor(value / 0x1_0000_0000), at);
  return bytes.writeUInt32BE(value % 0x1_0000_0000, at + 4);
}

const readU53 = (bytes: Buffer, at: number): number =>
  bytes.readUInt32BE(at) * 0x1_0000_0000 + bytes.readUInt32BE(at + 4);

export function encodeSegmentHeader(sequence: number): Buffer {
  const bytes = Buffer.alloc(segmentHeaderBytes);
  segmentMagic.copy(bytes, 0);
  writeU53(bytes, sequence, 8);
  bytes.writeUInt32BE(crc32(bytes.subarray(0, 16)), 16);
  return bytes;
}

/** The sequence of a segment; undefined when these bytes do not begin one. */
export function decodeSegmentHeader(bytes: Buffer): number | undefined {
  if (bytes.length < segmentHeaderBytes || !bytes.subarray(0, 8).equals(segmentMagic)) return undefined;
  if (crc32(bytes.subarray(0, 16)) !== bytes.readUInt32BE(16)) return undefined;
  return readU53(bytes, 8);
}

export type BatchHeader = { readonly number: number; readonly bytes: number; readonly records: number };

export function encodeBatchHeader({ number, bytes, records }: BatchHeader): Buffer {
  const header = Buffer.alloc(batchHeaderBytes);
  header.writeUInt32BE(batchMagic, 0);
  writeU53(header, number, 8);
  header.writeUInt32BE(bytes, 16);
  header.writeUInt32BE(records, 20);
  header.writeUInt32BE(crc32(header.subarray(8)), 4);
  return header;
}

/** undefined when no valid batch begins at `at`. */
export function decodeBatchHeader(bytes: Buffer, at: number): BatchHeader | undefined {
  if (at + batchHeaderBytes > bytes.length || bytes.readUInt32BE(at) !== batchMagic) return undefined;
  if (crc32(bytes.subarray(at + 8, at + batchHeaderBytes)) !== bytes.readUInt32BE(at + 4)) return undefined;
  return { number: readU53(bytes, at + 8), bytes: bytes.readUInt32BE(at + 16), records: bytes.readUInt32BE(at + 20) };
}

/** One record as chunks: the data of entries are not copied. */
export type EncodedRecord = { readonly chunks: readonly Buffer[]; readonly bytes: number };

function encodeRecord(shardId: ShardId, type: RecordType, payload: readonly Buffer[]): EncodedRecord {
  const header = Buffer.alloc(recordHeaderBytes);
  const length = payload.reduce((sum, chunk) => sum + chunk.length, 0);
  header.writeUInt32BE(length, 0);
  header.writeUInt32BE(shardId, 8);
  header.writeUInt8(type, 12);
  let crc = crc32(header.subarray(0, 4));
  crc = crc32(header.subarray(8), crc);
  // Node's crc32 of nothing is 0, whatever it should go on from.
  for (const chunk of payload) if (chunk.length > 0) crc = crc32(chunk, crc);
  header.writeUInt32BE(crc, 4);
  return { chunks: [header, ...payload], bytes: recordHeaderBytes + length };
}

/** Group, Snapshot and Release: who the replica is and where its log begins. */
export function encodeBase(
  shardId: ShardId,
  type: typeof RecordType.Group | typeof RecordType.Snapshot | typeof RecordType.Release,
  replicaId: ReplicaId,
  snapshot: SnapshotMetadata,
): EncodedRecord {
  const payload = Buffer.alloc(20);
  payload.writeUInt32BE(replicaId, 0);
  writeU53(payload, snapshot.index, 4);
  writeU53(payload, snapshot.term, 12);
  return encodeRecord(shardId, type, [payload, encodeConfiguration(snapshot.configuration)]);
}

/** first index, count, the commit index known; then per entry term, type, length, data. Entries have no gaps. */
export function encodeEntries(shardId: ShardId, entries: readonly Entry[], commitIndex: number): EncodedRecord {
  const chunks: Buffer[] = [];
  const head = Buffer.alloc(20);
  writeU53(head, (entries[0] as Entry).index, 0);
  head.writeUInt32BE(entries.length, 8);
  writeU53(head, commitIndex, 12);
  chunks.push(head);
  for (const entry of entries) {
    const header = Buffer.alloc(entryHeaderBytes);
    writeU53(header, entry.term, 0);
    header.writeUInt8(entry.type, 8);
    header.writeUInt32BE(entry.data.length, 9);
    chunks.push(header, entry.data);
  }
  return encodeRecord(shardId, RecordType.Entries, chunks);
}

export function encodeHardState(shardId: ShardId, hardState: HardState): EncodedRecord {
  const payload = Buffer.alloc(20);
  writeU53(payload, hardState.currentTerm, 0);
  payload.writeUInt32BE(hardState.votedFor, 8);
  writeU53(payload, hardState.commitIndex, 12);
  return encodeRecord(shardId, RecordType.HardState, [payload]);
}

export const encodeTombstone = (shardId: ShardId): EncodedRecord => encodeRecord(shardId, RecordType.Tombstone, []);

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

/** The record at `at` and where the next one begins; undefined when there is no whole, valid record. */
export function decodeRecord(
  bytes: Buffer,
  at: number,
  end: number,
): { readonly record: DecodedRecord; readonly next: number } | undefined {
  if (at + recordHeaderBytes > end) return undefined;
  const next = at + recordHeaderBytes + bytes.readUInt32BE(at);
  if (next > end) return undefined;
  const crc = crc32(bytes.subarray(at + 8, next), crc32(bytes.subarray(at, at + 4)));
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
    configuration: decodeConfiguration(payload.subarray(20)),
  },
});

function decodeEntries(payload: Buffer): readonly Entry[] {
  const first = readU53(payload, 0);
  const count = payload.readUInt32BE(8);
  const entries: Entry[] = [];
  let at = 20;
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
