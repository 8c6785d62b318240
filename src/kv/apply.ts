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
import { assert, assertNever, type BucketId, emptyBytes, mapKey } from '../base/index.js';
import { decodeConfiguration, type Entry, EntryType } from '../raft/index.js';
import { ringHash } from '../ring/index.js';
import { type Command, CommandKind, ConditionKind, codeNumber, decodeCommandBatch } from '../wire/index.js';
import {
  dataKey,
  encodeValue,
  expiryKey,
  indexKey,
  isLive,
  type StoredValue,
  SystemKind,
  systemKey,
  valueIn,
} from './keys.js';
import type { Reader } from './reader.js';
import { encodeEntryOutcomes, type SessionOutcome } from './sessions.js';
import type { ShardState } from './shard-state.js';
import type { AppliedEntry, Outcome } from './types.js';
import type { WritePipeline } from './write-pipeline.js';

/** The session table is written whole when this many entries came since. */
const sessionTableEveryEntries = 512;
const conflict = codeNumber('CONFLICT');
const badRequest = codeNumber('BAD_REQUEST');
const tooLarge = codeNumber('TOO_LARGE');
const removed = { code: codeNumber('NOT_FOUND'), revision: 0, found: false } as const;

/** A command with what is derived from its key, once. */
type Prepared = { readonly command: Command; readonly dataKey: Buffer; readonly name: string };

export type PreparedEntry = {
  readonly entry: Entry;
  readonly timeStampMs: number;
  readonly sessions: readonly { readonly clientId: string; readonly ackedBelow: number }[];
  readonly commands: readonly Prepared[];
};

export function prepare(entry: Entry): PreparedEntry {
  if (entry.type !== EntryType.Normal) return { entry, timeStampMs: 0, sessions: [], commands: [] };
  const batch = decodeCommandBatch(entry.data);
  const commands = batch.commands.map((command): Prepared => {
    const key = dataKey(command.bucketId, ringHash(command.key), command.key);
    return { command, dataKey: key, name: mapKey(key) };
  });
  return { entry, timeStampMs: batch.timeStampMs, sessions: batch.sessions, commands };
}

/** Whether the outcome of a command depends on what its key held before. */
export const needsOldValue = ({ kind, condition }: Command): boolean =>
  kind !== CommandKind.Put || condition !== ConditionKind.None;

export class Applier {
  constructor(
    private readonly pipeline: WritePipeline,
    private readonly reader: Reader,
    private readonly buckets: {
      /** Data of this bucket come into the engine. */
      readonly onWritten: (bucketId: BucketId) => void;
      readonly onDropped: (shard: ShardState, bucketId: BucketId) => void;
    },
  ) {}

  /** `old` holds the values that only the engine knew, for every key that needs one. */
  apply(
    shard: ShardState,
    prepared: readonly PreparedEntry[],
    old: ReadonlyMap<string, StoredValue | undefined>,
  ): readonly AppliedEntry[] {
    const applied = prepared.map((entry) => this.applyEntry(shard, entry, old));
    this.pipeline.touch(shard);
    return applied;
  }

  private applyEntry(
    shard: ShardState,
    prepared: PreparedEntry,
    old: ReadonlyMap<string, StoredValue | undefined>,
  ): AppliedEntry {
    const { entry } = prepared;
    assert(entry.index === shard.appliedIndex + 1, () => `${entry.index} is applied after ${shard.appliedIndex}`);
    if (entry.type === EntryType.Configuration) shard.configuration = decodeConfiguration(entry.data);
    if (entry.type === EntryType.Normal) shard.advanceTime(prepared.timeStampMs);
    for (const { clientId, ackedBelow } of prepared.sessions) {
      shard.sessions.touch(clientId, ackedBelow, shard.sessionTimeMs);
    }
    const remembered: SessionOutcome[] = [];
    const outcomes = prepared.commands.map((one) => this.applyOnce(shard, prepared, one, old, remembered));
    shard.appliedIndex = entry.index;
    shard.appliedTerm = entry.term;
    this.persistSessions(shard, prepared, remembered);
    return { entry, outcomes };
  }

  private applyOnce(
    shard: ShardState,
    { sessions }: PreparedEntry,
    prepared: Prepared,
    old: ReadonlyMap<string, StoredValue | undefined>,
    remembered: SessionOutcome[],
  ): Outcome {
    const { command } = prepared;
    const session = command.session > 0 ? sessions[command.session - 1] : undefined;
    if (session === undefined) return this.applyCommand(shard, prepared, old);
    const { clientId } = session;
    const known = shard.sessions.recall(clientId, command.sequence);
    if (known !== undefined) return known;
    const outcome = this.applyCommand(shard, prepared, old);
    shard.sessions.remember(clientId, command.sequence, outcome);
    remembered.push({ clientId, sequence: command.sequence, outcome });
    return outcome;
  }

  private applyCommand(
    shard: ShardState,
    prepared: Prepared,
    old: ReadonlyMap<string, StoredValue | undefined>,
  ): Outcome {
    const { command, name } = prepared;
    if (command.kind === CommandKind.DropBucket) return this.dropBucket(shard, command.bucketId);
    if (command.kind === CommandKind.Reclaim) this.pipeline.delete(expiryKey(command.expiresAtMs, prepared.dataKey));
    if (shard.droppedBuckets.has(command.bucketId)) return removed;
    const known = this.reader.peek(name);
    const before = known === undefined ? old.get(name) : (known ?? undefined);
    const current = before !== undefined && isLive(before, shard.timeMs) ? before : undefined;
    const expiresAtMs = shard.expiryOf(command.expiresAtMs);
    if (command.condition !== ConditionKind.None && !holds(command, current)) {
      return { code: conflict, revision: current?.revision ?? 0, found: current !== undefined };
    }
    switch (command.kind) {
      case CommandKind.Put:
        return this.store(shard, prepared, before, expiresAtMs, command.value);
      case CommandKind.Delete: {
        if (before === undefined) return { code: 0, revision: 0, found: false };
        this.remove(prepared);
        if (current === undefined) return { code: 0, revision: 0, found: false };
        return { code: 0, revision: ++shard.revision, found: true };
      }
      case CommandKind.Increment:
        return this.increment(shard, prepared, before, current);
      case CommandKind.Append: {
        const value = current === undefined ? command.value : Buffer.concat([valueIn(current), command.value]);
        if (value.length > command.maxValueBytes) {
          return { code: tooLarge, revision: current?.revision ?? 0, found: current !== undefined };
        }
        const outcome = this.store(shard, prepared, before, expiresAtMs || (current?.expiresAtMs ?? 0), value);
        return { ...outcome, number: value.length };
      }
      case CommandKind.Touch:
        if (current === undefined) return { code: 0, revision: 0, found: false };
        return this.store(shard, prepared, before, expiresAtMs, valueIn(current));
      case CommandKind.Reclaim:
        // Written anew since it was found expired: another time holds, or none.
        if (before === undefined || current !== undefined) return { code: 0, revision: 0, found: false };
        this.remove(prepared);
        return { code: 0, revision: 0, found: true };
      default:
        return assertNever(command.kind, 'kind of command');
    }
  }

  private dropBucket(shard: ShardState, bucketId: BucketId): Outcome {
    const isNew = shard.drop(bucketId);
    if (isNew) {
      this.pipeline.put(systemKey(shard.shardId, SystemKind.DroppedBuckets), shard.encodeDroppedBuckets());
      this.buckets.onDropped(shard, bucketId);
    }
    return { code: 0, revision: 0, found: isNew };
  }

  private store(
    shard: ShardState,
    { command: { bucketId, key }, dataKey: storedKey, name }: Prepared,
    before: StoredValue | undefined,
    expiresAtMs: number,
    value: Buffer,
  ): Outcome {
    const stored = encodeValue(++shard.revision, expiresAtMs, value);
    this.pipeline.mutate(name, storedKey, stored);
    this.buckets.onWritten(bucketId);
    if (before === undefined) this.pipeline.put(indexKey(bucketId, key), emptyBytes);
    const expiredAtMs = before?.expiresAtMs ?? 0;
    if (expiredAtMs > 0 && expiredAtMs !== expiresAtMs) this.pipeline.delete(expiryKey(expiredAtMs, storedKey));
    if (expiresAtMs > 0) this.pipeline.put(expiryKey(expiresAtMs, storedKey), emptyBytes);
    this.reader.noteMutation(name, stored);
    return { code: 0, revision: stored.revision, found: true };
  }

  private remove({ command: { bucketId, key }, dataKey: storedKey, name }: Prepared): void {
    this.pipeline.mutate(name, storedKey, null);
    this.pipeline.delete(indexKey(bucketId, key));
    this.reader.noteMutation(name, null);
  }

  /** A key that is not there counts from 0; what was set to expire still does. */
  private increment(
    shard: ShardState,
    prepared: Prepared,
    before: StoredValue | undefined,
    current: StoredValue | undefined,
  ): Outcome {
    const { command } = prepared;
    const sum = (current === undefined ? 0 : numberIn(valueIn(current))) + numberIn(command.value);
    if (!Number.isSafeInteger(sum)) {
      return { code: badRequest, revision: current?.revision ?? 0, found: current !== undefined };
    }
    const expiresAtMs = shard.expiryOf(command.expiresAtMs) || (current?.expiresAtMs ?? 0);
    return { ...this.store(shard, prepared, before, expiresAtMs, Buffer.from(String(sum))), number: sum };
  }

  /** In the same batch as what was applied: one small record an entry, and now and then the whole table. */
  private persistSessions(shard: ShardState, prepared: PreparedEntry, remembered: readonly SessionOutcome[]): void {
    const { shardId } = shard;
    const { index } = prepared.entry;
    if (prepared.sessions.length > 0) {
      const record = encodeEntryOutcomes(shard.sessionTimeMs, prepared.sessions, remembered);
      this.pipeline.put(systemKey(shardId, SystemKind.Outcomes, index), record);
    }
    if (index - shard.sessionTableIndex < sessionTableEveryEntries) return;
    const head = Buffer.alloc(6);
    head.writeUIntBE(index, 0, 6);
    this.pipeline.put(systemKey(shardId, SystemKind.SessionTable), Buffer.concat([head, shard.sessions.encode()]));
    for (let covered = shard.sessionTableIndex + 1; covered <= index; covered++) {
      this.pipeline.delete(systemKey(shardId, SystemKind.Outcomes, covered));
    }
    shard.sessionTableIndex = index;
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
