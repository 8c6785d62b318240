/**
 * Known bugs of real systems, switched on by name, to see that the simulation finds them. They live here alone: each
 * replaces a method of the real code in this process.
 *
 * A mutant stays on until the process ends.
 */
import { noReplica, type ReplicaId, type ShardId } from '../../src/base/index.js';
import type { Engine, EngineBatch } from '../../src/engine/index.js';
import { ReadIndexes, type ReadIndexesParts } from '../../src/host/read-indexes.js';
import { ReplicaReads } from '../../src/host/replica-reads.js';
import { ReplicaRepair } from '../../src/host/replica-repair.js';
import { SystemKind } from '../../src/kv/keys.js';
import { Session } from '../../src/kv/sessions.js';
import { ShardState } from '../../src/kv/shard-state.js';
import { encodeConfiguration, enterConfiguration } from '../../src/raft/configuration.js';
import { Core } from '../../src/raft/core.js';
import { Raft } from '../../src/raft/index.js';
import { RaftLog } from '../../src/raft/log.js';
import { quorumReached } from '../../src/raft/quorum.js';
import { ReadIndexQueue } from '../../src/raft/read-index.js';
import { type Entry, EntryType, type Message } from '../../src/raft/types.js';
import type { RecoveredGroup, Wal } from '../../src/wal/index.js';
import { decodeReadIndexRequest, encodeReadIndexAnswer, type ReadIndexAnswer } from '../../src/wire/index.js';
import { clusterMutants } from './cluster-mutants.js';
import { quorumMutants } from './quorum-mutants.js';

/** Where a mutant stands between the host and its adapters. */
export const mutation: { wal: (wal: Wal) => Wal; engine: (engine: Engine) => Engine } = {
  wal: (wal) => wal,
  engine: (engine) => engine,
};

/** What a method needs of its object, which the type system hides from us. */
type Private<T> = T & Record<string, unknown>;

const coreOf = (raft: Raft): Core => Reflect.get(raft, 'core') as Core;

/**
 * The current term's entries alone may be counted (Raft §5.4.2); this counts any. And no entry at the beginning of a
 * term, which would hide it nearly always: the paper's figure 8 has none either.
 */
function commitOldTerms(): void {
  const { becomeLeader } = Core.prototype;
  Core.prototype.becomeLeader = function (this: Core) {
    becomeLeader.call(this);
    this.log.truncateFrom(this.log.lastIndex);
    // What is committed counts as of this term, or nothing could be read before the next write.
    this.termStartIndex = this.log.committed;
  };
  Core.prototype.maybeCommit = function (this: Core) {
    const reached = Reflect.get(this, 'matchIndexOf') as (id: ReplicaId) => number;
    const index = quorumReached(this.configuration, reached);
    if (index <= this.log.committed) return;
    const first = Math.max(this.log.committed + 1, this.termStartIndex);
    if (first <= index) this.uncommittedBytes -= this.log.dataBytes(first, index);
    this.log.commitTo(index);
    (Reflect.get(this, 'afterCommit') as () => void).call(this);
  };
}

const voteNotPersisted = (): void => {
  mutation.wal = (wal) => {
    const append = wal.appendHardState.bind(wal);
    wal.appendHardState = (shardId, hardState) => {
      if (hardState.votedFor === noReplica) append(shardId, hardState);
    };
    return wal;
  };
};

const getter = <T extends object>(prototype: T, name: string, get: (this: T) => unknown): void => {
  Object.defineProperty(prototype, name, { get, configurable: true });
};

function voteWhileHearingLeader(): void {
  getter(Core.prototype, 'withholdsVotes', () => false);
}

function acknowledgeBeforeSync(): void {
  const ready = Raft.prototype.ready;
  Raft.prototype.ready = function (this: Raft) {
    const batch = ready.call(this);
    return { ...batch, messages: [...batch.messages, ...batch.messagesAfterPersist], messagesAfterPersist: [] };
  };
}

function suffixNotTruncated(): void {
  RaftLog.prototype.merge = function (this: RaftLog, entries: readonly Entry[]) {
    for (const entry of entries) if (entry.index === this.lastIndex + 1) this.append(entry);
  };
}

function truncatedWithoutConflict(): void {
  RaftLog.prototype.merge = function (this: RaftLog, entries: readonly Entry[]) {
    const news = entries.filter(({ index }) => index > this.committed);
    const first = news[0];
    if (first === undefined) return;
    if (first.index <= this.lastIndex) this.truncateFrom(first.index);
    for (const entry of news) this.append(entry);
  };
}

function leaseKeptOverTransfer(): void {
  ReadIndexQueue.prototype.forbidLease = () => {};
  ReadIndexQueue.prototype.voidLease = () => {};
  Core.prototype.leaseValid = function (this: Core, nowMs: number) {
    return this.hasCommittedInTerm && this.reads.leaseValid(nowMs, this.options.leaseMs);
  };
}

function earlyElectionOutrunsLease(): void {
  Core.prototype.earliestElectionMs = function (this: Core, spreadMs: number) {
    return this.nowMs + (this.random.nextU32() % (spreadMs + 1));
  };
  getter(Core.prototype, 'withholdsVotes', function (this: Core) {
    return this.role === 'leader' || (!this.isEarly && this.nowMs < this.holdUntilMs);
  });
}

function readIndexBeforeNoOp(): void {
  getter(Core.prototype, 'hasCommittedInTerm', function (this: Core) {
    return this.role === 'leader';
  });
}

/** A snapshot is installed when it arrives, whoever sent it and whatever is there. */
function snapshotOverNewerState(): void {
  const step = Raft.prototype.step;
  Raft.prototype.step = function (this: Raft, message: Message, nowMs: number) {
    if (message.type !== 'SnapshotRequest' || message.snapshot.index >= this.commitIndex) {
      step.call(this, message, nowMs);
      return;
    }
    const core = coreOf(this);
    core.log.committed = message.snapshot.index - 1;
    core.log.applied = Math.min(core.log.applied, message.snapshot.index - 1);
    core.log.persisted = Math.min(core.log.persisted, message.snapshot.index - 1);
    core.log.restore(message.snapshot);
    core.restored = message.snapshot;
  };
}

/** Neither the joint step nor the wait for the change before: two majorities that do not meet. */
function twoChangesInFlight(): void {
  Raft.prototype.proposeConfiguration = function (this: Raft, target) {
    const core = coreOf(this);
    if (core.role !== 'leader') return 'notLeader';
    const next = enterConfiguration({ ...core.configuration, outgoing: [] }, target);
    if (next === undefined) return 'invalid';
    const direct = { ...next, outgoing: [], learners: [...next.learners, ...next.learnersNext], learnersNext: [] };
    return { index: core.appendOwn(EntryType.Configuration, encodeConfiguration(direct)), term: core.currentTerm };
  };
}

function replicaIdReused(): void {
  const add = ReplicaRepair.prototype.add;
  ReplicaRepair.prototype.add = function (this: ReplicaRepair, replica) {
    add.call(this, replica);
    const repairs = Reflect.get(this, 'repairs') as Map<number, object>;
    const repair = repairs.get(replica.shardId);
    if (repair !== undefined && replica.replicaId !== noReplica) {
      repairs.set(replica.shardId, { ...repair, newId: replica.replicaId });
    }
  };
}

function duplicateAppliedTwice(): void {
  Session.prototype.recall = () => undefined;
}

/** Sessions age by the time stamps of the leaders, however wrong their clocks. */
function sessionsAgeByStamps(): void {
  const { advanceTime } = ShardState.prototype;
  ShardState.prototype.advanceTime = function (this: ShardState, stampMs: number) {
    advanceTime.call(this, stampMs);
    this.sessionTimeMs = Math.max(this.sessionTimeMs, stampMs);
  };
}

const isPosition = (key: Buffer): boolean => key[0] === 0x73 && key[3] === SystemKind.Position;

/** What was applied is written in one batch, how far that is in another, before it. */
function appliedIndexNotAtomic(): void {
  mutation.engine = (engine) => ({
    ...engine,
    batch: (): EngineBatch => {
      const data = engine.batch();
      const positions = engine.batch();
      return {
        put: (key, value) => (isPosition(key) ? positions : data).put(key, value),
        delete: (key) => data.delete(key),
        get size() {
          return data.size + positions.size;
        },
        write: (sync, callback) => {
          positions.write(false, (error) => {
            if (error !== undefined) callback(error);
            else data.write(sync, callback);
          });
        },
      };
    },
  });
}

function damageTakenForTornTail(): void {
  mutation.wal = (wal) => {
    const recovered = new Map<number, RecoveredGroup>();
    for (const [shardId, group] of wal.recovered) recovered.set(shardId, { ...group, damage: undefined });
    const changed = wal as Private<Wal>;
    Object.defineProperty(changed, 'recovered', { value: recovered });
    Object.defineProperty(changed, 'damage', { value: undefined });
    return changed;
  };
}

/** A quorum read asks nobody whether its log holds a newer write of the key than what is applied. */
function touchingEntriesIgnored(): void {
  ReplicaReads.prototype.newestTouching = () => 0;
}

/** A replica serves a scan once its leader has told the read index, however far it is itself. */
function scanNotWaitedFor(): void {
  Object.defineProperty(ReadIndexes.prototype, 'awaitApplied', {
    value: (question: { answer(confirmed: boolean): void }) => question.answer(true),
  });
}

/** A node that leads answers how far it is, and asks no majority whether it still does. */
function readIndexNotAskedFor(): void {
  Object.defineProperty(ReadIndexes.prototype, 'onRequest', {
    value(this: ReadIndexes, { payload, replyTo }: { payload: Buffer; replyTo: string }) {
      const { bus, groupOf } = Reflect.get(this, 'parts') as ReadIndexesParts;
      const answer: ReadIndexAnswer = { shards: [], indexes: [] };
      for (const shard of decodeReadIndexRequest(payload).shards) {
        const { raft } = groupOf(shard as ShardId) ?? {};
        if (raft?.isLeader !== true) continue;
        answer.shards.push(shard);
        answer.indexes.push(raft.commitIndex);
      }
      bus.publish('client', replyTo, encodeReadIndexAnswer(answer));
    },
  });
}

const mutants = {
  'commit-old-terms-by-counting': commitOldTerms,
  'vote-not-persisted': voteNotPersisted,
  'vote-while-hearing-a-leader': voteWhileHearingLeader,
  'acknowledged-before-sync': acknowledgeBeforeSync,
  'suffix-not-truncated': suffixNotTruncated,
  'truncated-without-conflict': truncatedWithoutConflict,
  'lease-kept-over-transfer': leaseKeptOverTransfer,
  'early-election-outruns-lease': earlyElectionOutrunsLease,
  'read-index-before-no-op': readIndexBeforeNoOp,
  'snapshot-over-newer-state': snapshotOverNewerState,
  'two-membership-changes-in-flight': twoChangesInFlight,
  'replica-id-reused': replicaIdReused,
  'duplicate-applied-twice': duplicateAppliedTwice,
  'applied-index-not-atomic': appliedIndexNotAtomic,
  'damage-taken-for-a-torn-tail': damageTakenForTornTail,
  'quorum-read-ignores-the-log': touchingEntriesIgnored,
  'scan-not-waited-for': scanNotWaitedFor,
  'read-index-not-asked-for': readIndexNotAskedFor,
  'sessions-age-by-stamps': sessionsAgeByStamps,
  ...quorumMutants,
  ...clusterMutants,
} as const;

export type MutantName = keyof typeof mutants;
export const mutantNames = Object.keys(mutants) as readonly MutantName[];

/** Switches the bug on in this process. */
export const applyMutant = (name: MutantName): void => mutants[name]();
