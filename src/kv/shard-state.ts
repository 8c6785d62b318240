/** What the state machine keeps in memory of one shard, beside the data themselves. */
import { type BucketId, RingraftError, type ShardId, systemBucketId, systemShardId } from '../base/index.js';
import { type Configuration, decodeConfiguration, encodeConfiguration } from '../raft/index.js';
import { bucketOfDataKey, isDataKey } from './keys.js';
import { type SessionLimits, SessionTable } from './sessions.js';
import type { Arc, ShardPosition } from './types.js';

const positionVersion = 1;
const emptyConfiguration: Configuration = { voters: [], outgoing: [], learners: [], learnersNext: [] };

export class ShardState {
  appliedIndex = 0;
  appliedTerm = 0;
  configuration: Configuration = emptyConfiguration;
  /** The newest revision given; one a mutation, never used twice. */
  revision = 0;
  /** Log time: the greatest time stamp applied. "Now" for every decision of the state machine. */
  timeMs = 0;
  sessions: SessionTable;
  /** The session table in the engine covers the log up to here. */
  sessionTableIndex = 0;
  needsSnapshot = false;
  /** Buckets that were removed, as of the log: commands on them do nothing any more. Replaced, never changed. */
  droppedBuckets: ReadonlySet<BucketId> = new Set();
  /** Work of one apply that waits for old values; the next ones queue behind it. */
  readonly queue: (() => void)[] = [];
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

  /** version:u8, then u48s: index, term, revision, time; then the configuration. */
  encodePosition(): Buffer {
    const head = Buffer.alloc(25);
    head[0] = positionVersion;
    head.writeUIntBE(this.appliedIndex, 1, 6);
    head.writeUIntBE(this.appliedTerm, 7, 6);
    head.writeUIntBE(this.revision, 13, 6);
    head.writeUIntBE(this.timeMs, 19, 6);
    return Buffer.concat([head, encodeConfiguration(this.configuration)]);
  }

  decodePosition(bytes: Buffer): void {
    if (bytes[0] !== positionVersion) {
      throw new RingraftError('CORRUPT', `shard ${this.shardId}: unknown format ${bytes[0]} of its position`);
    }
    this.appliedIndex = bytes.readUIntBE(1, 6);
    this.appliedTerm = bytes.readUIntBE(7, 6);
    this.revision = bytes.readUIntBE(13, 6);
    this.timeMs = bytes.readUIntBE(19, 6);
    this.configuration = decodeConfiguration(bytes.subarray(25));
  }
}

/** Whether a data key, as a map key, belongs to the shard. */
export function isOfShard(name: string, { shardId, arc }: ShardState): boolean {
  const bytes = Buffer.from(name.slice(0, 7), 'latin1');
  if (!isDataKey(bytes)) return false;
  if ((bucketOfDataKey(bytes) === systemBucketId) !== (shardId === systemShardId)) return false;
  const ring = bytes.readUInt32BE(3);
  return ring >= arc.start && ring < arc.end;
}
