/**
 * The links to the other nodes: everything the groups of this node say to a peer in one turn leaves in one envelope.
 *
 * Invariants:
 * 1. A message for another life of this node (its incarnation), or from a life of the peer that has ended, is dropped
 *    (RAFT-PITFALLS 23).
 * 2. A link that had nothing to say for `keepaliveMs` sends an empty envelope, so that a dead peer is noticed
 *    (NATS answers "no responders") even where no group has traffic.
 * 3. Nothing is kept for a peer while the bus is disconnected: Raft sends anew what still matters.
 */
import { type Clock, isRingraftError, type Logger, type NodeId, type ShardId } from '../base/index.js';
import type { Message } from '../raft/index.js';
import type { Bus, BusMessage, BusSubscription } from '../transport/index.js';
import { decodeEnvelope, encodeEnvelope, envelopeItemBytes, type PeerStatus, raftSubject } from '../wire/index.js';

type Item = { readonly shardId: ShardId; readonly message: Message };

/** Of one envelope, beside its items. */
const envelopeOverheadBytes = 128;

type PeerLink = {
  readonly nodeId: NodeId;
  readonly subject: string;
  readonly inbox: string;
  incarnation: number;
  outbox: Item[];
  outboxBytes: number;
  lastSentMs: number;
  lastHeardMs: number;
  isSilent: boolean;
};

export type PeersOptions = {
  readonly cluster: string;
  readonly nodeId: NodeId;
  readonly incarnation: number;
  readonly keepaliveMs: number;
  readonly silentAfterMs: number;
};

export type PeersEvents = {
  /** `nowMs`: when it arrived. */
  onMessage(from: NodeId, shardId: ShardId, message: Message, nowMs: number): void;
  /** NATS said that nobody listens where the peer should. Called for every such answer. */
  onUnreachable(peer: NodeId): void;
  /** Nothing was heard of the peer for `silentAfterMs`, or it was and is there again, or it began a new life. */
  onSuspicion(peer: NodeId): void;
};

export class Peers {
  private readonly links = new Map<NodeId, PeerLink>();
  private readonly subscriptions: BusSubscription[] = [];
  private readonly inbox: string;
  private keepaliveMs: number;
  envelopesSent = 0;
  envelopesReceived = 0;
  messagesSent = 0;
  messagesDropped = 0;

  constructor(
    private readonly bus: Bus,
    private readonly clock: Clock,
    private readonly options: PeersOptions,
    private readonly events: PeersEvents,
    private readonly logger: Logger,
  ) {
    this.inbox = bus.newInbox();
    this.keepaliveMs = options.keepaliveMs;
  }

  start(): void {
    const subject = raftSubject(this.options.cluster, this.options.nodeId);
    this.subscriptions.push(
      this.bus.subscribe('raft', subject, (message) => this.receive(message)),
      this.bus.subscribe('raft', `${this.inbox}.*`, (message) => this.receiveStatus(message)),
    );
  }

  stop(): void {
    for (const subscription of this.subscriptions.splice(0)) subscription.unsubscribe();
  }

  add(nodeId: NodeId): void {
    if (nodeId === this.options.nodeId || this.links.has(nodeId)) return;
    this.links.set(nodeId, {
      nodeId,
      subject: raftSubject(this.options.cluster, nodeId),
      inbox: `${this.inbox}.${nodeId}`,
      incarnation: 0,
      outbox: [],
      outboxBytes: 0,
      lastSentMs: Number.NEGATIVE_INFINITY,
      lastHeardMs: Number.NEGATIVE_INFINITY,
      isSilent: false,
    });
  }

  /** Nodes that left the cluster are not spoken to any more. */
  retain(nodes: ReadonlySet<NodeId>): void {
    for (const nodeId of this.links.keys()) if (!nodes.has(nodeId)) this.links.delete(nodeId);
    for (const nodeId of nodes) this.add(nodeId);
  }

  /** Monotonic time of the last word from the peer; -Infinity when there was none. */
  lastHeardMs(nodeId: NodeId): number {
    return this.links.get(nodeId)?.lastHeardMs ?? Number.NEGATIVE_INFINITY;
  }

  status(nowMs: number): readonly PeerStatus[] {
    return [...this.links.values()].map(({ nodeId, lastHeardMs, isSilent }) => ({
      nodeId,
      heardAgoMs: Number.isFinite(lastHeardMs) ? Math.round(nowMs - lastHeardMs) : null,
      isSilent,
    }));
  }

  /** Queues a message for the end of the turn. */
  send(to: NodeId, shardId: ShardId, message: Message): void {
    const link = this.links.get(to);
    if (link === undefined) return;
    const item = { shardId, message };
    const bytes = envelopeItemBytes(item);
    if (link.outbox.length > 0 && link.outboxBytes + bytes + envelopeOverheadBytes > this.bus.maxPayloadBytes) {
      this.sendEnvelope(link, this.clock.nowMs());
    }
    link.outbox.push(item);
    link.outboxBytes += bytes;
  }

  /** Ends the turn: every queued message leaves; links that have been silent say that they are there. */
  flush(nowMs: number): void {
    for (const link of this.links.values()) {
      if (link.outbox.length > 0 || nowMs - link.lastSentMs >= this.keepaliveMs) this.sendEnvelope(link, nowMs);
    }
  }

  /** Keeps the links alive at every so many intervals only. */
  slowDown(factor: number): void {
    this.keepaliveMs = factor * this.options.keepaliveMs;
  }

  /** Whether some link has been silent for as long as it may. */
  isKeepaliveDue(nowMs: number): boolean {
    for (const link of this.links.values()) if (nowMs - link.lastSentMs >= this.keepaliveMs) return true;
    return false;
  }

  /** Looks for peers that have fallen silent. */
  checkSilence(nowMs: number): void {
    for (const link of this.links.values()) {
      if (link.isSilent || nowMs - link.lastHeardMs < this.options.silentAfterMs) continue;
      link.isSilent = true;
      this.events.onSuspicion(link.nodeId);
    }
  }

  private sendEnvelope(link: PeerLink, nowMs: number): void {
    const items = link.outbox;
    link.outbox = [];
    link.outboxBytes = 0;
    link.lastSentMs = nowMs;
    if (!this.bus.isConnected('raft')) {
      this.messagesDropped += items.length;
      return;
    }
    this.envelopesSent++;
    this.messagesSent += items.length;
    const payload = encodeEnvelope(this.options.nodeId, this.options.incarnation, link.incarnation, items);
    this.bus.publish('raft', link.subject, payload, { replyTo: link.inbox });
  }

  private receiveStatus(message: BusMessage): void {
    if (!message.noResponders) return;
    const peer = message.subject.slice(this.inbox.length + 1) as NodeId;
    if (this.links.has(peer)) this.events.onUnreachable(peer);
  }

  private receive(message: BusMessage): void {
    let envelope: ReturnType<typeof decodeEnvelope>;
    try {
      envelope = decodeEnvelope(message.payload);
    } catch (error) {
      if (!isRingraftError(error)) throw error;
      this.logger.warn({ subject: message.subject, error: error.message }, 'dropped a malformed envelope');
      return;
    }
    this.envelopesReceived++;
    this.add(envelope.fromNode);
    const link = this.links.get(envelope.fromNode);
    if (link === undefined || !this.isCurrent(link, envelope.fromIncarnation, envelope.toIncarnation)) {
      this.messagesDropped += envelope.items.length;
      return;
    }
    link.lastHeardMs = this.clock.nowMs();
    if (link.isSilent) {
      link.isSilent = false;
      this.events.onSuspicion(link.nodeId);
    }
    // After what groups were told with a time of its own: to a group time that goes back is a clock that jumped.
    const nowMs = this.clock.nowMs();
    for (const item of envelope.items) this.events.onMessage(link.nodeId, item.shardId, item.message, nowMs);
  }

  /** Lives are numbered upwards: what comes late from an earlier one must never be taken for a newer one. */
  private isCurrent(link: PeerLink, fromIncarnation: number, toIncarnation: number): boolean {
    if (fromIncarnation < link.incarnation) return false;
    if (fromIncarnation > link.incarnation) {
      const isAnotherLife = link.incarnation !== 0;
      link.incarnation = fromIncarnation;
      if (isAnotherLife) this.events.onSuspicion(link.nodeId);
    }
    return toIncarnation === 0 || toIncarnation === this.options.incarnation;
  }
}
