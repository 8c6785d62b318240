/** What the state machine keeps in memory of one shard, beside the data themselves. */
import { type BucketId, RingraftError, type ShardId, systemBucketId, systemShardId } from '../base/index.js';
import type { EngineBatch } from '../engine/index.js';
import { type Configuration, decodeConfiguration, encodeConfiguration } from '../raft/index.js';
import { bucketOfDataKey, isDataKey, ringOfDataKey, SystemKind, systemKey, writeU48 } from './keys.js';
import { OutcomeRecord } from './outcome-record.js';
import type { PendingWrites } from './pending-writes.js';
import { type SessionLimits, SessionTable } from './sessions.js';
import type { Arc, ShardPosition } from './types.js';

/** The layout of 2; from here on records of outcomes hold those of many entries. */
const positionVersion = 3;
const positionOfSingleOutcomes = 2;
/** Before session time was kept. */
const positionWithoutSessionTime = 1;
const headBytes = 31;
const oldHeadBytes = 25;
/** A stamp that is behind by more than this is believed: whoever was ahead had a wrong clock. */
const mostSkewMs = 60_000;
/** What one entry adds to session time, at most, whatever its stamp says. */
const mostSessionStepMs = 10_000;
const emptyConfiguration: Configuration = { voters: [], outgoing: [], learners: [], learnersNext: [] };

export class ShardState {
  appliedIndex = 0;
  appliedTerm = 0;
  configuration: Configuration = emptyConfiguration;
  /** The newest revision given; one a mutation, never used twice. */
  revision = 0;
  /**
   * Log time: "now" for every decision of the state machine. It follows the stamps of the entries, and stands still where
   * one is behind: leaders' clocks differ a little. Where it is far behind, a clock had been wrong, and time goes back:
   * standing still for hours, it would end times to live that have just begun.
   */
  timeMs = 0;
  /** By how much log time is ahead of the stamp of the entry that is applied. */
  aheadMs = 0;
  /**
   * What sessions age by: never falls, and runs no faster than `mostSessionStepMs` an entry. A leader's clock that jumps
   * ahead must not make the shard forget what it answered, or a retry would take effect twice.
   */
  sessionTimeMs = 0;
  sessions: SessionTable;
  /** The session table in the engine covers the log up to here. */
  sessionTableIndex = 0;
  /** What the entries since the last batch did to the sessions. */
  readonly outcomes = new OutcomeRecord();
  /** The records of outcomes that are in the engine, or in a batch under write, by the index in their keys. */
  private outcomeRecords: number[] = [];
  needsSnapshot = false;
  /** Buckets that were removed, as of the log: commands on them do nothing any more. Replaced, never changed. */
  droppedBuckets: ReadonlySet<BucketId> = new Set();
  /** Work of one apply that waits for old values; the next ones queue behind it. */
  readonly queue: (() => void)[] = [];
  /** What it applied that is not on its way to the engine yet. The pipeline's. */
  pending: PendingWrites | undefined;
  isApplying = false;

  constructor(
    readonly shardId: ShardId,
    readonly arc: Arc,
    limits: SessionLimits,
  ) {
    this.sessions = new SessionTable(limits);
  }

  get position(): ShardPosition {
    const { shardId, appliedIndex, appliedTerm, configuration, needsSnapshot, droppedBuckets } = this;
    return { shardId, appliedIndex, appliedTerm, configuration, needsSnapshot, droppedBuckets };
  }

  /** An entry with this time stamp is going to be applied. */
  advanceTime(stampMs: number): void {
    const before = this.timeMs;
    this.timeMs = stampMs < before - mostSkewMs ? stampMs : Math.max(before, stampMs);
    this.aheadMs = this.timeMs - stampMs;
    this.sessionTimeMs += Math.min(Math.max(0, this.timeMs - before), mostSessionStepMs);
  }

  /** When a time to live is over that began at the stamp of the entry: it is counted from log time. 0: never. */
  expiryOf(expiresAtMs: number): number {
    return expiresAtMs > 0 ? expiresAtMs + this.aheadMs : 0;
  }

  /** False: it had done so. */
  drop(bucketId: BucketId): boolean {
    if (this.droppedBuckets.has(bucketId)) return false;
    this.droppedBuckets = new Set([...this.droppedBuckets, bucketId].sort((a, b) => a - b));
    return true;
  }

  /** u16s, in order. */
  encodeDroppedBuckets(): Buffer {
    const bytes = Buffer.alloc(2 * this.droppedBuckets.size);
    [...this.droppedBuckets].forEach((id, at) => {
      bytes.writeUInt16BE(id, 2 * at);
    });
    return bytes;
  }

  decodeDroppedBuckets(bytes: Buffer): void {
    const ids = Array.from({ length: bytes.length / 2 }, (_, at) => bytes.readUInt16BE(2 * at) as BucketId);
    this.droppedBuckets = new Set(ids);
  }

  /** What goes with every batch that has mutations of the shard. */
  writeTo(batch: EngineBatch): void {
    const record = this.outcomes.take();
    if (record !== undefined) {
      batch.put(systemKey(this.shardId, SystemKind.Outcomes, record.index), record.bytes);
      this.outcomeRecords.push(record.index);
    }
    batch.put(systemKey(this.shardId, SystemKind.Position), this.encodePosition());
  }

  /** The engine has a record of outcomes. */
  noteOutcomeRecord(index: number): void {
    this.outcomeRecords.push(index);
  }

  /** The session table of now is going to be written: what it covers need not be, and what was may go. Gives their indexes. */
  coverOutcomes(): readonly number[] {
    const covered = this.outcomeRecords;
    this.outcomeRecords = [];
    this.outcomes.clear();
    this.sessionTableIndex = this.appliedIndex;
    return covered;
  }

  /** version:u8, then u48s: index, term, revision, log time, session time; then the configuration. */
  encodePosition(): Buffer {
    const configuration = encodeConfiguration(this.configuration);
    const bytes = Buffer.allocUnsafe(headBytes + configuration.length);
    bytes[0] = positionVersion;
    writeU48(bytes, this.appliedIndex, 1);
    writeU48(bytes, this.appliedTerm, 7);
    writeU48(bytes, this.revision, 13);
    writeU48(bytes, this.timeMs, 19);
    writeU48(bytes, this.sessionTimeMs, 25);
    configuration.copy(bytes, headBytes);
    return bytes;
  }

  decodePosition(bytes: Buffer): void {
    const isOld = bytes[0] === positionWithoutSessionTime;
    if (!isOld && bytes[0] !== positionVersion && bytes[0] !== positionOfSingleOutcomes) {
      throw new RingraftError('CORRUPT', `shard ${this.shardId}: unknown format ${bytes[0]} of its position`);
    }
    this.appliedIndex = bytes.readUIntBE(1, 6);
    this.appliedTerm = bytes.readUIntBE(7, 6);
    this.revision = bytes.readUIntBE(13, 6);
    this.timeMs = bytes.readUIntBE(19, 6);
    // What sessions were last used at was log time then.
    this.sessionTimeMs = isOld ? this.timeMs : bytes.readUIntBE(25, 6);
    this.configuration = decodeConfiguration(bytes.subarray(isOld ? oldHeadBytes : headBytes));
  }
}

/** Whether a data key, as a map key, belongs to the shard. */
export function isOfShard(name: string, { shardId, arc }: ShardState): boolean {
  const bytes = Buffer.from(name.slice(0, 7), 'latin1');
  if (!isDataKey(bytes)) return false;
  if ((bucketOfDataKey(bytes) === systemBucketId) !== (shardId === systemShardId)) return false;
  const ring = ringOfDataKey(bytes);
  return ring >= arc.start && ring < arc.end;
}
