/** What the state machine keeps in memory of one shard, beside the data themselves. */
import { RingraftError, type ShardId } from '../base/index.js';
import { type Configuration, decodeConfiguration, encodeConfiguration } from '../raft/index.js';
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
    const { shardId, appliedIndex, appliedTerm, configuration, needsSnapshot } = this;
    return { shardId, appliedIndex, appliedTerm, configuration, needsSnapshot };
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
