/** Opens what a log directory holds: reads every segment in order, judges tails and gaps, cuts what was never acknowledged. */
import { join } from 'node:path';
import { RingraftError, type ShardId } from '../base/index.js';
import type { Disk } from './disk.js';
import { Replay } from './replay.js';
import { type SegmentScan, scanSegment } from './scan.js';
import type { RecoveredGroup } from './types.js';

const segmentName = /^wal-([0-9a-f]{16})\.log$/;
const spareName = /^spare-[0-9a-f]{16}\.log$/;
const hexadecimal = (sequence: number): string => sequence.toString(16).padStart(16, '0');

export const segmentPath = (directory: string, sequence: number): string =>
  join(directory, `wal-${hexadecimal(sequence)}.log`);

/** What a segment is called that nobody needs, until it is another one. */
export const sparePath = (directory: string, sequence: number): string =>
  join(directory, `spare-${hexadecimal(sequence)}.log`);

export type RecoveredSegment = {
  readonly sequence: number;
  readonly path: string;
  readonly bytes: number;
  /** It does not read to its end: kept for people once no group needs it. */
  readonly isDamaged: boolean;
};

export type Recovered = {
  readonly groups: ReadonlyMap<ShardId, RecoveredGroup>;
  /** What does not read, if anything. */
  readonly damage: string | undefined;
  /** That hold records; ascending. */
  readonly segments: readonly RecoveredSegment[];
  readonly nextSequence: number;
  readonly nextBatch: number;
  /** What was found and done, for people. */
  readonly notes: readonly string[];
  /** The segment the oldest record each group needs is in, by shard. */
  readonly oldestNeeded: ReadonlyMap<ShardId, number>;
};

type Scanned = { readonly sequence: number; readonly path: string; readonly scan: SegmentScan };

export async function recover(disk: Disk, directory: string): Promise<Recovered> {
  await disk.makeDirectory(directory);
  const files = await disk.list(directory);
  for (const name of files.filter((each) => spareName.test(each))) await disk.remove(join(directory, name));
  const names = files.filter((name) => segmentName.test(name));
  const sequences = names.map((name) => Number.parseInt(segmentName.exec(name)?.[1] ?? '', 16)).sort((a, b) => a - b);
  const replay = new Replay();
  const notes: string[] = [];
  const kept: RecoveredSegment[] = [];
  const oldestNeeded = new Map<ShardId, number>();
  let batch: number | undefined;
  const scanned: Scanned[] = [];
  for (const sequence of sequences) {
    const path = segmentPath(directory, sequence);
    const file = await disk.open(path);
    const bytes = await file.read(0, await file.sizeBytes());
    await file.close();
    const scan = scanSegment(bytes, sequence, batch);
    batch = scan.batches[scan.batches.length - 1]?.number ?? batch;
    scanned.push({ sequence, path, scan });
  }
  // A segment made ahead of its use holds nothing yet. One before others was passed over: the first write after a start
  // was too large for it. It stays, since numbers have no gaps.
  const isUnused = ({ scan }: Scanned): boolean =>
    scan.batches.length === 0 && (scan.headerReadable ? scan.tail === 'clean' : scan.tail === 'torn');
  const usedCount = scanned.findLastIndex((segment) => !isUnused(segment)) + 1;
  const used = scanned.slice(0, usedCount);
  for (const [at, { sequence, path, scan }] of used.entries()) {
    const previous = used[at - 1];
    if (previous !== undefined && previous.sequence + 1 !== sequence) {
      notes.push(`segments between ${previous.sequence} and ${sequence} are missing`);
      replay.damaged(`segments of the log between ${previous.sequence} and ${sequence} are missing`);
    }
    if (scan.followsGap) {
      notes.push(`batches before ${path} are missing`);
      replay.damaged(`batches of the log before segment ${sequence} are missing`);
    }
    for (const { records } of scan.batches) {
      for (const record of records) {
        replay.apply(record);
        if (!oldestNeeded.has(record.shardId)) oldestNeeded.set(record.shardId, sequence);
      }
    }
    const isLast = at === used.length - 1;
    if (scan.tail === 'torn' && isLast && scan.batches.length === 0) {
      // Cut, it would hold nothing, be deleted by the next start and leave a gap in the numbers.
      notes.push(`deleted ${path}, which holds one unfinished write`);
      await disk.remove(path);
      used.pop();
      break;
    }
    if (scan.tail === 'torn' && isLast && scan.headerReadable) {
      notes.push(`cut an unfinished write off ${path} at ${scan.validEnd}`);
      const file = await disk.open(path);
      await file.truncate(scan.validEnd);
      await file.close();
    } else if (scan.tail !== 'clean') {
      notes.push(`${path} does not read from ${scan.validEnd} on; it is kept as it is`);
      replay.damaged(`the log does not read in segment ${sequence} from byte ${scan.validEnd} on`);
    }
    const isDamaged = scan.tail !== 'clean' && !(scan.tail === 'torn' && isLast);
    kept.push({ sequence, path, bytes: scan.validEnd, isDamaged });
  }
  for (const { path } of scanned.slice(usedCount)) await disk.remove(path);
  const nextSequence = (sequences[sequences.length - 1] ?? 0) + 1;
  if (nextSequence > Number.MAX_SAFE_INTEGER) throw new RingraftError('CORRUPT', 'segment numbers are used up');
  return {
    groups: replay.result(),
    damage: replay.damage,
    segments: kept,
    // An unused segment's number is free again: numbers have no gaps.
    nextSequence: (used[used.length - 1]?.sequence ?? 0) + 1,
    nextBatch: (batch ?? 0) + 1,
    notes,
    oldestNeeded,
  };
}
