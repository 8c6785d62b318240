/**
 * Read indexes of whole shards, whoever leads them: a replica that has applied up to one may serve reads of the shard that came
 * before the question (thesis §6.4). What is asked of one node in one turn is one message.
 *
 * Invariants:
 * 1. An index is of a heartbeat round that its leader began after the question; it is waited for until it is applied here.
 * 2. Every question is answered once: with false when there is no leader to ask, it does not answer in time, or the
 *    replica does not get that far in time.
 */
import { type Clock, isRingraftError, type Logger, type NodeId, type ShardId } from '../base/index.js';
import type { Bus, BusMessage, BusSubscription } from '../transport/index.js';
import {
  ConsistencyLevel,
  decodeReadIndexAnswer,
  decodeReadIndexRequest,
  encodeReadIndexAnswer,
  encodeReadIndexRequest,
  readIndexSubject,
} from '../wire/index.js';
import type { Group } from './group.js';
import type { HostOptions } from './options.js';
import type { Confirmation } from './pending.js';

/** From the question until the index is applied here. A round takes about a millisecond. */
const timeoutMs = 500;

export type ReadIndexesParts = {
  readonly bus: Bus;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly options: HostOptions;
  readonly groupOf: (shardId: ShardId) => Group | undefined;
  /** Of a shard led here. */
  readonly confirmRead: (group: Group, confirmation: Confirmation) => void;
  /** Serves those of a group's waiting reads whose index is applied. */
  readonly serveWaitingReads: (group: Group) => void;
};

class Question {
  private done: ((confirmed: boolean) => void) | undefined;

  constructor(
    readonly group: Group,
    readonly deadlineMs: number,
    done: (confirmed: boolean) => void,
  ) {
    this.done = done;
  }

  get isOpen(): boolean {
    return this.done !== undefined;
  }

  answer(confirmed: boolean): void {
    const { done } = this;
    this.done = undefined;
    done?.(confirmed);
  }
}

type ByShard = Map<ShardId, Question[]>;

export class ReadIndexes {
  private readonly subscriptions: BusSubscription[] = [];
  private readonly inbox: string;
  /** Of this turn, by the node that leads. */
  private gathering = new Map<NodeId, ByShard>();
  /** By the last token of their reply subject. */
  private readonly asked = new Map<string, { readonly byShard: ByShard; readonly deadlineMs: number }>();
  /** In the order of their deadlines; those at the front are open. */
  private open: Question[] = [];
  private lastToken = 0;
  /** Messages that asked. */
  readonly counters = { requests: 0 };

  constructor(private readonly parts: ReadIndexesParts) {
    this.inbox = parts.bus.newInbox();
  }

  start(): void {
    const { bus, options } = this.parts;
    const subject = readIndexSubject(options.cluster, options.nodeId);
    this.subscriptions.push(
      bus.subscribe('client', subject, (message) => this.onRequest(message)),
      bus.subscribe('client', `${this.inbox}.*`, (message) => this.onAnswer(message)),
    );
  }

  stop(): void {
    for (const subscription of this.subscriptions.splice(0)) subscription.unsubscribe();
  }

  /** Calls back once a read of the whole shard that came before may be served here. */
  confirm(group: Group, done: (confirmed: boolean) => void): void {
    if (group.raft.isLeader) {
      this.parts.confirmRead(group, (index) => done(index !== undefined));
      return;
    }
    const { leaderNode } = group;
    if (leaderNode === undefined) {
      done(false);
      return;
    }
    const { clock } = this.parts;
    const question = new Question(group, clock.nowMs() + timeoutMs, done);
    this.open.push(question);
    if (this.gathering.size === 0) clock.defer(() => this.ask());
    const byShard: ByShard = this.gathering.get(leaderNode) ?? new Map();
    this.gathering.set(leaderNode, byShard);
    const questions = byShard.get(group.shardId);
    if (questions === undefined) byShard.set(group.shardId, [question]);
    else questions.push(question);
  }

  /** Gives up what is overdue; to be called every now and then. */
  sweep(nowMs: number): void {
    let closed = 0;
    for (const question of this.open) {
      if (question.isOpen && question.deadlineMs > nowMs) break;
      question.answer(false);
      closed++;
    }
    if (closed > 0) this.open.splice(0, closed);
    for (const [token, { deadlineMs }] of this.asked) {
      if (deadlineMs > nowMs) break;
      this.asked.delete(token);
    }
  }

  private ask(): void {
    const { bus, clock, options } = this.parts;
    const deadlineMs = clock.nowMs() + timeoutMs;
    const { gathering } = this;
    this.gathering = new Map();
    for (const [node, byShard] of gathering) {
      const token = String(++this.lastToken);
      this.asked.set(token, { byShard, deadlineMs });
      this.counters.requests++;
      const payload = encodeReadIndexRequest({ shards: [...byShard.keys()] });
      bus.publish('client', readIndexSubject(options.cluster, node), payload, { replyTo: `${this.inbox}.${token}` });
    }
  }

  private onAnswer({ subject, payload, noResponders }: BusMessage): void {
    const token = subject.slice(this.inbox.length + 1);
    const asked = this.asked.get(token);
    if (asked === undefined) return;
    this.asked.delete(token);
    const answer = noResponders ? undefined : this.read(payload, decodeReadIndexAnswer);
    const indexes = new Map(answer?.shards.map((shard, at) => [shard, answer.indexes[at]]));
    for (const [shardId, questions] of asked.byShard) {
      const index = indexes.get(shardId);
      for (const question of questions) {
        if (index === undefined) question.answer(false);
        else this.awaitApplied(question, index);
      }
    }
  }

  private awaitApplied(question: Question, index: number): void {
    const { group } = question;
    if (group.isRemoved) {
      question.answer(false);
      return;
    }
    const confirmations = [(applied: number | undefined) => question.answer(applied !== undefined)];
    group.addWaiting({ index, level: ConsistencyLevel.Linearizable, reads: [], confirmations });
    this.parts.serveWaitingReads(group);
  }

  /** Another node asks for shards that it thinks are led here. Those that are not are left out of the answer. */
  private onRequest({ payload, replyTo }: BusMessage): void {
    if (replyTo === undefined) return;
    const request = this.read(payload, decodeReadIndexRequest);
    if (request === undefined) return;
    const answer = { shards: [] as number[], indexes: [] as number[] };
    let waiting = request.shards.length;
    for (const shard of request.shards) {
      const settle: Confirmation = (index) => {
        if (index !== undefined) {
          answer.shards.push(shard);
          answer.indexes.push(index);
        }
        if (--waiting === 0) this.parts.bus.publish('client', replyTo, encodeReadIndexAnswer(answer));
      };
      const group = this.parts.groupOf(shard as ShardId);
      if (group === undefined) settle(undefined);
      else this.parts.confirmRead(group, settle);
    }
  }

  private read<Message>(payload: Buffer, decode: (payload: Buffer) => Message): Message | undefined {
    try {
      return decode(payload);
    } catch (error) {
      if (!isRingraftError(error)) throw error;
      this.parts.logger.warn({ error: error.message }, 'dropped a malformed message about read indexes');
      return undefined;
    }
  }
}
