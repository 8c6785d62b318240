/**
 * The public API: NATS request-reply for any language (docs/protocol.md). Any node answers any request, through a
 * client of its own.
 *
 * Invariants:
 * 1. Every request with a reply subject gets exactly one answer, whatever it holds.
 * 2. A write without a reply subject is executed all the same; a read without one is nothing.
 * 3. No answer goes to a subject of the cluster's own: a user who may not publish there must not make a node do it.
 * 4. An answer fits into a message: what a stranger wrote is never quoted at length.
 */
import { type Clock, isRingraftError, type NodeId, RingraftError, systemClock } from '../base/index.js';
import type { RingraftClient } from '../client/index.js';
import type { Bus, BusMessage, BusSubscription } from '../transport/index.js';
import { queueGroup } from '../wire/index.js';
import { Admission, type AdmissionLimits, usualLimits } from './admission.js';
import { type Answer, errorAnswer, type Form, headerBytes } from './answer.js';
import { serveDiscovery } from './discovery.js';
import type { Endpoint, Serving } from './endpoint.js';
import { endpoints } from './endpoints.js';
import { fieldsOf, formOf, type Target, targetOf } from './request.js';
import { EndpointCounter, type EndpointStatistics } from './statistics.js';

export type ServiceOptions = {
  /** First token or tokens of the public subjects, `kv` by default elsewhere. */
  readonly prefix: string;
  readonly cluster: string;
  readonly version: string;
  readonly nodeId: NodeId;
  readonly clock?: Clock;
  readonly limits?: AdmissionLimits;
};

export type Service = {
  /** Takes no new requests, and resolves when those under way are answered. Idempotent. */
  stop(): Promise<void>;
  /** By endpoint, since the start. */
  readonly statistics: readonly EndpointStatistics[];
};

/** Serves at once; the caller keeps bus and client, and closes them after `stop`. */
export function startService(bus: Bus, client: RingraftClient, options: ServiceOptions): Service {
  return new KvService(bus, client, options);
}

type Served = { readonly endpoint: Endpoint; readonly counter: EndpointCounter; readonly subjectRoot: string };

class KvService implements Service {
  private readonly clock: Clock;
  private readonly served: readonly Served[];
  private readonly admission: Admission;
  private readonly ownSubjects: readonly string[];
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
    this.admission = new Admission(options.limits ?? usualLimits);
    this.ownSubjects = [`${prefix}.`, '_kv.', '$'];
    this.served = endpoints.map((endpoint) => {
      const subjectRoot = `${prefix}.${endpoint.name}.`;
      return { endpoint, subjectRoot, counter: new EndpointCounter(endpoint.name, `${subjectRoot}>`) };
    });
    for (const served of this.served) {
      const handle = (message: BusMessage): void => this.receive(served, message);
      this.subscriptions.push(bus.subscribe('client', served.counter.subject, handle, { queue: queueGroup }));
    }
    const startedAtMs = this.clock.wallMs();
    const identity = { id: `${cluster}-${nodeId}`, version, metadata: { cluster, node: nodeId }, startedAtMs };
    this.subscriptions.push(
      ...serveDiscovery(
        bus,
        identity,
        () => this.statistics,
        (replyTo) => this.mayAnswer(replyTo),
      ),
    );
  }

  get statistics(): readonly EndpointStatistics[] {
    return this.served.map(({ counter }) => counter.snapshot());
  }

  private get serving(): Serving {
    return { client: this.client, clock: this.clock, maxPayloadBytes: this.bus.maxPayloadBytes };
  }

  private mayAnswer(replyTo: string): boolean {
    return !this.ownSubjects.some((own) => replyTo.startsWith(own));
  }

  private receive(served: Served, message: BusMessage): void {
    const { replyTo } = message;
    if (replyTo === undefined && served.endpoint.isRead) return;
    if (replyTo !== undefined && !this.mayAnswer(replyTo)) return;
    const beganMs = this.clock.nowMs();
    const target = targetOf(message.subject, served.subjectRoot);
    const form = formOf(target, message);
    this.underWay++;
    // What is no operating error is not caught here: it stops the node.
    void this.answerTo(served.endpoint, target, form, message)
      .then((answer) => this.reply(replyTo, answer))
      .catch((error: unknown) => this.replyError(replyTo, form, error))
      .then((error) => {
        served.counter.count(this.clock.nowMs() - beganMs, error);
        this.underWay--;
        if (this.underWay === 0) this.onIdle();
      });
  }

  private async answerTo(endpoint: Endpoint, target: Target, form: Form, message: BusMessage): Promise<Answer> {
    // Before anything is parsed: refusing must cost less than doing.
    const ticket = this.admission.enter(message.payload.length);
    try {
      const fields = fieldsOf(endpoint, target, form, message);
      const work = endpoint.prepare(fields, target.bucket, form);
      ticket.grow(work.weight);
      return await work.run(this.serving);
    } finally {
      ticket.leave();
    }
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
  private replyError(replyTo: string | undefined, form: Form, cause: unknown): string {
    if (!isRingraftError(cause)) throw cause;
    const { payload, headers, text } = errorAnswer(form, cause);
    if (replyTo !== undefined) this.bus.publish('client', replyTo, payload, { headers });
    return text;
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
