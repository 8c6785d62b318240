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
import { assert, assertNever, type BucketId, mapKey } from '../base/index.js';
import { decodeConfiguration, type Entry, EntryType } from '../raft/index.js';
import { ringHash } from '../ring/index.js';
import { type Command, CommandKind, ConditionKind, codeNumber, decodeCommandBatch } from '../wire/index.js';
import {
  dataKey,
  encodeValue,
  expiryKey,
  indexKey,
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
import type { WritePipeline } from './write-pipeline.js';

/** The session table is written whole when this many entries came since. */
const sessionTableEveryEntries = 512;
const conflict = codeNumber('CONFLICT');
const badRequest = codeNumber('BAD_REQUEST');
const tooLarge = codeNumber('TOO_LARGE');
const removed = { code: codeNumber('NOT_FOUND'), revision: 0, found: false } as const;

/** An entry with what is derived from its commands' keys, once; each list in the order of the commands. */
export type PreparedEntry = {
  readonly entry: Entry;
  readonly timeStampMs: number;
  readonly sessions: readonly SessionTouch[];
  readonly commands: readonly Command[];
  readonly dataKeys: readonly Buffer[];
  readonly names: readonly string[];
};

/** Values that only the engine knew, and that decide something; undefined: there was none. */
export type OldValues = Map<string, StoredValue | undefined>;

export function prepare(entry: Entry): PreparedEntry {
  if (entry.type !== EntryType.Normal) {
    return { entry, timeStampMs: 0, sessions: [], commands: [], dataKeys: [], names: [] };
  }
  const { timeStampMs, sessions, commands } = decodeCommandBatch(entry.data);
  const dataKeys: Buffer[] = [];
  const names: string[] = [];
  for (const { bucketId, key } of commands) {
    const bytes = dataKey(bucketId, ringHash(key), key);
    dataKeys.push(bytes);
    names.push(mapKey(bytes));
  }
  return { entry, timeStampMs, sessions, commands, dataKeys, names };
}

/** Whether the outcome of a command depends on what its key held before. */
export const needsOldValue = ({ kind, condition }: Command): boolean =>
  kind !== CommandKind.Put || condition !== ConditionKind.None;

export const needsOldValues = ({ commands }: PreparedEntry): boolean => commands.some(needsOldValue);

/** A command on its way through `Applier`. */
type Prepared = { readonly command: Command; readonly dataKey: Buffer; readonly name: string };

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
  apply(shard: ShardState, prepared: readonly PreparedEntry[], old: OldValues): readonly AppliedEntry[] {
    const applied = prepared.map((entry) => this.applyEntry(shard, entry, old));
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
    return prepared.commands.map((_, at) => this.applyCommand(shard, prepared, at, old));
  }

  /** Those of its commands that are of a session are remembered, and take effect the first time alone. */
  private applyOnce(shard: ShardState, prepared: PreparedEntry, old: OldValues): Outcome[] {
    const { sessions, commands } = prepared;
    const record = shard.outcomes;
    record.begin(shard.sessionTimeMs, sessions, commands.length);
    const outcomes: Outcome[] = [];
    let place = -1;
    let session: Session | undefined;
    for (let at = 0; at < commands.length; at++) {
      const { session: number, sequence } = commands[at] as Command;
      if (number - 1 !== place) {
        place = number - 1;
        const clientId = sessions[place]?.clientId;
        session = clientId === undefined ? undefined : shard.sessions.find(clientId);
      }
      const known = session?.recall(sequence);
      const outcome = known ?? this.applyCommand(shard, prepared, at, old);
      outcomes.push(outcome);
      if (known !== undefined || sessions[place] === undefined) continue;
      if (session !== undefined) shard.sessions.remember(session, sequence, outcome);
      record.add(place, sequence, outcome);
    }
    record.finish(prepared.entry.index);
    return outcomes;
  }

  private applyCommand(shard: ShardState, entry: PreparedEntry, at: number, old: OldValues): Outcome {
    const command = entry.commands[at] as Command;
    const name = entry.names[at] as string;
    const prepared: Prepared = { command, dataKey: entry.dataKeys[at] as Buffer, name };
    if (command.kind === CommandKind.DropBucket) return this.dropBucket(shard, command.bucketId);
    if (command.kind === CommandKind.Reclaim) this.pipeline.delete(expiryKey(command.expiresAtMs, prepared.dataKey));
    if (shard.droppedBuckets.size > 0 && shard.droppedBuckets.has(command.bucketId)) return removed;
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
        const endsAtMs = expiresAtMs || (current?.expiresAtMs ?? 0);
        return this.storeCounted(shard, prepared, before, endsAtMs, value, value.length);
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
    if (before === undefined) this.pipeline.addToIndex(bucketId, key);
    const expiredAtMs = before?.expiresAtMs ?? 0;
    if (expiredAtMs > 0 && expiredAtMs !== expiresAtMs) this.pipeline.delete(expiryKey(expiredAtMs, storedKey));
    if (expiresAtMs > 0) this.pipeline.put(expiryKey(expiresAtMs, storedKey), indexValue);
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
    return this.storeCounted(shard, prepared, before, expiresAtMs, Buffer.from(String(sum)), sum);
  }

  private storeCounted(
    shard: ShardState,
    prepared: Prepared,
    before: StoredValue | undefined,
    expiresAtMs: number,
    value: Buffer,
    number: number,
  ): Outcome {
    const { revision } = this.store(shard, prepared, before, expiresAtMs, value);
    return { code: 0, revision, found: true, number };
  }

  /** The whole table, in the same batch as what was applied; the records of outcomes that it covers go. */
  private writeSessions(shard: ShardState): void {
    const { shardId } = shard;
    const head = Buffer.allocUnsafe(6);
    writeU48(head, shard.appliedIndex, 0);
    this.pipeline.put(systemKey(shardId, SystemKind.SessionTable), Buffer.concat([head, shard.sessions.encode()]));
    for (const index of shard.coverOutcomes()) this.pipeline.delete(systemKey(shardId, SystemKind.Outcomes, index));
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
