/**
 * All operations from call to outcome: admission, batches for each node, answers, retries, deadlines.
 *
 * Invariants:
 * 1. An operation is settled exactly once; a write keeps its sequence over all attempts, a read has none.
 * 2. Every attempt has a request id of its own, so that an answer is known to belong to one attempt: a write is only
 *    said not to have happened when each of its attempts was refused by a node, or reached none.
 * 3. At most `maxInFlight` operations are live; the others wait in the order of their calls.
 * 4. There is no timer per operation: one sweep runs while anything is live or waiting.
 */
import { assert, type Clock, type Random, RingraftError } from '../base/index.js';
import type { Bus, BusMessage } from '../transport/index.js';
import { codeOf, decodeResultBatch, type OperationResult, okCode, type ResultBatch } from '../wire/index.js';
import { BatchSender } from './batch-sender.js';
import { LiveList } from './live-list.js';
import type { NodeLink } from './node-link.js';
import { NumberedTable } from './numbered-table.js';
import { errorOfDeadline, errorOfResult, happenedSoFar } from './outcome.js';
import { OperationState, type PendingOperation, type Refusal } from './pending-operation.js';
import type { SeenIndexes } from './replica-reads.js';
import {
  attemptTimeoutMs,
  backOffMs,
  downMs,
  maxHops,
  probeAfterMs,
  sweepIntervalMs,
  waitingSweepIntervalMs,
} from './retry-policy.js';
import type { RoutingTable } from './routing-table.js';
import { SendPacing } from './send-pacing.js';
import { SequenceWindow } from './sequence-window.js';
import { WaitingLine } from './waiting-line.js';

export type PipelineParts = {
  readonly bus: Bus;
  readonly clock: Clock;
  readonly random: Random;
  readonly routes: RoutingTable;
  /** latin1 of 8 random bytes. */
  readonly clientId: string;
  readonly maxInFlight: number;
  readonly seen: SeenIndexes;
  /** The map, or what it says of leaders, looks out of date. Called often; must be cheap. */
  readonly onMapDoubted: () => void;
  /** A node has a newer map. Called often; must be cheap. */
  readonly onMapOutdated: () => void;
};

export class OperationPipeline {
  private readonly live = new LiveList<PendingOperation>();
  /** By their request ids. */
  private readonly attempts = new NumberedTable<PendingOperation>();
  private readonly waiting = new WaitingLine();
  private readonly sequences = new SequenceWindow();
  private readonly sender: BatchSender;
  private readonly pacing: SendPacing;
  private outgoing: PendingOperation[] = [];
  private sweepScheduled = false;
  private nextExpiryMs = 0;
  private closed = false;
  private readonly noteSent = (pending: PendingOperation): void => this.beginAttempt(pending);

  constructor(private readonly parts: PipelineParts) {
    this.sender = new BatchSender(parts.bus, {
      clientId: parts.clientId,
      sequences: this.sequences,
      mapEpoch: () => parts.routes.map.epoch,
    });
    const load = () => ({ toSend: this.outgoing.length, inFlight: this.live.size });
    this.pacing = new SendPacing(parts.clock, load, () => this.flush());
  }

  /** Operations live or waiting. */
  get unsettled(): number {
    return this.live.size + this.waiting.length;
  }

  get batchesSent(): number {
    return this.sender.messages;
  }

  submit(pending: PendingOperation): void {
    if (this.waiting.length === 0 && this.hasRoomFor(pending)) this.admit(pending);
    else this.waiting.push(pending);
    this.scheduleSweep();
  }

  /** Operations made one by one as there is room; the time of each runs from then. */
  submitLazily(count: number, make: (at: number) => PendingOperation | undefined): void {
    this.waiting.pushLazily(count, make);
    this.admitWaiting();
    this.scheduleSweep();
  }

  private hasRoomFor(pending: PendingOperation): boolean {
    if (this.live.size >= this.parts.maxInFlight) return false;
    return !pending.takesSequence || this.sequences.hasRoom(this.parts.routes.routeAt(pending.ringPosition).id);
  }

  private admitWaiting(): void {
    for (;;) {
      const next = this.waiting.peek();
      if (next === undefined || !this.hasRoomFor(next)) return;
      this.waiting.shift();
      this.admit(next);
    }
  }

  private admit(pending: PendingOperation): void {
    if (pending.takesSequence) {
      pending.shard = this.parts.routes.routeAt(pending.ringPosition).id;
      pending.operation.sequence = this.sequences.take(pending.shard);
    }
    this.live.add(pending);
    this.sendSoon(pending);
  }

  private sendSoon(pending: PendingOperation): void {
    pending.state = OperationState.Outgoing;
    this.outgoing.push(pending);
    this.pacing.request();
  }

  private flush(): void {
    const { outgoing } = this;
    if (outgoing.length === 0 || this.closed) return;
    this.outgoing = [];
    const { routes, bus, clock } = this.parts;
    const nowMs = clock.nowMs();
    const isConnected = bus.isConnected('client');
    for (const pending of outgoing) {
      if (pending.state !== OperationState.Outgoing) continue;
      const link = isConnected ? routes.choose(routes.routeAt(pending.ringPosition), pending.link, nowMs) : undefined;
      if (link === undefined) this.backOff(pending);
      else link.outgoing.push(pending);
      pending.sentMs = nowMs;
      pending.link = link ?? pending.link;
    }
    for (const link of routes.allLinks) if (link.outgoing.length > 0) this.sender.send(link, this.noteSent);
  }

  private beginAttempt(pending: PendingOperation): void {
    const { operation, link, sentMs } = pending;
    assert(link !== undefined, 'an attempt has a node');
    operation.requestId = this.attempts.add(pending);
    link.outstanding++;
    pending.attempts++;
    pending.state = OperationState.Sent;
    pending.dueMs = sentMs + attemptTimeoutMs(pending.silences);
  }

  /** A message on the reply subject of `link`. */
  onMessage(token: string, message: BusMessage): void {
    const link = this.parts.routes.linkOfToken(token);
    if (link === undefined || this.closed) return;
    if (message.noResponders) {
      if (link.isProbe(token)) {
        this.onNoResponders(link, false);
        return;
      }
      const allRefused = link.onNoResponders(token);
      if (allRefused !== undefined) this.onNoResponders(link, allRefused);
      return;
    }
    link.lastHeardMs = this.parts.clock.nowMs();
    link.downUntilMs = Number.NEGATIVE_INFINITY;
    let batch: ResultBatch;
    try {
      batch = decodeResultBatch(message.payload);
    } catch {
      // Whoever sent it is no node of ours; the attempts it may have meant run into their time-outs.
      return;
    }
    if (batch.mapEpoch > this.parts.routes.map.epoch) this.parts.onMapOutdated();
    for (const result of batch.results) this.onResult(result, link.lastHeardMs);
    this.admitWaiting();
  }

  private onResult(result: OperationResult, nowMs: number): void {
    const pending = this.attempts.get(result.requestId);
    if (pending === undefined) return;
    const isCurrent = this.endAttempt(pending, result.requestId);
    if (result.code === okCode) {
      const { sink } = pending;
      if (isCurrent) this.pacing.noteAnswer(nowMs - pending.sentMs);
      if (result.appliedIndex > 0)
        this.parts.seen.note(this.parts.routes.routeAt(pending.ringPosition).id, result.appliedIndex);
      this.settle(pending);
      sink.succeed(pending, result);
      return;
    }
    const refusal = refusalOf(result);
    if (refusal === undefined) {
      this.fail(pending, errorOfResult(pending, result));
      return;
    }
    if (result.maybeHappened) pending.maybeHappened = true;
    pending.refusal = refusal;
    if (isCurrent) this.retry(pending, refusal, result.leaderHint);
  }

  /** Takes one attempt off; true when it was the latest one and nothing newer is under way. */
  private endAttempt(pending: PendingOperation, requestId: number): boolean {
    this.attempts.delete(requestId);
    if (pending.state === OperationState.Sent && pending.operation.requestId === requestId) {
      (pending.link as NodeLink).outstanding--;
      pending.state = OperationState.BackingOff;
      return true;
    }
    const lost = pending.lost?.find((attempt) => attempt.requestId === requestId);
    assert(lost !== undefined, 'an attempt is the current one or a lost one');
    lost.link.outstanding--;
    const others = pending.lost?.filter((attempt) => attempt !== lost) ?? [];
    pending.lost = others.length > 0 ? others : undefined;
    return false;
  }

  private retry(pending: PendingOperation, refusal: Refusal, hint: string): void {
    const { routes, clock, onMapDoubted } = this.parts;
    const link = pending.link as NodeLink;
    if (refusal === 'noLeader') {
      const hasLeader = routes.onNotLeader(routes.routeAt(pending.ringPosition), link, hint, clock.nowMs());
      if (hasLeader && pending.hops < maxHops) {
        pending.hops++;
        this.sendSoon(pending);
        return;
      }
    }
    if (refusal === 'wrongShard') {
      routes.onSilent(routes.routeAt(pending.ringPosition), link);
      onMapDoubted();
    }
    this.backOff(pending);
  }

  private backOff(pending: PendingOperation): void {
    const { random, clock } = this.parts;
    pending.hops = 0;
    pending.state = OperationState.BackingOff;
    pending.dueMs = clock.nowMs() + backOffMs(random, pending.backOffs++);
  }

  /** Nobody listens on the node's subject: what is outstanding there goes elsewhere at once. */
  private onNoResponders(link: NodeLink, allRefused: boolean): void {
    const { routes, clock, onMapDoubted } = this.parts;
    const nowMs = clock.nowMs();
    routes.onUnreachable(link, nowMs + downMs);
    onMapDoubted();
    for (const pending of this.live.all) {
      if (allRefused) this.dropLost(pending, link);
      if (pending.state !== OperationState.Sent || pending.link !== link) continue;
      if (allRefused) this.endAttempt(pending, pending.operation.requestId);
      else this.loseAttempt(pending);
      pending.refusal = 'unreachable';
      const next = routes.choose(routes.routeAt(pending.ringPosition), link, nowMs);
      if (next === undefined || next.isDown(nowMs) || pending.hops >= maxHops) {
        this.backOff(pending);
      } else {
        pending.hops++;
        this.sendSoon(pending);
      }
    }
  }

  private dropLost(pending: PendingOperation, link: NodeLink): void {
    for (const attempt of pending.lost ?? []) if (attempt.link === link) this.endAttempt(pending, attempt.requestId);
  }

  /** The latest attempt stays unanswered: an answer may come yet, but another attempt is made. */
  private loseAttempt(pending: PendingOperation): void {
    const lost = { requestId: pending.operation.requestId, link: pending.link as NodeLink };
    pending.lost = pending.lost === undefined ? [lost] : [...pending.lost, lost];
    pending.state = OperationState.BackingOff;
  }

  private scheduleSweep(): void {
    if (this.sweepScheduled || this.closed || this.unsettled === 0) return;
    this.sweepScheduled = true;
    this.parts.clock.after(sweepIntervalMs, () => {
      this.sweepScheduled = false;
      if (this.closed) return;
      this.sweep(this.parts.clock.nowMs());
      this.scheduleSweep();
    });
  }

  private sweep(nowMs: number): void {
    const isConnected = this.parts.bus.isConnected('client');
    this.live.forEach((pending) => {
      if (nowMs >= pending.deadlineMs) this.fail(pending, errorOfDeadline(pending, isConnected));
      else if (nowMs >= pending.dueMs) this.onDue(pending, nowMs);
    });
    if (isConnected) this.probeSilentNodes(nowMs);
    if (nowMs >= this.nextExpiryMs) {
      this.nextExpiryMs = nowMs + waitingSweepIntervalMs;
      this.waiting.expire(nowMs, (pending) => pending.sink.fail(pending, errorOfDeadline(pending, isConnected)));
    }
    this.admitWaiting();
  }

  /** Nodes that owe answers and say nothing are asked whether they are there. */
  private probeSilentNodes(nowMs: number): void {
    for (const link of this.parts.routes.allLinks) {
      if (link.outstanding === 0 || nowMs - link.lastHeardMs < probeAfterMs) continue;
      if (nowMs - link.lastProbedMs < probeAfterMs) continue;
      link.lastProbedMs = nowMs;
      this.sender.probe(link);
    }
  }

  private onDue(pending: PendingOperation, nowMs: number): void {
    if (pending.state === OperationState.BackingOff) {
      this.sendSoon(pending);
    } else if (pending.state === OperationState.Sent) {
      this.onSilence(pending, nowMs);
    }
  }

  private onSilence(pending: PendingOperation, nowMs: number): void {
    const link = pending.link as NodeLink;
    const ageMs = nowMs - pending.sentMs;
    const wasHeard = link.lastHeardMs >= pending.sentMs;
    // A node that answers others is busy rather than gone: it gets twice the time.
    if (wasHeard && ageMs < 2 * attemptTimeoutMs(pending.silences)) return;
    const { routes, onMapDoubted } = this.parts;
    if (!wasHeard) {
      routes.onSilent(routes.routeAt(pending.ringPosition), link);
      onMapDoubted();
    }
    this.loseAttempt(pending);
    pending.silences++;
    pending.refusal = 'none';
    this.sendSoon(pending);
  }

  /** The connection is back: answers may have been lost with the old one. */
  onConnected(): void {
    for (const pending of this.live.all) {
      if (pending.state === OperationState.Sent) this.loseAttempt(pending);
      if (pending.state === OperationState.BackingOff) this.sendSoon(pending);
    }
  }

  private fail(pending: PendingOperation, error: RingraftError): void {
    const { sink } = pending;
    this.settle(pending);
    sink.fail(pending, error);
  }

  private settle(pending: PendingOperation): void {
    const { operation, lost, link } = pending;
    if (pending.state === OperationState.Sent) {
      this.attempts.delete(operation.requestId);
      link?.abandon(1);
    }
    for (const attempt of lost ?? []) {
      this.attempts.delete(attempt.requestId);
      attempt.link.abandon(1);
    }
    pending.state = OperationState.Settled;
    if (operation.sequence > 0 && pending.takesSequence) this.sequences.settle(pending.shard, operation.sequence);
    this.live.remove(pending);
  }

  /** Fails everything with CLOSED; nothing may be submitted afterwards. */
  close(): void {
    this.closed = true;
    this.pacing.stop();
    const closedError = (pending: PendingOperation): RingraftError =>
      new RingraftError('CLOSED', 'the client was closed', { happened: happenedSoFar(pending) });
    this.live.forEach((pending) => {
      this.fail(pending, closedError(pending));
    });
    this.waiting.expire(Number.POSITIVE_INFINITY, (pending) => pending.sink.fail(pending, closedError(pending)));
  }
}

/** Why the attempt is worth repeating; undefined when its answer is final. */
function refusalOf(result: OperationResult): Refusal | undefined {
  switch (codeOf(result.code)) {
    case 'NOT_LEADER':
    case 'NO_LEADER':
    case 'CLOSED':
      return 'noLeader';
    case 'BUSY':
      return 'busy';
    case 'NO_QUORUM':
    case 'TIMEOUT':
      return 'noQuorum';
    case 'WRONG_SHARD':
      return 'wrongShard';
    default:
      return undefined;
  }
}
