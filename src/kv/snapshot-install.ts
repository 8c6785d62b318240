/**
 * Replaces a shard's state by a staged snapshot.
 *
 * Invariants:
 * 1. Nothing in use is touched before the staged bytes were read through once and found whole, and the intent to install
 *    them is durable.
 * 2. Every step may be done again: a crash at any point is made good by `resumeInstall`.
 * 3. The shard's position appears with the last batch, which also removes the intent, synced.
 */
import { crc32 } from 'node:zlib';
import { type BackgroundWork, type BucketId, RingraftError, type ShardId } from '../base/index.js';
import type { Engine, EnginePair } from '../engine/index.js';
import type { SnapshotMetadata } from '../raft/index.js';
import {
  bucketOfDataKey,
  dataRange,
  decodeValue,
  expiryKey,
  indexKey,
  isDataKey,
  SystemKind,
  shardRecords,
  systemKey,
  systemRange,
  userKeyOfDataKey,
} from './keys.js';
import { clearRange, pairsPerBatch, readAll, writeBatch } from './ranges.js';
import type { SnapshotFiles } from './snapshot-files.js';
import { headerTag, pairHeadBytes, pairTag, snapshotVersion, trailerBytes, trailerTag } from './snapshot-source.js';
import type { Arc } from './types.js';

export type InstallParts = {
  readonly engine: Engine;
  readonly files: SnapshotFiles;
  readonly shardId: ShardId;
  readonly arc: Arc;
  readonly bucketIds: readonly BucketId[];
  readonly work: BackgroundWork;
  /** Told of every data key that is removed. */
  readonly onCleared: (dataKey: Buffer) => void;
};

type Header = { readonly version: number; readonly shardId: number; readonly index: number; readonly term: number };

const noBytes = Buffer.alloc(0);

/** Takes a stream of bytes apart; throws CORRUPT where it is not a whole snapshot. */
async function* parse(bytes: AsyncIterable<Buffer>): AsyncGenerator<{ header: Header } | { pair: EnginePair }> {
  const corrupt = (what: string): RingraftError => new RingraftError('CORRUPT', `the staged snapshot ${what}`);
  let rest: Buffer = noBytes;
  let crc = 0;
  let pairs = 0;
  let ended = false;
  for await (const piece of bytes) {
    if (ended) throw corrupt('goes on after its end');
    rest = rest.length === 0 ? piece : Buffer.concat([rest, piece]);
    for (;;) {
      const size = recordBytes(rest);
      if (size === undefined || rest.length < size) break;
      const record = rest.subarray(0, size);
      rest = rest.subarray(size);
      if (record[0] === trailerTag) {
        if (record.readUIntBE(1, 6) !== pairs) throw corrupt('has fewer pairs than it should');
        if (record.readUInt32BE(7) !== crc) throw corrupt('does not match its checksum');
        ended = true;
        if (rest.length > 0) throw corrupt('goes on after its end');
        break;
      }
      crc = crc32(record, crc);
      if (record[0] === headerTag) yield { header: parseHeader(record, corrupt) };
      else if (record[0] === pairTag) {
        pairs++;
        const valueAt = pairHeadBytes + record.readUInt32BE(1);
        yield { pair: [record.subarray(pairHeadBytes, valueAt), record.subarray(valueAt)] };
      } else throw corrupt('holds something unknown');
    }
  }
  if (!ended) throw corrupt('has no end');
}

function parseHeader(record: Buffer, corrupt: (what: string) => RingraftError): Header {
  try {
    return JSON.parse(record.toString('utf8', 5)) as Header;
  } catch {
    throw corrupt('has a header that does not read');
  }
}

function recordBytes(bytes: Buffer): number | undefined {
  if (bytes.length < 1) return undefined;
  if (bytes[0] === trailerTag) return trailerBytes;
  if (bytes[0] === headerTag) return bytes.length < 5 ? undefined : 5 + bytes.readUInt32BE(1);
  if (bytes.length < pairHeadBytes) return undefined;
  return pairHeadBytes + bytes.readUInt32BE(1) + bytes.readUInt32BE(5);
}

/** Reads the staged bytes through; throws CORRUPT unless they are whole and of this shard. */
async function verify({ files, shardId, work }: InstallParts, path: string): Promise<Header> {
  const bytes = await files.read(path);
  if (bytes === undefined) throw new RingraftError('CORRUPT', `there is no staged snapshot ${path}`);
  let found: Header | undefined;
  let pairs = 0;
  for await (const record of parse(bytes)) {
    if ('header' in record) found = record.header;
    else if (++pairs % pairsPerBatch === 0) await work.rest();
  }
  if (found?.version !== snapshotVersion || found.shardId !== shardId) {
    throw new RingraftError('CORRUPT', `the staged snapshot ${path} is not one of shard ${shardId}`);
  }
  return found;
}

export async function installSnapshot(parts: InstallParts, path: string, expected: SnapshotMetadata): Promise<void> {
  const header = await verify(parts, path);
  if (header.index !== expected.index || header.term !== expected.term) {
    throw new RingraftError('CORRUPT', `the staged snapshot is of (${header.index}, ${header.term}), not as announced`);
  }
  const intent = parts.engine.batch();
  intent.put(systemKey(parts.shardId, SystemKind.Installing), Buffer.from(path));
  await writeBatch(intent, true);
  await replace(parts, path);
}

/** Finishes an interrupted installation. false: there was one and its bytes are gone; the state cannot be used. */
export async function resumeInstall(parts: InstallParts): Promise<boolean> {
  const [intent] = await readAll(parts.engine, systemRange(parts.shardId, SystemKind.Installing));
  if (intent === undefined) return true;
  const path = intent[1].toString();
  try {
    await verify(parts, path);
  } catch (error) {
    if (error instanceof RingraftError) return false;
    throw error;
  }
  await replace(parts, path);
  return true;
}

async function replace(parts: InstallParts, path: string): Promise<void> {
  await clearShard(parts);
  const { engine, files, shardId, work } = parts;
  const bytes = await files.read(path);
  if (bytes === undefined) throw new RingraftError('CORRUPT', `the staged snapshot ${path} has gone`);
  const positionKey = systemKey(shardId, SystemKind.Position);
  let position: EnginePair | undefined;
  let batch = engine.batch();
  for await (const record of parse(bytes)) {
    if ('header' in record) continue;
    const [key, value] = record.pair;
    if (key.equals(positionKey)) {
      position = [Buffer.from(key), Buffer.from(value)];
      continue;
    }
    batch.put(Buffer.from(key), Buffer.from(value));
    if (isDataKey(key)) {
      batch.put(indexKey(bucketOfDataKey(key), userKeyOfDataKey(key)), noBytes);
      const { expiresAtMs } = decodeValue(value);
      if (expiresAtMs > 0) batch.put(expiryKey(expiresAtMs, key), noBytes);
    }
    if (batch.size >= pairsPerBatch) {
      await writeBatch(batch, false);
      batch = engine.batch();
      await work.rest();
    }
  }
  if (position === undefined) throw new RingraftError('CORRUPT', 'the staged snapshot has no position');
  batch.put(position[0], position[1]);
  batch.delete(systemKey(shardId, SystemKind.Installing));
  await writeBatch(batch, true);
  await files.remove(path);
}

/** Removes what the shard holds: data, index, sessions, dropped buckets; the intent stays. */
export async function clearShard({ engine, shardId, arc, bucketIds, work, onCleared }: InstallParts): Promise<void> {
  const ranges = [
    ...shardRecords.map((kind) => systemRange(shardId, kind)),
    ...bucketIds.map((bucketId) => dataRange(bucketId, arc.start, arc.end)),
  ];
  for (const range of ranges) await clearRange(engine, range, { work, onCleared });
}
