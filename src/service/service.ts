/**
 * The public API: NATS request-reply for any language (docs/protocol.md). Any node answers any request, through a
 * client of its own.
 *
 * Invariants:
 * 1. Every request with a reply subject gets exactly one answer.
 * 2. A write without a reply subject is executed all the same; a read without one is nothing.
 */
import { type Clock, isRingraftError, type NodeId, RingraftError, systemClock } from '../base/index.js';
import type { RingraftClient } from '../client/index.js';
import type { Bus, BusMessage, BusSubscription } from '../transport/index.js';
import { queueGroup } from '../wire/index.js';
import { type Answer, deleteAnswer, errorAnswer, getAnswer, headerBytes, putAnswer, ScanAnswer } from './answer.js';
import { serveDiscovery } from './discovery.js';
import { type EndpointName, endpointNames, type Form, type KvRequest, parseRequest, targetOf } from './request.js';
import { EndpointCounter, type EndpointStatistics } from './statistics.js';

export type ServiceOptions = {
  /** First token or tokens of the public subjects, `kv` by default elsewhere. */
  readonly prefix: string;
  readonly cluster: string;
  readonly version: string;
  readonly nodeId: NodeId;
  readonly clock?: Clock;
};

export type Service = {
  /** Takes no new requests, and resolves when those under way are answered. Idempotent. */
  stop(): Promise<void>;
  /** By endpoint, since the start. */
  readonly statistics: readonly EndpointStatistics[];
};

/** Requests under way beyond which new ones are answered BUSY. */
const maxRequests = 16_384;
/** Room in a message for headers and what surrounds the items. */
const answerOverheadBytes = 1024;

/** Serves at once; the caller keeps bus and client, and closes them after `stop`. */
export function startService(bus: Bus, client: RingraftClient, options: ServiceOptions): Service {
  return new KvService(bus, client, options);
}

class KvService implements Service {
  private readonly clock: Clock;
  private readonly counters: readonly EndpointCounter[];
  private readonly subscriptions: BusSubscription[] = [];
  private underWay = 0;
  private stopping: Promise<void> | undefined;
  private onIdle: () => void = () => {};

  constructor(
    private readonly bus: Bus,
    private readonly client: RingraftClient,
    options: ServiceOptions,
  ) {
    const { prefix, cluster, version, nodeId } = options;
    this.clock = options.clock ?? systemClock;
    this.counters = endpointNames.map((name) => new EndpointCounter(name, `${prefix}.${name}.>`));
    for (const counter of this.counters) {
      const root = `${prefix}.${counter.name}.`;
      const handle = (message: BusMessage): void => this.receive(counter, root, message);
      this.subscriptions.push(bus.subscribe('client', counter.subject, handle, { queue: queueGroup }));
    }
    const startedAtMs = this.clock.wallMs();
    const identity = { id: `${cluster}-${nodeId}`, version, metadata: { cluster, node: nodeId }, startedAtMs };
    this.subscriptions.push(...serveDiscovery(bus, identity, () => this.statistics));
  }

  get statistics(): readonly EndpointStatistics[] {
    return this.counters.map((counter) => counter.snapshot());
  }

  private receive(counter: EndpointCounter, subjectRoot: string, message: BusMessage): void {
    const isRead = counter.name === 'get' || counter.name === 'scan';
    if (isRead && message.replyTo === undefined) return;
    const beganMs = this.clock.nowMs();
    this.underWay++;
    // What is no operating error is not caught here: it stops the node.
    void this.answerTo(counter.name, subjectRoot, message)
      .then((answer) => this.reply(message.replyTo, answer))
      .catch((error: unknown) => this.replyError(message.replyTo, error))
      .then((error) => {
        counter.count(this.clock.nowMs() - beganMs, error);
        this.underWay--;
        if (this.underWay === 0) this.onIdle();
      });
  }

  private async answerTo(name: EndpointName, subjectRoot: string, message: BusMessage): Promise<Answer> {
    if (this.underWay > maxRequests)
      throw new RingraftError('BUSY', `${maxRequests} requests are under way on this node`);
    const target = targetOf(message.subject, subjectRoot);
    const form: Form = target.key === undefined ? 'json' : 'raw';
    return this.execute(parseRequest(name, target, message), form);
  }

  private async execute(request: KvRequest, form: Form): Promise<Answer> {
    const { client } = this;
    switch (request.op) {
      case 'get': {
        const result = await client.get(request.bucket, request.key, request.options);
        if (result === undefined) throw new RingraftError('NOT_FOUND', 'no such key');
        return getAnswer(form, request.key, result);
      }
      case 'put': {
        const { revision } = await client.put(request.bucket, request.key, request.value, request.options);
        return putAnswer(form, request.key, revision);
      }
      case 'del': {
        const { found, revision } = await client.delete(request.bucket, request.key, request.options);
        return deleteAnswer(form, request.key, found, revision);
      }
      case 'scan':
        return this.scan(request.bucket, request.options);
    }
  }

  /** One item more than asked for is read, to know whether there is more. */
  private async scan(bucket: string, options: Extract<KvRequest, { op: 'scan' }>['options']): Promise<Answer> {
    const limit = options.limit ?? 0;
    const answer = new ScanAnswer(this.bus.maxPayloadBytes - answerOverheadBytes, options.keysOnly === true);
    let count = 0;
    for await (const item of this.client.scan(bucket, { ...options, limit: limit + 1 })) {
      if (count === limit) return answer.finish(true);
      if (!answer.add(item)) {
        if (!answer.isEmpty) return answer.finish(true);
        throw new RingraftError('TOO_LARGE', 'an item of the scan does not fit into a message; read it by its key');
      }
      count++;
    }
    return answer.finish(false);
  }

  private reply(replyTo: string | undefined, { payload, headers }: Answer): undefined {
    if (replyTo === undefined) return;
    const { maxPayloadBytes } = this.bus;
    if (payload.length + headerBytes(headers) > maxPayloadBytes) {
      const hint = 'the form with the key in the subject needs the least room';
      throw new RingraftError(
        'TOO_LARGE',
        `the answer does not fit into a message of ${maxPayloadBytes} bytes; ${hint}`,
      );
    }
    this.bus.publish('client', replyTo, payload, { headers });
  }

  /** The text of the error, for the statistics. */
  private replyError(replyTo: string | undefined, cause: unknown): string {
    if (!isRingraftError(cause)) throw cause;
    if (replyTo !== undefined) {
      const { payload, headers } = errorAnswer(cause);
      this.bus.publish('client', replyTo, payload, { headers });
    }
    return `${cause.code}: ${cause.message}`;
  }

  stop(): Promise<void> {
    this.stopping ??= this.drain();
    return this.stopping;
  }

  private async drain(): Promise<void> {
    for (const subscription of this.subscriptions) subscription.unsubscribe();
    if (this.underWay === 0) return;
    await new Promise<void>((resolve) => {
      this.onIdle = resolve;
    });
  }
}
