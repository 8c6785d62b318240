/**
 * Operations of smart clients on this node: checks them, hands writes to their group's log and reads to its read
 * index, and answers once the outcome is known.
 *
 * Invariants:
 * 1. A write is answered ok or CONFLICT only after its entry was applied here, hence durable on a majority.
 * 2. A write whose fate this node cannot know (leadership lost after it was proposed) is answered NOT_LEADER with
 *    `maybeHappened`; every other refusal means that it did not and will not happen.
 * 3. A read is served only after the core vouched for an index (ReadIndex or lease) that is applied.
 */
import { type Clock, isRingraftError, type Logger, type NodeId, type ShardId } from '../base/index.js';
import { type AppliedEntry, numberIn, type Outcome, type ReadKey, type ReadValue, type Store } from '../kv/index.js';
import type { ReadState } from '../raft/index.js';
import { ringHash } from '../ring/index.js';
import type { Bus, BusMessage, BusSubscription } from '../transport/index.js';
import {
  ConditionKind,
  ConsistencyLevel,
  codeOf,
  decodeOperationBatch,
  type MapBucket,
  mostTtlMs,
  nodeSubject,
  type Operation,
  type OperationBatch,
  OperationKind,
  type OperationResult,
  okCode,
} from '../wire/index.js';
import { commandKindOf } from './command-builder.js';
import type { Group } from './group.js';
import type { LocalMap } from './local-map.js';
import type { HostOptions } from './options.js';
import {
  type Confirmation,
  errorResult,
  okResult,
  type PendingOperation,
  type PendingProposal,
  type ReadRound,
  readResult,
} from './pending.js';
import { ReplicaReads } from './replica-reads.js';
import type { ResultOutbox } from './result-outbox.js';

const clientIdBytes = 8;
/** Numbers the state machine keeps have 48 bits. */
const isStorable = (value: number): boolean => Number.isSafeInteger(value) && value >= 0 && value < 2 ** 48;

const conditionKinds: ReadonlySet<number> = new Set(Object.values(ConditionKind));

const isRead = ({ kind }: Operation): boolean => kind === OperationKind.Get || kind === OperationKind.Exists;
const isWrite = ({ kind }: Operation): boolean => commandKindOf(kind) !== undefined;

/** Writes that begin a time to live where the bucket has one for all its keys. */
const givesTime = (kind: OperationKind): boolean => kind !== OperationKind.Delete && kind !== OperationKind.Touch;

/** What the state machine refused, where the code alone does not say it. */
const messageOfOutcome = (code: number): string => {
  switch (codeOf(code)) {
    case 'BAD_REQUEST':
      return 'the value is not a whole number, or would be none within 2^53';
    case 'TOO_LARGE':
      return 'the value would be larger than a value may be';
    default:
      return '';
  }
};

type ServableRead = {
  readonly pending: PendingOperation;
  readonly level: ConsistencyLevel;
  readonly group: Group;
};

export type OperationServerParts = {
  readonly bus: Bus;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly store: Store;
  readonly outbox: ResultOutbox;
  readonly options: HostOptions;
  readonly maps: LocalMap;
  readonly groupOf: (shardId: ShardId) => Group | undefined;
  readonly mark: (group: Group) => void;
  readonly schedule: () => void;
};

const noTwins: ReadonlySet<PendingOperation> = new Set();

/**
 * Those of the writes that another proposal of the group, not yet decided, holds as well. One pass over what is proposed,
 * however many are asked about: refusals come by the thousand.
 */
function proposedAsWell(
  group: Group,
  writes: readonly PendingOperation[],
  own?: PendingProposal,
): ReadonlySet<PendingOperation> {
  const others = group.proposals.filter((proposal) => proposal !== own);
  if (others.length === 0) return noTwins;
  const byRequest = new Map<number, PendingOperation[]>();
  for (const write of writes) {
    const { requestId } = write.operation;
    const same = byRequest.get(requestId);
    if (same === undefined) byRequest.set(requestId, [write]);
    else same.push(write);
  }
  const twins = new Set<PendingOperation>();
  for (const { operations } of others) {
    for (const { operation, replyTo } of operations) {
      for (const write of byRequest.get(operation.requestId) ?? []) if (write.replyTo === replyTo) twins.add(write);
    }
  }
  return twins;
}

export class OperationServer {
  private subscription: BusSubscription | undefined;
  private servable: ServableRead[] = [];
  private inflight = 0;
  private draining = false;
  readonly counters = { gets: 0, puts: 0, deletes: 0, refused: 0, batches: 0 };

  private readonly replicaReads: ReplicaReads;

  constructor(private readonly parts: OperationServerParts) {
    const { clock, store, schedule } = parts;
    const answer = (pending: PendingOperation, result: OperationResult): void => this.answer(pending, result);
    this.replicaReads = new ReplicaReads({ clock, store, schedule, answer });
  }

  /** Operations accepted and not yet answered. */
  get inflightOperations(): number {
    return this.inflight;
  }

  start(): void {
    const { bus, options } = this.parts;
    const subject = nodeSubject(options.cluster, options.nodeId);
    this.subscription = bus.subscribe('client', subject, (message) => this.receive(message));
  }

  /** Takes no new operations (they are answered NOT_LEADER, so that clients go elsewhere). */
  drain(): void {
    this.draining = true;
  }

  stop(): void {
    this.subscription?.unsubscribe();
  }

  private receive(message: BusMessage): void {
    const { replyTo } = message;
    if (replyTo === undefined) return;
    let batch: OperationBatch;
    try {
      batch = decodeOperationBatch(message.payload);
    } catch (error) {
      if (!isRingraftError(error)) throw error;
      this.parts.logger.warn({ error: error.message }, 'dropped a malformed batch of operations');
      return;
    }
    if (batch.clientId.length !== clientIdBytes || !isStorable(batch.ackedBelow)) {
      // What the state machine could not store would stop every replica: it must not reach the log.
      for (const { requestId } of batch.operations) {
        this.refuse(
          replyTo,
          errorResult(requestId, 'BAD_REQUEST', 'a client id has 8 bytes, a sequence at most 2^48 - 1'),
        );
      }
      this.parts.schedule();
      return;
    }
    this.counters.batches++;
    const wallMs = this.parts.clock.wallMs();
    for (const operation of batch.operations) this.accept(operation, batch, replyTo, wallMs);
    this.parts.schedule();
  }

  private accept(operation: Operation, batch: OperationBatch, replyTo: string, wallMs: number): void {
    const bucket = this.parts.maps.bucket(operation.bucketId);
    const refusal = this.check(operation, bucket, batch.mapEpoch);
    if (refusal !== undefined) {
      this.refuse(replyTo, refusal);
      return;
    }
    const group = this.parts.groupOf(this.parts.maps.shardAt(ringHash(operation.key)));
    if (group === undefined) {
      this.refuse(replyTo, errorResult(operation.requestId, 'WRONG_SHARD', 'this node holds no replica of the key'));
      return;
    }
    const pending = { operation, replyTo };
    if (operation.level === ConsistencyLevel.Quorum || operation.level === ConsistencyLevel.One) {
      this.inflight++;
      if (isRead(operation) && this.replicaReads.serve(group, pending)) {
        this.counters.gets++;
        return;
      }
      this.inflight--;
    }
    if (!group.raft.isLeader || this.draining || !this.parts.maps.isFounded) {
      const leader = this.draining && group.raft.isLeader ? undefined : group.leaderNode;
      const isTwin = isWrite(operation) && proposedAsWell(group, [pending]).size > 0;
      if (!isTwin) this.refuse(replyTo, this.notLeader(operation.requestId, leader, false));
      return;
    }
    this.inflight++;
    if (isWrite(operation)) {
      if (operation.kind === OperationKind.Delete) this.counters.deletes++;
      else this.counters.puts++;
      if (operation.ttlMs === 0 && givesTime(operation.kind)) operation.ttlMs = bucket?.ttlMs ?? 0;
      const { maxValueBytes } = this.parts.options.limits;
      group.builder.add(pending, batch, wallMs, bucket?.maxValueBytes || maxValueBytes);
    } else {
      this.counters.gets++;
      if (operation.level === ConsistencyLevel.Lease) group.newLeaseReads.push(pending);
      else group.newReads.push(pending);
    }
    this.parts.mark(group);
  }

  /** What is wrong with the operation itself, before anyone is asked about it. */
  private check(operation: Operation, bucket: MapBucket | undefined, mapEpoch: number): OperationResult | undefined {
    const { limits } = this.parts.options;
    const { requestId, kind } = operation;
    if (!isRead(operation) && !isWrite(operation)) {
      return errorResult(requestId, 'BAD_REQUEST', `unknown kind of operation: ${kind}`);
    }
    if (operation.clientId.length !== 0 && operation.clientId.length !== clientIdBytes) {
      return errorResult(requestId, 'BAD_REQUEST', 'a client id has 8 bytes');
    }
    if (kind === OperationKind.Increment && Number.isNaN(numberIn(operation.value))) {
      return errorResult(requestId, 'BAD_REQUEST', 'an amount is a whole number within 2^53');
    }
    if (!conditionKinds.has(operation.condition) || !Number.isSafeInteger(operation.expectedRevision)) {
      // In the log it would stop every replica, again and again.
      return errorResult(
        requestId,
        'BAD_REQUEST',
        `unknown condition ${operation.condition}, or a revision beyond 2^53`,
      );
    }
    if (!isStorable(operation.sequence)) return errorResult(requestId, 'BAD_REQUEST', 'a sequence is at most 2^48 - 1');
    if (!(operation.ttlMs <= mostTtlMs)) {
      return errorResult(requestId, 'BAD_REQUEST', 'a time to live is at most ten years');
    }
    if (operation.level > ConsistencyLevel.One) {
      return errorResult(requestId, 'BAD_REQUEST', `unknown consistency level: ${operation.level}`);
    }
    if (bucket === undefined || this.parts.store.isDropped(bucket.id)) {
      const { code, message } = this.parts.maps.refusalOf(operation.bucketId, mapEpoch);
      return errorResult(requestId, code, message);
    }
    if (operation.key.length === 0) return errorResult(requestId, 'BAD_REQUEST', 'the key is empty');
    if (operation.key.length > limits.maxKeyBytes) {
      return errorResult(requestId, 'TOO_LARGE', `a key has at most ${limits.maxKeyBytes} bytes`);
    }
    if (Math.max(operation.value.length, operation.expectedValue.length) > limits.maxValueBytes) {
      return errorResult(requestId, 'TOO_LARGE', `a value has at most ${limits.maxValueBytes} bytes`);
    }
    if (bucket.maxValueBytes > 0 && operation.value.length > bucket.maxValueBytes) {
      const message = `a value in bucket ${bucket.name} has at most ${bucket.maxValueBytes} bytes`;
      return errorResult(requestId, 'TOO_LARGE', message);
    }
    if (this.inflight >= limits.maxInflightOperations) {
      return errorResult(requestId, 'BUSY', `${this.inflight} operations are in flight on this node`);
    }
    if (isWrite(operation) && this.parts.store.pendingWriteBytes > limits.maxPendingWriteBytes) {
      return errorResult(requestId, 'BUSY', 'the store is behind with its writes');
    }
    return undefined;
  }

  /** The writes that have gathered become log entries. */
  submitWrites(group: Group): void {
    if (group.builder.isEmpty) return;
    const { raft } = group;
    for (const { data, operations } of group.builder.take()) {
      const proposed = raft.propose(data);
      if (typeof proposed !== 'string') {
        group.proposals.push({ index: proposed.index, term: proposed.term, operations });
      } else if (proposed === 'busy') {
        this.refuseWrites(operations, group, (id) => errorResult(id, 'BUSY', 'too much is waiting for a majority'));
      } else {
        this.refuseAsNotLeader(operations, group);
      }
    }
  }

  /** This turn's reads become one ReadIndex request. */
  submitReads(group: Group, nowMs: number): void {
    const { raft } = group;
    if (group.newLeaseReads.length > 0) {
      const reads = group.newLeaseReads;
      group.newLeaseReads = [];
      if (raft.askLease(nowMs)) {
        const index = raft.leaseReadIndex;
        group.addWaiting({ index, level: ConsistencyLevel.Lease, reads, confirmations: [] });
        this.serveWaitingReads(group);
      } else {
        group.newReads.push(...reads);
      }
    }
    if (group.newReads.length === 0 && group.newConfirmations.length === 0) return;
    const round: ReadRound = { reads: group.newReads, confirmations: group.newConfirmations };
    group.newReads = [];
    group.newConfirmations = [];
    if (raft.readIndex(round) === 'notLeader') this.dropRound(round, group);
  }

  /** Tells a read index of now, once it is applied; nothing when this replica does not lead the shard. */
  confirmRead(group: Group, confirmation: Confirmation): void {
    if (!group.raft.isLeader || this.draining) {
      confirmation(undefined);
      return;
    }
    group.newConfirmations.push(confirmation);
    this.parts.mark(group);
  }

  private dropRound(round: ReadRound, group: Group): void {
    this.answerNotLeader(round.reads, group);
    for (const confirmation of round.confirmations) confirmation(undefined);
  }

  onReadStates(group: Group, readStates: readonly ReadState[], dropped: readonly unknown[]): void {
    for (const { context, index } of readStates) {
      const { reads, confirmations } = context as ReadRound;
      group.addWaiting({ index, level: ConsistencyLevel.Linearizable, reads, confirmations });
    }
    for (const context of dropped) this.dropRound(context as ReadRound, group);
    if (readStates.length > 0) this.serveWaitingReads(group);
  }

  /** Moves the reads whose index is applied to where `serveReads` takes them. */
  serveWaitingReads(group: Group): void {
    const { waitingReads } = group;
    const { appliedIndex } = group.raft;
    let served = 0;
    for (const waiting of waitingReads) {
      if (waiting.index > appliedIndex) break;
      served++;
    }
    if (served === 0) return;
    for (const waiting of waitingReads.splice(0, served)) {
      for (const pending of waiting.reads) this.servable.push({ pending, level: waiting.level, group });
      for (const confirmation of waiting.confirmations) confirmation(waiting.index);
    }
  }

  /** Serves what can be served, all groups together: from memory at once, the rest with one look-up. */
  serveReads(): void {
    if (this.servable.length === 0) return;
    const { store, clock } = this.parts;
    const reads = this.servable;
    this.servable = [];
    const wallMs = clock.wallMs();
    const missed: ServableRead[] = [];
    for (const read of reads) {
      const { operation } = read.pending;
      const hit = store.getNow(operation.bucketId, operation.key, wallMs);
      if (hit === undefined) missed.push(read);
      else this.answerRead(read, hit.value);
    }
    if (missed.length === 0) return;
    const keys: ReadKey[] = missed.map(({ pending: { operation } }) => operation);
    store.getMany(keys, wallMs, (error, values) => {
      missed.forEach((read, at) => {
        if (error === undefined) this.answerRead(read, values[at]);
        else this.answer(read.pending, errorResult(read.pending.operation.requestId, 'CORRUPT', error.message));
      });
      this.parts.schedule();
    });
  }

  private answerRead({ pending, level, group }: ServableRead, value: ReadValue): void {
    // As of now: the value may show what was applied while it was fetched, and its reader must not go back behind that.
    this.answer(pending, readResult(pending.operation, value, level, group.raft.appliedIndex));
  }

  /** Entries were applied: the operations behind them have their outcome. */
  onApplied(group: Group, applied: readonly AppliedEntry[]): void {
    const { proposals } = group;
    let done = 0;
    for (const { entry, outcomes } of applied) {
      const proposal = proposals[done];
      if (proposal === undefined || proposal.index > entry.index) continue;
      done++;
      if (proposal.term !== entry.term) {
        // Another leader's entry stands where ours would have been: ours never will.
        this.refuseAsNotLeader(proposal.operations, group, proposal);
        proposal.settle?.('lost');
        continue;
      }
      proposal.settle?.('applied');
      this.answerApplied(proposal.operations, outcomes, entry.index);
    }
    if (done > 0) proposals.splice(0, done);
  }

  private answerApplied(operations: readonly PendingOperation[], outcomes: readonly Outcome[], index: number): void {
    for (let at = 0; at < operations.length; at++) {
      const pending = operations[at] as PendingOperation;
      const outcome = outcomes[at];
      if (outcome === undefined) continue;
      const result = okResult(pending.operation.requestId, outcome.revision, outcome.found);
      result.appliedIndex = index;
      if (outcome.number !== undefined) result.number = outcome.number;
      if (outcome.code !== okCode) {
        result.code = outcome.code;
        result.message = messageOfOutcome(outcome.code);
      }
      this.answer(pending, result);
    }
  }

  /** Proposals of a leadership that has ended have an unknown fate. */
  onRoleMayHaveChanged(group: Group): void {
    const term = group.raft.isLeader ? group.raft.currentTerm : 0;
    if (term === group.leaderTerm) return;
    const { shardId } = group;
    if (term > 0) this.parts.logger.info({ shardId, term }, 'became leader');
    else
      this.parts.logger.info({ shardId, leader: group.leaderNode, term: group.raft.currentTerm }, 'no longer leader');
    group.leaderTerm = term;
    // Those of the term that has just begun were made in this very turn.
    const orphaned = group.proposals.findIndex((proposal) => proposal.term === term);
    const orphans = group.proposals.splice(0, orphaned < 0 ? group.proposals.length : orphaned);
    for (const { operations, settle } of orphans) {
      settle?.('unknown');
      this.answerAll(operations, (id) => this.notLeader(id, group.leaderNode, true));
    }
    // Those that waited for a write of the log, which may hang, were never proposed.
    if (term > 0) return;
    for (const { operations } of group.builder.take()) this.refuseAsNotLeader(operations, group);
  }

  /** The replica is given up: what it has not answered has an unknown fate where it was proposed. */
  abandon(group: Group): void {
    for (const { operations } of group.builder.take()) this.answerNotLeader(operations, group);
    for (const { operations, settle } of group.proposals.splice(0)) {
      settle?.('unknown');
      this.answerAll(operations, (id) => this.notLeader(id, group.leaderNode, true));
    }
    for (const context of group.raft.takeReads()) this.dropRound(context as ReadRound, group);
    const rounds = [...group.waitingReads.splice(0), { reads: group.newReads, confirmations: group.newConfirmations }];
    for (const round of rounds) this.dropRound(round, group);
    this.answerNotLeader(group.newLeaseReads, group);
    group.newReads = [];
    group.newLeaseReads = [];
    group.newConfirmations = [];
    this.parts.schedule();
  }

  /**
   * These will not take effect. An operation that came twice is answered by what becomes of the other copy alone: who
   * hears that one was refused would take it for both.
   */
  private refuseWrites(
    operations: readonly PendingOperation[],
    group: Group,
    result: (requestId: number) => OperationResult,
    own?: PendingProposal,
  ): void {
    const twins = proposedAsWell(group, operations, own);
    for (const pending of operations) {
      if (twins.has(pending)) this.inflight--;
      else this.answer(pending, result(pending.operation.requestId));
    }
  }

  private refuseAsNotLeader(operations: readonly PendingOperation[], group: Group, own?: PendingProposal): void {
    this.refuseWrites(operations, group, (id) => this.notLeader(id, group.leaderNode, false), own);
  }

  private answerNotLeader(operations: readonly PendingOperation[], group: Group): void {
    this.answerAll(operations, (id) => this.notLeader(id, group.leaderNode, false));
  }

  private notLeader(requestId: number, leader: NodeId | undefined, maybeHappened: boolean): OperationResult {
    const leaderHint = leader === this.parts.options.nodeId ? '' : (leader ?? '');
    return errorResult(requestId, 'NOT_LEADER', '', { leaderHint, maybeHappened });
  }

  private answerAll(operations: readonly PendingOperation[], result: (requestId: number) => OperationResult): void {
    for (const pending of operations) this.answer(pending, result(pending.operation.requestId));
  }

  private answer(pending: PendingOperation, result: OperationResult): void {
    this.inflight--;
    this.parts.outbox.add(pending.replyTo, result);
  }

  private refuse(replyTo: string, result: OperationResult): void {
    this.counters.refused++;
    this.parts.outbox.add(replyTo, result);
  }
}
