/**
 * Judges what recovery makes of a cut or damaged log.
 *
 * Rules:
 * 1. A log cut anywhere reads back as what was acknowledged up to there, or with the batch that was cut if what is
 *    missing of it stood there before; no damage is reported.
 * 2. After one flipped bit every group reads back as acknowledged, or damage is reported: by the group, or by the log
 *    when the group is not there.
 * 3. The exception: the last batch of the log, which nothing follows, cannot be told from a torn write ("Protocol-Aware
 *    Recovery", FAST'18, section 3.3). It may be absent as a whole, except for a group of which the rest of the log
 *    knows that the lost entries are committed: that one must report damage.
 */
import { systemClock } from '../../src/base/index.js';
import { openWal, type Wal } from '../../src/wal/index.js';
import { MemoryDisk } from '../support/memory-disk.js';
import { type BatchPlace, batchesIn, type Image, type Milestone, segmentBytes } from './log-history.js';
import { type GroupState, isEqual, type LogState, lastIndexOf, stateOf } from './log-model.js';

const directory = '/log';

export function recoverFrom(image: Image): ReturnType<typeof openWal> {
  const disk = MemoryDisk.of(new Map([...image].map(([name, bytes]) => [`${directory}/${name}`, bytes])));
  return openWal(disk, { directory, segmentBytes, clock: systemClock });
}

/** How the log differs from the state; undefined when it does not. */
export function difference(wal: Wal, state: LogState): string | undefined {
  if (wal.damage !== undefined) return `the log reports ${wal.damage}`;
  for (const [shardId, group] of wal.recovered) {
    if (group.damage !== undefined) return `shard ${shardId} reports ${group.damage}`;
    if (!isEqual(stateOf(group), state.get(shardId))) return `shard ${shardId} is ${describe(stateOf(group))}`;
  }
  for (const shardId of state.keys()) if (!wal.recovered.has(shardId)) return `shard ${shardId} is missing`;
  return undefined;
}

const describe = ({ base, hardState, entries }: GroupState): string =>
  `after ${base.index} ${entries.length} entries, term ${hardState.currentTerm}, vote ${hardState.votedFor}`;

/** The last batch of an image. */
export function lastBatch(image: Image): BatchPlace {
  const batches = batchesIn(image);
  return batches.reduce((last, batch) => (batch.number > last.number ? batch : last), batches[0] as BatchPlace);
}

/** The files as they were when the machine stopped with `cut` bytes of the milestone's last segment written. */
export function cutAt(before: Milestone | undefined, milestone: Milestone, cut: number): Image {
  const { name, end } = lastBatch(milestone.image);
  const whole = milestone.image.get(name) as Buffer;
  const file = Buffer.from(whole);
  // A file that was a segment before still has what stood there.
  const earlier = before?.image.get(name);
  if (earlier === undefined || earlier.length < end) file.fill(0, cut, end);
  else earlier.copy(file, cut, cut);
  // What the batch let go is still there until it is written.
  const files = new Map(before?.image);
  for (const later of [...files.keys()]) if (later > name) files.delete(later);
  // Segments passed over were complete before the one after them was used.
  const lastUsed = before === undefined ? '' : lastBatch(before.image).name;
  for (const [between, bytes] of milestone.image) if (between > lastUsed && between < name) files.set(between, bytes);
  files.set(name, file);
  return files;
}

/** What is wrong with the log cut there; undefined when nothing is. */
export async function judgeCut(
  before: Milestone | undefined,
  milestone: Milestone,
  cut: number,
): Promise<string | undefined> {
  const { name, end } = lastBatch(milestone.image);
  const files = cutAt(before, milestone, cut);
  const isWhole = isSame(files, milestone.image, name, end);
  const expected = isWhole ? milestone.state : (before?.state ?? new Map());
  const found = difference(await recoverFrom(files), expected);
  return found === undefined ? undefined : `${name} cut at ${cut}: ${found}`;
}

/** Whether the first bytes of the file are the same in both. */
export const isSame = (one: Image, other: Image, name: string, end: number): boolean =>
  one
    .get(name)
    ?.subarray(0, end)
    .equals(other.get(name)?.subarray(0, end) ?? Buffer.alloc(0)) ?? false;

export type Verdict =
  /** Everything is as acknowledged and nothing is reported. */
  | 'exact'
  /** Something is lost, and every group that lost something says so. */
  | 'reported'
  /** Nothing is lost, damage is reported all the same. */
  | 'false alarm'
  /** Rule 3. */
  | 'last batch cut'
  | { readonly violation: string };

const knownCommit = ({ base, hardState }: GroupState): number => Math.max(base.index, hardState.commitIndex);

/** `bit` counts from the first bit of the file. */
export async function judgeFlip(
  before: Milestone | undefined,
  milestone: Milestone,
  name: string,
  bit: number,
): Promise<Verdict> {
  const damaged = Buffer.from(milestone.image.get(name) as Buffer);
  const at = bit >>> 3;
  damaged[at] = (damaged[at] as number) ^ (1 << (bit & 7));
  const wal = await recoverFrom(new Map(milestone.image).set(name, damaged));
  const last = lastBatch(milestone.image);
  const isInLast = name === last.name && at >= last.start && at < last.end;
  const violation = (what: string): Verdict => ({ violation: `bit ${bit & 7} of byte ${at} of ${name}: ${what}` });
  let [reports, losses, cuts, applied] = [wal.damage === undefined ? 0 : 1, 0, 0, 0];
  for (const shardId of new Set([...milestone.state.keys(), ...wal.recovered.keys()])) {
    const wanted = milestone.state.get(shardId);
    const group = wal.recovered.get(shardId);
    const found = group === undefined ? undefined : stateOf(group);
    const isSame = isEqual(found, wanted);
    const isReported = group === undefined ? wal.damage !== undefined : group.damage !== undefined;
    if (isReported) {
      reports++;
      if (!isSame) losses++;
      continue;
    }
    const earlier = before?.state.get(shardId);
    if (isSame) {
      if (!isEqual(wanted, earlier)) applied++;
      continue;
    }
    if (!isInLast || !isEqual(found, earlier)) {
      return violation(`shard ${shardId} reads back as ${found === undefined ? 'nothing' : describe(found)}`);
    }
    if (found !== undefined && lastIndexOf(found) < knownCommit(found)) {
      return violation(`shard ${shardId} lost entries that the log knows to be committed`);
    }
    cuts++;
  }
  if (cuts > 0 && applied > 0) return violation('a part of the last batch is there');
  if (cuts > 0) return 'last batch cut';
  if (reports === 0) return 'exact';
  return losses > 0 ? 'reported' : 'false alarm';
}
