/**
 * Takes the bytes of a snapshot apart again (layout: `snapshot-source.ts`), as they come.
 *
 * Invariants: 1. every byte is covered: by the checksum, the count of pairs, or being where nothing else may be. 2. At most
 * one record is held, of at most `maxRecordBytes`: a damaged length must not fill the memory.
 */
import { crc32 } from 'node:zlib';
import { RingraftError, type ShardId } from '../base/index.js';
import type { EnginePair } from '../engine/index.js';
import { encodeConfiguration, type SnapshotMetadata } from '../raft/index.js';
import { headerTag, pairHeadBytes, pairTag, snapshotVersion, trailerBytes, trailerTag } from './snapshot-source.js';

export type SnapshotHeader = {
  readonly version: number;
  readonly shardId: number;
  readonly index: number;
  readonly term: number;
  /** Base64. */
  readonly configuration: string;
};

export type SnapshotRecord = { readonly header: SnapshotHeader } | { readonly pair: EnginePair };

const headerHeadBytes = 5;
/** Values are under 1 MB; the outcomes remembered for clients of a shard are one record, and more. */
const maxRecordBytes = 512 * 1024 * 1024;

const corrupt = (what: string): RingraftError => new RingraftError('CORRUPT', `the staged snapshot ${what}`);

export class SnapshotParser {
  private pieces: Buffer[] = [];
  private held = 0;
  /** Bytes that must be there before it is worth looking again. */
  private wanted = 1;
  private crc = 0;
  private pairs = 0;
  private isEnded = false;

  /** The records that are whole with these bytes, which are views of them where they can be. Throws CORRUPT. */
  *records(piece: Buffer): Generator<SnapshotRecord> {
    if (piece.length === 0) return;
    this.pieces.push(piece);
    this.held += piece.length;
    if (this.held < this.wanted) return;
    let rest = this.pieces.length === 1 ? piece : Buffer.concat(this.pieces);
    for (;;) {
      if (this.isEnded && rest.length > 0) throw corrupt('goes on after its end');
      const size = recordBytes(rest);
      this.wanted = size;
      if (rest.length < size) break;
      const record = rest.subarray(0, size);
      rest = rest.subarray(size);
      if (record[0] === trailerTag) this.checkTrailer(record);
      else yield this.parse(record);
    }
    this.pieces = rest.length === 0 ? [] : [rest];
    this.held = rest.length;
  }

  /** Throws CORRUPT unless the snapshot's end has come. */
  end(): void {
    if (!this.isEnded) throw corrupt('has no end');
  }

  private parse(record: Buffer): SnapshotRecord {
    this.crc = crc32(record, this.crc);
    if (record[0] === headerTag) return { header: parseHeader(record) };
    this.pairs++;
    const valueAt = pairHeadBytes + record.readUInt32BE(1);
    return { pair: [record.subarray(pairHeadBytes, valueAt), record.subarray(valueAt)] };
  }

  private checkTrailer(record: Buffer): void {
    if (record.readUIntBE(1, 6) !== this.pairs) throw corrupt('has fewer pairs than it should');
    if (record.readUInt32BE(7) !== this.crc) throw corrupt('does not match its checksum');
    this.isEnded = true;
  }
}

/** Of the record that begins here; what its head needs while that is not there. */
function recordBytes(bytes: Buffer): number {
  if (bytes.length === 0) return 1;
  const size = wholeRecordBytes(bytes);
  if (size > maxRecordBytes) throw corrupt(`has a record of ${size} bytes`);
  return size;
}

function wholeRecordBytes(bytes: Buffer): number {
  switch (bytes[0]) {
    case trailerTag:
      return trailerBytes;
    case headerTag:
      return bytes.length < headerHeadBytes ? headerHeadBytes : headerHeadBytes + bytes.readUInt32BE(1);
    case pairTag:
      if (bytes.length < pairHeadBytes) return pairHeadBytes;
      return pairHeadBytes + bytes.readUInt32BE(1) + bytes.readUInt32BE(5);
    default:
      throw corrupt('holds something unknown');
  }
}

function parseHeader(record: Buffer): SnapshotHeader {
  try {
    return JSON.parse(record.toString('utf8', headerHeadBytes)) as SnapshotHeader;
  } catch {
    throw corrupt('has a header that does not read');
  }
}

/** Looks at a snapshot that goes by; keeps nothing of it. */
export class SnapshotCheck {
  private readonly parser = new SnapshotParser();
  private header: SnapshotHeader | undefined;
  /** So far. */
  pairs = 0;

  /** Throws CORRUPT. */
  add(piece: Buffer): void {
    for (const record of this.parser.records(piece)) {
      if ('header' in record) this.header = record.header;
      else this.pairs++;
    }
  }

  /** Throws CORRUPT unless what went by is a whole snapshot of this shard, and the one expected. */
  end(shardId: ShardId, expected?: SnapshotMetadata): void {
    this.parser.end();
    const { header } = this;
    if (header?.version !== snapshotVersion || header.shardId !== shardId) {
      throw corrupt(`is not one of shard ${shardId}`);
    }
    if (expected === undefined) return;
    const { index, term, configuration } = expected;
    if (header.index !== index || header.term !== term) {
      throw corrupt(`is of (${header.index}, ${header.term}), not as announced`);
    }
    if (header.configuration !== encodeConfiguration(configuration).toString('base64')) {
      throw corrupt('is of another configuration than announced');
    }
  }
}
