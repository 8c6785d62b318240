/**
 * Replaces a shard's state by a staged snapshot.
 *
 * Invariants:
 * 1. Nothing in use is touched before the staged bytes were read through once and found whole, and the intent to install
 *    them is durable.
 * 2. Every step may be done again: a crash at any point is made good by `resumeInstall`.
 * 3. The shard's position appears with the last batch, which also removes the intent, synced.
 */
import { type BackgroundWork, type BucketId, RingraftError, type ShardId } from '../base/index.js';
import type { Engine, EngineBatch, EnginePair } from '../engine/index.js';
import type { SnapshotMetadata } from '../raft/index.js';
import {
  bucketOfDataKey,
  dataRange,
  decodeValue,
  expiryKey,
  indexKey,
  indexValue,
  isDataKey,
  SystemKind,
  shardRecords,
  systemKey,
  systemRange,
  userKeyOfDataKey,
} from './keys.js';
import { clearRange, pairsPerBatch, readAll, writeBatch } from './ranges.js';
import type { SnapshotFiles } from './snapshot-files.js';
import { SnapshotCheck, SnapshotParser } from './snapshot-parser.js';
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

/** Reads the staged bytes through; throws CORRUPT unless they are whole and what is expected. */
async function verify(
  { files, shardId, work }: InstallParts,
  path: string,
  expected?: SnapshotMetadata,
): Promise<void> {
  const bytes = await files.read(path);
  if (bytes === undefined) throw new RingraftError('CORRUPT', `there is no staged snapshot ${path}`);
  const check = new SnapshotCheck();
  let checked = 0;
  for await (const piece of bytes) {
    check.add(piece);
    if (check.pairs - checked < pairsPerBatch) continue;
    checked = check.pairs;
    await work.rest();
  }
  check.end(shardId, expected);
}

export async function installSnapshot(parts: InstallParts, path: string, expected: SnapshotMetadata): Promise<void> {
  await verify(parts, path, expected);
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
  const parser = new SnapshotParser();
  for await (const piece of bytes) {
    for (const record of parser.records(piece)) {
      if ('header' in record) continue;
      const [key, value] = record.pair;
      if (key.equals(positionKey)) {
        position = [Buffer.from(key), Buffer.from(value)];
        continue;
      }
      putPair(batch, key, value);
      if (batch.size < pairsPerBatch) continue;
      await writeBatch(batch, false);
      batch = engine.batch();
      await work.rest();
    }
  }
  parser.end();
  if (position === undefined) throw new RingraftError('CORRUPT', 'the staged snapshot has no position');
  batch.put(position[0], position[1]);
  batch.delete(systemKey(shardId, SystemKind.Installing));
  await writeBatch(batch, true);
  await files.remove(path);
}

/** A pair of the snapshot with what follows from it: the index, and the hint of when it ends. */
function putPair(batch: EngineBatch, key: Buffer, value: Buffer): void {
  batch.put(Buffer.from(key), Buffer.from(value));
  if (!isDataKey(key)) return;
  batch.put(indexKey(bucketOfDataKey(key), userKeyOfDataKey(key)), indexValue);
  const { expiresAtMs } = decodeValue(value);
  if (expiresAtMs > 0) batch.put(expiryKey(expiresAtMs, key), indexValue);
}

/** Removes what the shard holds: data, index, sessions, dropped buckets; the intent stays. */
export async function clearShard({ engine, shardId, arc, bucketIds, work, onCleared }: InstallParts): Promise<void> {
  const ranges = [
    ...shardRecords.map((kind) => systemRange(shardId, kind)),
    ...bucketIds.map((bucketId) => dataRange(bucketId, arc.start, arc.end)),
  ];
  for (const range of ranges) await clearRange(engine, range, { work, onCleared });
}
