/**
 * Reads that need no leader: level `one` asks replicas in turn until one answers, level `quorum` asks all of a shard's
 * replicas and puts their answers together (`quorum-proof.ts`).
 *
 * Invariants:
 * 1. Level `one` never goes back within this client: each question names what the client has seen of the shard, in
 *    whatever way it saw it.
 * 2. Every answer counted was given after the read began; that is all the proof asks of it.
 * 3. There is no timer per read: one sweep runs while any is live.
 */
import { assert, type Clock, isRingraftError, RingraftError, type ShardId } from '../base/index.js';
import type { Bus, BusMessage } from '../transport/index.js';
import {
  ConsistencyLevel,
  codeOf,
  decodeResultBatch,
  encodeOperationBatch,
  type Operation,
  type OperationResult,
  okCode,
} from '../wire/index.js';
import { maxBatchOperations } from './batch-sender.js';
import { type Listed, LiveList } from './live-list.js';
import type { NodeLink } from './node-link.js';
import { NumberedTable } from './numbered-table.js';
import { judge } from './quorum-proof.js';
import type { RoutingTable, ShardRoute } from './routing-table.js';
import { SendPacing } from './send-pacing.js';

const sweepMs = 10;
/** Entries that were not applied yet may be by then. */
const askAgainMs = 10;
/** Replicas that did not answer, or not usefully. */
const retryMs = 40;
/** A replica that does not answer is passed over for the next one after so long. */
const patienceMs = 250;
/** ... and is asked again only then, while others answer. */
const silentMs = 2000;
/** First letter of reply tokens: they tell these answers from those to batches of the pipeline. */
export const replicaToken = 'q';

/** What the client has seen of each shard. */
export class SeenIndexes {
  private readonly seen = new Map<ShardId, number>();

  at(shard: ShardId): number {
    return this.seen.get(shard) ?? 0;
  }

  note(shard: ShardId, index: number): void {
    assert(index >= 0, () => `shard ${shard} was seen at ${index}`);
    if (index > this.at(shard)) this.seen.set(shard, index);
  }
}

export type ReplicaReadsParts = {
  readonly bus: Bus;
  readonly clock: Clock;
  readonly routes: RoutingTable;
  readonly clientId: string;
  readonly seen: SeenIndexes;
  /** Where answers come to that carry this token. */
  readonly replySubject: (token: string) => string;
  /** The map looks out of date. Cheap. */
  readonly onMapDoubted: () => void;
};

export type ReplicaRead = {
  readonly operation: Operation;
  readonly ringPosition: number;
  readonly timeoutMs: number;
  /** Level `quorum`: how many replicas must answer; undefined: a majority of them. */
  readonly readQuorum: number | undefined;
};

type Live = Listed & {
  readonly read: ReplicaRead;
  readonly deadlineMs: number;
  readonly resolve: (result: OperationResult) => void;
  readonly reject: (error: RingraftError) => void;
  /** Answers of this round; `null`: asked and not answered yet. */
  readonly round: Map<NodeLink, OperationResult | null>;
  /** Level `one`: whom to ask next. */
  turn: number;
  /** The next round begins; Infinity while one is under way. */
  dueMs: number;
  /** Why replicas did not answer usefully, last. */
  refusal: OperationResult | undefined;
};

/** One replica asked for one read. */
type Question = { readonly live: Live; readonly link: NodeLink; sentMs: number };

export class ReplicaReads {
  private readonly live = new LiveList<Live>();
  /** Of each round, by request id. */
  private readonly asked = new NumberedTable<Question>();
  private outgoing = new Map<NodeLink, Operation[]>();
  private toSend: Question[] = [];
  private readonly pacing: SendPacing;
  private sweepScheduled = false;
  private turns = 0;
  private closed = false;

  constructor(private readonly parts: ReplicaReadsParts) {
    const load = () => ({ toSend: this.toSend.length, inFlight: this.asked.size });
    this.pacing = new SendPacing(parts.clock, load, () => this.flush());
  }

  /**
   * Rejects with NO_QUORUM, TOO_STALE or TIMEOUT when the replicas do not allow an answer in time, BAD_REQUEST or another
   * final error of a node at once.
   */
  read(read: ReplicaRead): Promise<OperationResult> {
    if (this.closed) return Promise.reject(new RingraftError('CLOSED', 'the client is closed'));
    return new Promise((resolve, reject) => {
      const deadlineMs = this.parts.clock.nowMs() + read.timeoutMs;
      const live: Live = {
        read,
        deadlineMs,
        resolve,
        reject,
        round: new Map(),
        turn: this.turns++,
        dueMs: Number.POSITIVE_INFINITY,
        refusal: undefined,
        slot: -1,
      };
      this.live.add(live);
      this.begin(live);
      this.scheduleSweep();
    });
  }

  private route({ read }: Live): ShardRoute {
    return this.parts.routes.routeAt(read.ringPosition);
  }

  private begin(live: Live): void {
    const nowMs = this.parts.clock.nowMs();
    live.dueMs = Number.POSITIVE_INFINITY;
    const { replicas } = this.route(live);
    if (live.read.operation.level === ConsistencyLevel.Quorum) {
      live.round.clear();
      for (const link of replicas) this.ask(live, link);
      // Whoever has not answered by then is asked again, and so are the others.
      live.dueMs = nowMs + patienceMs;
      return;
    }
    for (const [link, answer] of live.round) if (answer === null) link.silentUntilMs = nowMs + silentMs;
    const there = replicas.filter((link) => !link.isDown(nowMs));
    const answering = there.filter((link) => !link.isSilent(nowMs));
    const candidates = [answering, there].find((links) => links.length > 0) ?? replicas;
    const link = candidates[live.turn++ % candidates.length] as NodeLink;
    live.round.clear();
    this.ask(live, link);
    live.dueMs = nowMs + patienceMs;
  }

  private ask(live: Live, link: NodeLink): void {
    live.round.set(link, null);
    const question: Question = { live, link, sentMs: 0 };
    const requestId = this.asked.add(question);
    const atLeastIndex = this.parts.seen.at(this.route(live).id);
    const batch = this.outgoing.get(link) ?? [];
    batch.push({ ...live.read.operation, requestId, atLeastIndex });
    this.outgoing.set(link, batch);
    this.toSend.push(question);
    this.pacing.request();
  }

  private flush(): void {
    const { outgoing, toSend } = this;
    this.outgoing = new Map();
    this.toSend = [];
    if (this.closed) return;
    const nowMs = this.parts.clock.nowMs();
    for (const question of toSend) question.sentMs = nowMs;
    for (const [link, operations] of outgoing) {
      for (let from = 0; from < operations.length; from += maxBatchOperations) {
        this.publish(link, operations.slice(from, from + maxBatchOperations));
      }
    }
  }

  private publish(link: NodeLink, operations: Operation[]): void {
    const { bus, clientId, routes, replySubject } = this.parts;
    const payload = encodeOperationBatch({ clientId, ackedBelow: 0, mapEpoch: routes.map.epoch, operations });
    // What nobody listens to comes back under the reply subject: it names the node.
    const replyTo = replySubject(`${replicaToken}${link.number}`);
    try {
      bus.publish('client', link.subject, payload, { replyTo });
    } catch (error) {
      if (!isRingraftError(error)) throw error;
    }
  }

  onMessage(token: string, message: BusMessage): void {
    if (this.closed) return;
    if (message.noResponders) {
      this.onNobody(token);
      return;
    }
    let results: readonly OperationResult[];
    try {
      ({ results } = decodeResultBatch(message.payload));
    } catch {
      return;
    }
    for (const result of results) this.onResult(result);
  }

  /** Nobody listens on the node's subject: it has none of the questions. */
  private onNobody(token: string): void {
    const link = this.parts.routes.linkOfToken(token.slice(replicaToken.length));
    if (link === undefined) return;
    const nowMs = this.parts.clock.nowMs();
    this.parts.routes.onUnreachable(link, nowMs + patienceMs);
    this.parts.onMapDoubted();
    this.live.forEach((live) => {
      if (live.round.get(link) !== null) return;
      live.round.delete(link);
      if (live.read.operation.level === ConsistencyLevel.One)
        live.dueMs = nowMs + (this.hasTriedAll(live) ? retryMs : 0);
      else this.weigh(live);
    });
  }

  private hasTriedAll(live: Live): boolean {
    return live.turn % this.route(live).replicas.length === 0;
  }

  private onResult(result: OperationResult): void {
    const question = this.asked.get(result.requestId);
    if (question === undefined) return;
    this.asked.delete(result.requestId);
    const { live, link, sentMs } = question;
    if (!this.live.has(live) || live.round.get(link) !== null) return;
    link.lastHeardMs = this.parts.clock.nowMs();
    link.silentUntilMs = Number.NEGATIVE_INFINITY;
    this.pacing.noteAnswer(link.lastHeardMs - sentMs);
    const isOne = live.read.operation.level === ConsistencyLevel.One;
    if (result.code !== okCode) {
      this.onRefusal(live, link, result);
      return;
    }
    live.round.set(link, result);
    if (isOne) this.settle(live, result);
    else this.weigh(live);
  }

  private onRefusal(live: Live, link: NodeLink, result: OperationResult): void {
    const code = codeOf(result.code);
    live.round.delete(link);
    if (code === 'BAD_REQUEST' || code === 'NOT_FOUND' || code === 'CORRUPT' || code === undefined) {
      this.fail(live, new RingraftError(code ?? 'BAD_REQUEST', result.message || `the node answered ${result.code}`));
      return;
    }
    live.refusal = result;
    if (code === 'WRONG_SHARD') this.parts.onMapDoubted();
    if (live.read.operation.level === ConsistencyLevel.Quorum) {
      this.weigh(live);
      return;
    }
    live.dueMs = this.parts.clock.nowMs() + (this.hasTriedAll(live) ? retryMs : 0);
    this.scheduleSweep(0);
  }

  /** What the answers to a quorum read come to. */
  private weigh(live: Live): void {
    const answers = [...live.round.values()].filter((answer) => answer !== null);
    const wanted = this.wanted(live);
    const open = live.round.size - answers.length;
    if (answers.length >= wanted && answers.length > 0) {
      const verdict = judge(answers);
      if (verdict.isProven) {
        // No copy: what a message leaves out stands in its prototype.
        verdict.newest.maybeStale = false;
        this.settle(live, verdict.newest);
        return;
      }
      // Fewer than a majority were asked for: they prove nothing, however long one waits.
      if (!verdict.hasMajority && wanted * 2 <= this.route(live).replicas.length) {
        this.settle(live, verdict.newest);
        return;
      }
      if (verdict.hasMajority || open === 0) {
        live.dueMs = this.parts.clock.nowMs() + (verdict.hasMajority ? askAgainMs : retryMs);
      }
      return;
    }
    if (open === 0) live.dueMs = this.parts.clock.nowMs() + retryMs;
  }

  private wanted(live: Live): number {
    const { read } = live;
    return read.readQuorum ?? Math.floor(this.route(live).replicas.length / 2) + 1;
  }

  private scheduleSweep(afterMs = sweepMs): void {
    if (this.sweepScheduled || this.closed || this.live.size === 0) return;
    this.sweepScheduled = true;
    this.parts.clock.after(afterMs, () => {
      this.sweepScheduled = false;
      if (this.closed) return;
      const nowMs = this.parts.clock.nowMs();
      this.live.forEach((live) => {
        if (nowMs >= live.deadlineMs) this.expire(live);
        else if (nowMs >= live.dueMs) this.begin(live);
      });
      this.scheduleSweep();
    });
  }

  /** Time is out: the best there is, where it may be given, or the reason why there is nothing. */
  private expire(live: Live): void {
    const { operation, timeoutMs } = live.read;
    const answers = [...live.round.values()].filter((answer) => answer !== null);
    if (operation.level === ConsistencyLevel.Quorum) {
      const wanted = this.wanted(live);
      if (answers.length >= wanted) {
        this.settle(live, judge(answers).newest);
        return;
      }
      const message = `${answers.length} of the ${wanted} replicas wanted answered within ${timeoutMs} ms`;
      this.fail(live, new RingraftError('NO_QUORUM', message));
      return;
    }
    const refused = live.refusal === undefined ? undefined : codeOf(live.refusal.code);
    const why = live.refusal?.message ?? '';
    if (refused === 'TOO_STALE') this.fail(live, new RingraftError('TOO_STALE', why));
    else
      this.fail(live, new RingraftError('TIMEOUT', `no replica answered within ${timeoutMs} ms${why && `: ${why}`}`));
  }

  private settle(live: Live, result: OperationResult): void {
    this.live.remove(live);
    this.parts.seen.note(this.route(live).id, Math.max(result.appliedIndex, result.shownIndex));
    live.resolve(result);
    this.dropQuestions();
  }

  private fail(live: Live, error: RingraftError): void {
    this.live.remove(live);
    live.reject(error);
    this.dropQuestions();
  }

  /** Questions nobody waits for any more are dropped together, now and then. */
  private dropQuestions(): void {
    if (this.asked.size < 1024 + 8 * this.live.size) return;
    this.asked.deleteWhere(({ live }) => !this.live.has(live));
  }

  close(): void {
    this.closed = true;
    this.pacing.stop();
    this.live.forEach((live) => {
      this.live.remove(live);
      live.reject(new RingraftError('CLOSED', 'the client was closed'));
    });
  }
}
