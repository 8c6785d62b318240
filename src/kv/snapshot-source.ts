/**
 * A shard's state as a stream of bytes (docs/data-format.md).
 *
 *   snapshot = header pair* trailer
 *   header   = "H" length:u32 JSON {version, shardId, index, term, configuration (base64)}
 *   pair     = "P" key-length:u32 value-length:u32 key value        engine keys, values as they are stored
 *   trailer  = "T" pairs:u48 crc:u32                                crc over everything before it
 */
import { crc32 } from 'node:zlib';
import type { BucketId } from '../base/index.js';
import type { Engine, EngineIterator, EnginePair } from '../engine/index.js';
import { encodeConfiguration } from '../raft/index.js';
import { dataRange, shardRecords, systemRange } from './keys.js';
import type { Arc, ShardPosition } from './types.js';

export const snapshotVersion = 1;
export const headerTag = 0x48;
export const pairTag = 0x50;
export const trailerTag = 0x54;
export const pairHeadBytes = 9;
export const trailerBytes = 11;

export type SnapshotSource = {
  readonly position: ShardPosition;
  /** The next bytes, about `maxBytes` or one pair; undefined at the end. */
  nextChunk(maxBytes: number): Promise<Buffer | undefined>;
  close(): Promise<void>;
};

const pairsPerRead = 128;

function encodeHeader(position: ShardPosition): Buffer {
  const text = JSON.stringify({
    version: snapshotVersion,
    shardId: position.shardId,
    index: position.appliedIndex,
    term: position.appliedTerm,
    configuration: encodeConfiguration(position.configuration).toString('base64'),
  });
  const head = Buffer.alloc(5);
  head[0] = headerTag;
  const body = Buffer.from(text);
  head.writeUInt32BE(body.length, 1);
  return Buffer.concat([head, body]);
}

function encodePair([key, value]: EnginePair): Buffer {
  const bytes = Buffer.allocUnsafe(pairHeadBytes + key.length + value.length);
  bytes[0] = pairTag;
  bytes.writeUInt32BE(key.length, 1);
  bytes.writeUInt32BE(value.length, 5);
  key.copy(bytes, pairHeadBytes);
  value.copy(bytes, pairHeadBytes + key.length);
  return bytes;
}

/** Call while the engine holds exactly `position`: its iterators are made here, at once. */
export function openSnapshotSource(
  engine: Engine,
  position: ShardPosition,
  arc: Arc,
  bucketIds: readonly BucketId[],
): SnapshotSource {
  const { shardId } = position;
  const ranges = [
    ...shardRecords.map((kind) => systemRange(shardId, kind)),
    ...bucketIds.map((bucketId) => dataRange(bucketId, arc.start, arc.end)),
  ];
  const iterators = ranges.map((range) => engine.iterate(range));
  return new RangeSource(position, iterators);
}

class RangeSource implements SnapshotSource {
  private crc = 0;
  private pairs = 0;
  private ahead: EnginePair[] = [];
  private started = false;
  private finished = false;

  constructor(
    readonly position: ShardPosition,
    private readonly iterators: EngineIterator[],
  ) {}

  async nextChunk(maxBytes: number): Promise<Buffer | undefined> {
    if (this.finished) return undefined;
    const pieces: Buffer[] = [];
    let bytes = 0;
    const add = (piece: Buffer): void => {
      this.crc = crc32(piece, this.crc);
      pieces.push(piece);
      bytes += piece.length;
    };
    if (!this.started) {
      this.started = true;
      add(encodeHeader(this.position));
    }
    while (bytes < maxBytes) {
      const pair = await this.nextPair();
      if (pair === undefined) {
        pieces.push(this.trailer());
        this.finished = true;
        break;
      }
      const size = pairHeadBytes + pair[0].length + pair[1].length;
      if (bytes > 0 && bytes + size > maxBytes) {
        this.ahead.unshift(pair);
        break;
      }
      this.pairs++;
      add(encodePair(pair));
    }
    return Buffer.concat(pieces);
  }

  private trailer(): Buffer {
    const bytes = Buffer.alloc(trailerBytes);
    bytes[0] = trailerTag;
    bytes.writeUIntBE(this.pairs, 1, 6);
    bytes.writeUInt32BE(this.crc, 7);
    return bytes;
  }

  private async nextPair(): Promise<EnginePair | undefined> {
    while (this.ahead.length === 0) {
      const [iterator] = this.iterators;
      if (iterator === undefined) return undefined;
      const pairs = await new Promise<readonly EnginePair[]>((resolve, reject) => {
        iterator.next(pairsPerRead, (error, some) => (error === undefined ? resolve(some) : reject(error)));
      });
      this.ahead = [...pairs];
      if (pairs.length === 0) {
        this.iterators.shift();
        await closeIterator(iterator);
      }
    }
    return this.ahead.shift();
  }

  async close(): Promise<void> {
    this.finished = true;
    for (const iterator of this.iterators.splice(0)) await closeIterator(iterator);
  }
}

const closeIterator = (iterator: EngineIterator): Promise<void> => new Promise((resolve) => iterator.close(resolve));
