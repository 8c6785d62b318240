/**
 * One consensus message as the fields of protobuf's `RaftMessage` (src/proto/raft.proto): what each type of message calls
 * them, and how they are written and read.
 *
 * Invariant: after `take` or `read` the object holds that message and nothing of the one before. Hot: one of them serves a
 * whole envelope, so that a message on its way to the wire needs no object of its own.
 */
import type { ReplicaId, ShardId } from '../base/index.js';
import {
  flagFieldBytes,
  lengthFieldBytes,
  numberFieldBytes,
  type WireReader,
  type WireWriter,
} from '../proto/index.js';
import type { Entry, HeartbeatRequest, Message, SnapshotMetadata } from '../raft/index.js';
import { logEntryBytes, type ReadEntry, readLogEntry, writeLogEntry } from './log-entry-codec.js';
import { blankSnapshot, type ReadSnapshot, readSnapshot, snapshotBytes, writeSnapshot } from './snapshot-codec.js';

/** Numbers on the wire; for ever. */
const typeNumbers = {
  AppendRequest: 1,
  AppendResponse: 2,
  HeartbeatRequest: 3,
  HeartbeatResponse: 4,
  VoteRequest: 5,
  VoteResponse: 6,
  SnapshotRequest: 7,
  TimeoutNow: 8,
} as const satisfies Record<Message['type'], number>;

const noEntries: readonly Entry[] = [];

export class RaftMessageFields {
  private type = 0;
  private shard = 0;
  private from = 0 as ReplicaId;
  private to = 0 as ReplicaId;
  private term = 0;
  private index = 0;
  private logTerm = 0;
  private commitIndex = 0;
  private round = 0;
  private verdict = false;
  private preVote = false;
  private leadershipTransfer = false;
  private hintIndex = 0;
  private hintTerm = 0;
  private entries = noEntries;
  private snapshot: SnapshotMetadata | undefined = undefined;

  private clear(): void {
    this.type = 0;
    this.shard = 0;
    this.from = 0 as ReplicaId;
    this.to = 0 as ReplicaId;
    this.term = 0;
    this.index = 0;
    this.logTerm = 0;
    this.commitIndex = 0;
    this.round = 0;
    this.verdict = false;
    this.preVote = false;
    this.leadershipTransfer = false;
    this.hintIndex = 0;
    this.hintTerm = 0;
    this.entries = noEntries;
    this.snapshot = undefined;
  }

  take(shardId: ShardId, message: Message): void {
    this.clear();
    this.type = typeNumbers[message.type];
    this.shard = shardId;
    this.from = message.from;
    this.to = message.to;
    this.term = message.term;
    switch (message.type) {
      case 'AppendRequest':
        this.index = message.prevIndex;
        this.logTerm = message.prevTerm;
        this.commitIndex = message.commitIndex;
        this.entries = message.entries;
        break;
      case 'AppendResponse':
        this.index = message.index;
        this.verdict = message.rejected;
        this.hintIndex = message.hintIndex;
        this.hintTerm = message.hintTerm;
        break;
      case 'HeartbeatRequest':
        this.commitIndex = message.commitIndex;
        this.round = message.round;
        this.index = message.answeredRound ?? 0;
        this.logTerm = message.confirmedRound ?? 0;
        this.hintIndex = message.leaderCommitIndex ?? 0;
        this.verdict = message.quiesce === true;
        break;
      case 'HeartbeatResponse':
        this.round = message.round;
        this.verdict = message.asksAge;
        break;
      case 'VoteRequest':
        this.index = message.lastIndex;
        this.logTerm = message.lastTerm;
        this.preVote = message.preVote;
        this.leadershipTransfer = message.leadershipTransfer;
        break;
      case 'VoteResponse':
        this.preVote = message.preVote;
        this.verdict = message.granted;
        break;
      case 'SnapshotRequest':
        this.snapshot = message.snapshot;
        break;
      case 'TimeoutNow':
        break;
    }
  }

  /** What `write` writes. */
  get size(): number {
    let size =
      numberFieldBytes(this.type) +
      numberFieldBytes(this.shard) +
      numberFieldBytes(this.from) +
      numberFieldBytes(this.to) +
      numberFieldBytes(this.term) +
      numberFieldBytes(this.index) +
      numberFieldBytes(this.logTerm) +
      numberFieldBytes(this.commitIndex) +
      numberFieldBytes(this.round) +
      flagFieldBytes(this.verdict) +
      flagFieldBytes(this.preVote) +
      flagFieldBytes(this.leadershipTransfer) +
      numberFieldBytes(this.hintIndex) +
      numberFieldBytes(this.hintTerm);
    for (const entry of this.entries) size += lengthFieldBytes(logEntryBytes(entry));
    // Its tag has two bytes.
    if (this.snapshot !== undefined) size += 1 + lengthFieldBytes(snapshotBytes(this.snapshot));
    return size;
  }

  write(writer: WireWriter): void {
    writer.numberField(8, this.type);
    writer.numberField(16, this.shard);
    writer.numberField(24, this.from);
    writer.numberField(32, this.to);
    writer.numberField(40, this.term);
    writer.numberField(48, this.index);
    writer.numberField(56, this.logTerm);
    writer.numberField(64, this.commitIndex);
    writer.numberField(72, this.round);
    writer.flagField(80, this.verdict);
    writer.flagField(88, this.preVote);
    writer.flagField(96, this.leadershipTransfer);
    writer.numberField(104, this.hintIndex);
    writer.numberField(112, this.hintTerm);
    for (const entry of this.entries) {
      writer.lengthField(122, logEntryBytes(entry));
      writeLogEntry(writer, entry);
    }
    if (this.snapshot === undefined) return;
    writer.lengthField(130, snapshotBytes(this.snapshot));
    writeSnapshot(writer, this.snapshot);
  }

  read(reader: WireReader): void {
    this.clear();
    let entries: ReadEntry[] | undefined;
    let snapshot: ReadSnapshot | undefined;
    while (reader.hasMore) {
      const tag = reader.tag();
      if (tag === 122) {
        const outer = reader.enter();
        const entry = readLogEntry(reader);
        if (entries === undefined) entries = [entry];
        else entries.push(entry);
        reader.leave(outer);
      } else if (tag === 130) {
        const outer = reader.enter();
        snapshot ??= blankSnapshot();
        readSnapshot(reader, snapshot);
        reader.leave(outer);
      } else {
        this.readNumber(reader, tag);
      }
    }
    this.snapshot = snapshot;
    if (entries === undefined) return;
    let { index } = this;
    for (const entry of entries) entry.index = ++index;
    this.entries = entries;
  }

  /** Of the fields those that are one number or flag, and those that nobody knows. */
  private readNumber(reader: WireReader, tag: number): void {
    switch (tag) {
      case 8:
        this.type = reader.int32();
        break;
      case 16:
        this.shard = reader.uint32();
        break;
      case 24:
        this.from = reader.uint32() as ReplicaId;
        break;
      case 32:
        this.to = reader.uint32() as ReplicaId;
        break;
      case 40:
        this.term = reader.uint64();
        break;
      case 48:
        this.index = reader.uint64();
        break;
      case 56:
        this.logTerm = reader.uint64();
        break;
      case 64:
        this.commitIndex = reader.uint64();
        break;
      case 72:
        this.round = reader.uint64();
        break;
      case 80:
        this.verdict = reader.flag();
        break;
      case 88:
        this.preVote = reader.flag();
        break;
      case 96:
        this.leadershipTransfer = reader.flag();
        break;
      case 104:
        this.hintIndex = reader.uint64();
        break;
      case 112:
        this.hintTerm = reader.uint64();
        break;
      default:
        reader.skip(tag, 1);
    }
  }

  get shardId(): ShardId {
    return this.shard as ShardId;
  }

  /** undefined for a type of a newer version. */
  message(): Message | undefined {
    const { from, to, term, index, logTerm, commitIndex, round, verdict, preVote, hintIndex, hintTerm } = this;
    switch (this.type) {
      case typeNumbers.AppendRequest: {
        const { entries } = this;
        return { type: 'AppendRequest', from, to, term, prevIndex: index, prevTerm: logTerm, entries, commitIndex };
      }
      case typeNumbers.AppendResponse:
        return { type: 'AppendResponse', from, to, term, index, rejected: verdict, hintIndex, hintTerm };
      case typeNumbers.HeartbeatRequest:
        return this.heartbeat();
      case typeNumbers.HeartbeatResponse:
        return { type: 'HeartbeatResponse', from, to, term, round, asksAge: verdict };
      case typeNumbers.VoteRequest: {
        const { leadershipTransfer } = this;
        return {
          type: 'VoteRequest',
          from,
          to,
          term,
          preVote,
          lastIndex: index,
          lastTerm: logTerm,
          leadershipTransfer,
        };
      }
      case typeNumbers.VoteResponse:
        return { type: 'VoteResponse', from, to, term, preVote, granted: verdict };
      case typeNumbers.SnapshotRequest:
        return { type: 'SnapshotRequest', from, to, term, snapshot: this.snapshot ?? blankSnapshot() };
      case typeNumbers.TimeoutNow:
        return { type: 'TimeoutNow', from, to, term };
      default:
        return undefined;
    }
  }

  private heartbeat(): HeartbeatRequest {
    const { from, to, term, commitIndex, round, index: answeredRound, logTerm: confirmedRound } = this;
    const message = {
      type: 'HeartbeatRequest',
      from,
      to,
      term,
      commitIndex,
      round,
      answeredRound,
      confirmedRound,
      leaderCommitIndex: this.hintIndex,
    } as const;
    return this.verdict ? { ...message, quiesce: true } : message;
  }
}
