/**
 * The bytes of a batch while it gathers: its records one after another in one stretch of memory, so that a batch of many groups
 * is one piece to write and its headers are no objects. Only data that are large stay where they are, a piece of their own.
 *
 * Invariant: the pieces of a taken batch do not change until it is given back with `release`.
 */
import { crc32 } from 'node:zlib';
import type { ShardId } from '../base/index.js';
import {
  batchHeaderBytes,
  type RecordType,
  recordHeaderBytes,
  recordSeed,
  writeBatchHeader,
  writeU53,
} from './record.js';

/** Data from this size on are not copied. */
const largeBytes = 16 * 1024;
const usualBytes = 64 * 1024;
/** A batch that needed more gives its memory back to the system. */
const mostKeptBytes = 1024 * 1024;
/** The length of the record that begins, for its checksum: a view of it where it stands would be one more object a record. */
const lengthBytes = Buffer.alloc(4);

export type TakenBatch = {
  /** Header and records, in order. */
  readonly pieces: readonly Buffer[];
  /** Of all pieces. */
  readonly bytes: number;
  readonly records: number;
  readonly memory: Buffer;
};

export class BatchWriter {
  private memory: Buffer = Buffer.allocUnsafeSlow(usualBytes);
  private spare: Buffer | undefined;
  /** Where the next byte goes, and where the piece begins that it belongs to. */
  private at = batchHeaderBytes;
  private pieceStart = 0;
  private pieces: Buffer[] = [];
  private batchBytes = 0;
  private batchRecords = 0;
  /** The header of the batch is at the beginning of this. */
  private first = this.memory;
  /** The record being written: where its header is, and from where on its checksum is still to be counted. */
  private header = this.memory;
  private headerAt = 0;
  private crcFrom = 0;
  private crc = 0;
  private seed: number;

  /** `number`: of the batch that gathers. */
  constructor(public number: number) {
    this.seed = recordSeed(number);
  }

  /** Of the records so far, without the header of the batch. */
  get bytes(): number {
    return this.batchBytes;
  }

  get records(): number {
    return this.batchRecords;
  }

  /** Begins a record; exactly `length` bytes of payload follow, then `end`. */
  begin(shardId: ShardId, type: RecordType, length: number): void {
    this.reserve(recordHeaderBytes);
    const { memory, at } = this;
    memory.writeUInt32BE(length, at);
    memory.writeUInt32BE(shardId, at + 8);
    memory[at + 12] = type;
    this.header = memory;
    this.headerAt = at;
    lengthBytes.writeUInt32BE(length, 0);
    this.crc = crc32(lengthBytes, this.seed);
    this.crcFrom = at + 8;
    this.at = at + recordHeaderBytes;
    this.batchBytes += recordHeaderBytes + length;
    this.batchRecords++;
  }

  u8(value: number): void {
    this.reserve(1);
    this.memory[this.at++] = value;
  }

  u32(value: number): void {
    this.reserve(4);
    this.at = this.memory.writeUInt32BE(value, this.at);
  }

  /** Eight bytes. */
  u53(value: number): void {
    this.reserve(8);
    this.at = writeU53(this.memory, value, this.at);
  }

  data(bytes: Buffer): void {
    if (bytes.length >= largeBytes) {
      this.closePiece();
      this.pieces.push(bytes);
      this.crc = crc32(bytes, this.crc);
      return;
    }
    this.reserve(bytes.length);
    bytes.copy(this.memory, this.at);
    this.at += bytes.length;
  }

  end(): void {
    this.count();
    this.header.writeUInt32BE(this.crc, this.headerAt + 4);
  }

  /** Everything gathered, as a batch; nothing is left, and what gathers now is the next one. */
  take(): TakenBatch {
    writeBatchHeader(this.first, { number: this.number, bytes: this.batchBytes, records: this.batchRecords });
    this.pieces.push(this.memory.subarray(this.pieceStart, this.at));
    const { pieces, memory, batchRecords: records } = this;
    const bytes = batchHeaderBytes + this.batchBytes;
    this.memory = this.spare ?? Buffer.allocUnsafeSlow(usualBytes);
    this.spare = undefined;
    this.first = this.memory;
    this.pieces = [];
    this.pieceStart = 0;
    this.at = batchHeaderBytes;
    this.batchBytes = 0;
    this.batchRecords = 0;
    this.seed = recordSeed(++this.number);
    return { pieces, bytes, records, memory };
  }

  /** The pieces of this batch are not needed any more. */
  release({ memory }: TakenBatch): void {
    if (memory.length <= mostKeptBytes) this.spare = memory;
  }

  /** Counts what was written since into the record's checksum. */
  private count(): void {
    // Node's crc32 of nothing is 0, whatever it should go on from.
    if (this.at > this.crcFrom) this.crc = crc32(this.memory.subarray(this.crcFrom, this.at), this.crc);
    this.crcFrom = this.at;
  }

  private closePiece(): void {
    this.count();
    if (this.at > this.pieceStart) this.pieces.push(this.memory.subarray(this.pieceStart, this.at));
    this.pieceStart = this.at;
  }

  /** Room for so many bytes. Pieces that are finished stay where they are. */
  private reserve(bytes: number): void {
    if (this.at + bytes <= this.memory.length) return;
    const { memory: old, pieceStart } = this;
    const begun = this.at - pieceStart;
    const memory = Buffer.allocUnsafeSlow(Math.max(2 * old.length, begun + bytes));
    old.copy(memory, 0, pieceStart, this.at);
    this.memory = memory;
    // What lies in the piece that moved has moved with it.
    if (this.first === old && pieceStart === 0) this.first = memory;
    if (this.header === old && this.headerAt >= pieceStart) {
      this.header = memory;
      this.headerAt -= pieceStart;
    }
    this.crcFrom -= pieceStart;
    this.pieceStart = 0;
    this.at = begun;
  }
}
