/**
 * Applies committed entries to a shard, deterministically: the outcome depends on the log and on the state alone.
 *
 * Invariants:
 * 1. Entries of a shard are applied in order, each once.
 * 2. "Now" is the shard's log time, never the local clock.
 * 3. What a removed bucket held is asked about no more: from the command that drops it on, its other commands do nothing,
 *    on every replica alike, and its data may go whenever there is time.
 * 4. A repeated command (same client, same sequence) gets its first answer and changes nothing.
 */
import { assert, assertNever, type BucketId } from '../base/index.js';
import { decodeConfiguration, type Entry, EntryType } from '../raft/index.js';
import { ringHash } from '../ring/index.js';
import { type Command, CommandKind, ConditionKind, codeNumber, decodeCommandBatch } from '../wire/index.js';
import {
  dataKey,
  dataName,
  expiryKey,
  indexValue,
  isLive,
  type StoredValue,
  SystemKind,
  systemKey,
  valueIn,
  writeU48,
} from './keys.js';
import type { SessionTouch } from './outcome-record.js';
import type { Reader } from './reader.js';
import type { Session } from './sessions.js';
import type { ShardState } from './shard-state.js';
import type { AppliedEntry, Outcome } from './types.js';
import type { ValueTable } from './value-table.js';
import type { WritePipeline } from './write-pipeline.js';

/** The session table is written whole when this many entries came since. */
const sessionTableEveryEntries = 512;
const conflict = codeNumber('CONFLICT');
const badRequest = codeNumber('BAD_REQUEST');
const tooLarge = codeNumber('TOO_LARGE');
const removed = { code: codeNumber('NOT_FOUND'), revision: 0, found: false } as const;

/** An entry with what is in it. */
export type PreparedEntry = {
  readonly entry: Entry;
  readonly timeStampMs: number;
  readonly sessions: readonly SessionTouch[];
  readonly commands: readonly Command[];
};

/** Values that only the engine knew, and that decide something; undefined: there was none. */
export type OldValues = Map<string, StoredValue | undefined>;

export function prepare(entry: Entry): PreparedEntry {
  if (entry.type !== EntryType.Normal) {
    return { entry, timeStampMs: 0, sessions: [], commands: [] };
  }
  const { timeStampMs, sessions, commands } = decodeCommandBatch(entry.data);
  return { entry, timeStampMs, sessions, commands };
}

/** Whether the outcome of a command depends on what its key held before. */
export const needsOldValue = ({ kind, condition }: Command): boolean =>
  kind !== CommandKind.Put || condition !== ConditionKind.None;

export const needsOldValues = ({ commands }: PreparedEntry): boolean => commands.some(needsOldValue);

/** The key of a command. */
type KeyOf = Pick<Command, 'bucketId' | 'key'>;

const dataKeyOf = ({ bucketId, key }: KeyOf): Buffer => dataKey(bucketId, ringHash(key), key);

export class Applier {
  constructor(
    private readonly pipeline: WritePipeline,
    private readonly values: ValueTable,
    private readonly reader: Reader,
    private readonly buckets: {
      /** Data of this bucket come into the engine. */
      readonly onWritten: (bucketId: BucketId) => void;
      readonly onDropped: (shard: ShardState, bucketId: BucketId) => void;
    },
  ) {}

  /** `old` holds the values that only the engine knew, for every key that needs one. */
  apply(shard: ShardState, prepared: readonly PreparedEntry[], old: OldValues): readonly AppliedEntry[] {
    const applied = new Array<AppliedEntry>(prepared.length);
    for (let at = 0; at < prepared.length; at++) {
      applied[at] = this.applyEntry(shard, prepared[at] as PreparedEntry, old);
    }
    this.pipeline.touch(shard);
    return applied;
  }

  private applyEntry(shard: ShardState, prepared: PreparedEntry, old: OldValues): AppliedEntry {
    const { entry, sessions } = prepared;
    assert(entry.index === shard.appliedIndex + 1, () => `${entry.index} is applied after ${shard.appliedIndex}`);
    if (entry.type === EntryType.Configuration) shard.configuration = decodeConfiguration(entry.data);
    if (entry.type === EntryType.Normal) shard.advanceTime(prepared.timeStampMs);
    for (const { clientId, ackedBelow } of sessions) shard.sessions.touch(clientId, ackedBelow, shard.sessionTimeMs);
    const outcomes = sessions.length > 0 ? this.applyOnce(shard, prepared, old) : this.applyAll(shard, prepared, old);
    shard.appliedIndex = entry.index;
    shard.appliedTerm = entry.term;
    if (entry.index - shard.sessionTableIndex >= sessionTableEveryEntries) this.writeSessions(shard);
    return { entry, outcomes };
  }

  private applyAll(shard: ShardState, prepared: PreparedEntry, old: OldValues): Outcome[] {
    return prepared.commands.map((command) => this.applyCommand(shard, command, old));
  }

  /** Those of its commands that are of a session are remembered, and take effect the first time alone. */
  private applyOnce(shard: ShardState, prepared: PreparedEntry, old: OldValues): Outcome[] {
    const { sessions, commands } = prepared;
    const record = shard.outcomes;
    record.begin(shard.sessionTimeMs, sessions, commands.length);
    const outcomes = new Array<Outcome>(commands.length);
    let place = -1;
    let session: Session | undefined;
    for (let at = 0; at < commands.length; at++) {
      const command = commands[at] as Command;
      const { session: number, sequence } = command;
      if (number - 1 !== place) {
        place = number - 1;
        const clientId = sessions[place]?.clientId;
        session = clientId === undefined ? undefined : shard.sessions.find(clientId);
      }
      const known = session?.recall(sequence);
      const outcome = known ?? this.applyCommand(shard, command, old);
      outcomes[at] = outcome;
      if (known !== undefined || sessions[place] === undefined) continue;
      if (session !== undefined) shard.sessions.remember(session, sequence, outcome);
      record.add(place, sequence, outcome);
    }
    record.finish(prepared.entry.index);
    return outcomes;
  }

  private applyCommand(shard: ShardState, command: Command, old: OldValues): Outcome {
    const { bucketId } = command;
    if (command.kind === CommandKind.DropBucket) return this.dropBucket(shard, bucketId);
    if (command.kind === CommandKind.Reclaim) {
      this.pipeline.pendingOf(shard).delete(expiryKey(command.expiresAtMs, dataKeyOf(command)));
    }
    if (shard.droppedBuckets.size > 0 && shard.droppedBuckets.has(bucketId)) return removed;
    if (needsOldValue(command)) return this.applyDecided(shard, command, old);
    return this.store(shard, command, shard.expiryOf(command.expiresAtMs), command.value);
  }

  /** A command whose outcome depends on what its key held before. */
  private applyDecided(shard: ShardState, command: Command, old: OldValues): Outcome {
    const { bucketId, key } = command;
    const known = this.reader.peek(bucketId, key);
    const before = known === undefined ? old.get(dataName(bucketId, ringHash(key), key)) : (known ?? undefined);
    const current = before !== undefined && isLive(before, shard.timeMs) ? before : undefined;
    const expiresAtMs = shard.expiryOf(command.expiresAtMs);
    if (command.condition !== ConditionKind.None && !holds(command, current)) {
      return { code: conflict, revision: current?.revision ?? 0, found: current !== undefined };
    }
    switch (command.kind) {
      case CommandKind.Put:
        return this.store(shard, command, expiresAtMs, command.value, before);
      case CommandKind.Delete: {
        if (before === undefined) return { code: 0, revision: 0, found: false };
        this.remove(shard, command);
        if (current === undefined) return { code: 0, revision: 0, found: false };
        return { code: 0, revision: ++shard.revision, found: true };
      }
      case CommandKind.Increment:
        return this.increment(shard, command, before, current);
      case CommandKind.Append: {
        const value = current === undefined ? command.value : Buffer.concat([valueIn(current), command.value]);
        if (value.length > command.maxValueBytes) {
          return { code: tooLarge, revision: current?.revision ?? 0, found: current !== undefined };
        }
        const endsAtMs = expiresAtMs || (current?.expiresAtMs ?? 0);
        return this.storeCounted(shard, command, endsAtMs, value, value.length, before);
      }
      case CommandKind.Touch:
        if (current === undefined) return { code: 0, revision: 0, found: false };
        return this.store(shard, command, expiresAtMs, valueIn(current), before);
      case CommandKind.Reclaim:
        // Written anew since it was found expired: another time holds, or none.
        if (before === undefined || current !== undefined) return { code: 0, revision: 0, found: false };
        this.remove(shard, command);
        return { code: 0, revision: 0, found: true };
      case CommandKind.DropBucket:
        return this.dropBucket(shard, command.bucketId);
      default:
        return assertNever(command.kind, 'kind of command');
    }
  }

  private dropBucket(shard: ShardState, bucketId: BucketId): Outcome {
    const isNew = shard.drop(bucketId);
    if (isNew) {
      const key = systemKey(shard.shardId, SystemKind.DroppedBuckets);
      this.pipeline.pendingOf(shard).put(key, shard.encodeDroppedBuckets());
      this.buckets.onDropped(shard, bucketId);
    }
    return { code: 0, revision: 0, found: isNew };
  }

  /** `before` is what the engine was asked for, if it was: memory need not know the key. */
  private store(shard: ShardState, of: KeyOf, expiresAtMs: number, value: Buffer, before?: StoredValue): Outcome {
    const { values, pipeline } = this;
    const { bucketId, key } = of;
    const reference = values.find(bucketId, key);
    const isKnown = reference !== 0 && !values.isDeleted(reference);
    const expiredAtMs = isKnown ? values.expiresAtMs(reference) : (before?.expiresAtMs ?? 0);
    const isAdded = !isKnown && before === undefined;
    const revision = ++shard.revision;
    const pending = pipeline.pendingOf(shard);
    values.put(pending.values, reference, bucketId, key, revision, expiresAtMs, value, isAdded);
    this.buckets.onWritten(bucketId);
    if (isAdded) pipeline.noteAdded(bucketId, key);
    if (expiredAtMs > 0 && expiredAtMs !== expiresAtMs) {
      pending.delete(expiryKey(expiredAtMs, dataKeyOf(of)));
    }
    if (expiresAtMs > 0) pending.put(expiryKey(expiresAtMs, dataKeyOf(of)), indexValue);
    this.reader.noteMutation(bucketId, key);
    return { code: 0, revision, found: true };
  }

  private remove(shard: ShardState, { bucketId, key }: KeyOf): void {
    const { values } = this.pipeline.pendingOf(shard);
    this.values.delete(values, this.values.find(bucketId, key), bucketId, key);
    this.reader.noteMutation(bucketId, key);
  }

  /** A key that is not there counts from 0; what was set to expire still does. */
  private increment(
    shard: ShardState,
    command: Command,
    before: StoredValue | undefined,
    current: StoredValue | undefined,
  ): Outcome {
    const sum = (current === undefined ? 0 : numberIn(valueIn(current))) + numberIn(command.value);
    if (!Number.isSafeInteger(sum)) {
      return { code: badRequest, revision: current?.revision ?? 0, found: current !== undefined };
    }
    const expiresAtMs = shard.expiryOf(command.expiresAtMs) || (current?.expiresAtMs ?? 0);
    return this.storeCounted(shard, command, expiresAtMs, Buffer.from(String(sum)), sum, before);
  }

  private storeCounted(
    shard: ShardState,
    of: KeyOf,
    expiresAtMs: number,
    value: Buffer,
    number: number,
    before: StoredValue | undefined,
  ): Outcome {
    const { revision } = this.store(shard, of, expiresAtMs, value, before);
    return { code: 0, revision, found: true, number };
  }

  /** The whole table, in the same batch as what was applied; the records of outcomes that it covers go. */
  private writeSessions(shard: ShardState): void {
    const { shardId } = shard;
    const head = Buffer.allocUnsafe(6);
    writeU48(head, shard.appliedIndex, 0);
    const pending = this.pipeline.pendingOf(shard);
    pending.put(systemKey(shardId, SystemKind.SessionTable), Buffer.concat([head, shard.sessions.encode()]));
    for (const index of shard.coverOutcomes()) pending.delete(systemKey(shardId, SystemKind.Outcomes, index));
  }
}

const wholeNumber = /^-?\d{1,16}$/;

/** The number a value is the decimal text of; NaN when it is none, or cannot be counted with exactly. */
export function numberIn(value: Buffer): number {
  const text = value.length <= 17 ? value.toString('latin1') : '';
  const number = wholeNumber.test(text) ? Number(text) : Number.NaN;
  return Number.isSafeInteger(number) ? number : Number.NaN;
}

function holds(command: Command, current: StoredValue | undefined): boolean {
  switch (command.condition) {
    case ConditionKind.None:
      return true;
    case ConditionKind.Absent:
      return current === undefined;
    case ConditionKind.Revision:
      return command.expectedRevision === (current?.revision ?? 0);
    case ConditionKind.Value:
      return current !== undefined && valueIn(current).equals(command.expectedValue);
    default:
      return assertNever(command.condition, 'condition');
  }
}
