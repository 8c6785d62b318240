/**
 * Makes messages and sends them: the news rides on what is said anyway (SWIM §4.1).
 *
 * Invariants:
 * 1. A message never exceeds its bound, whatever there is to tell. What finds no room goes with a later one.
 * 2. Whoever is suspected or dead is told so in whatever is sent to it, so that it can refute (Lifeguard, "buddy system").
 */
import { type NodeId, type Random, randomBetween } from '../../base/index.js';
import type { Bus } from '../../transport/index.js';
import { gossipAllSubject, gossipSubject } from '../../wire/index.js';
import type { GossipCounters } from './counters.js';
import { encodeHeartbeat, encodeMessage, encodeRecord, type GossipHead } from './message.js';
import { NewsQueue } from './news-queue.js';
import { type Settings, timesToSend } from './options.js';
import type { OwnRecord } from './own-record.js';
import { compareStanding, isGone, type MemberRecord } from './record.js';
import type { Roster, Row } from './roster.js';

/** News leaves this much of a message to heartbeats. */
const heartbeatBytes = 400;
/** Of one message of a full exchange. */
const mostStateBytes = 32 * 1024;

/** The worst that is said of a member, by this node or to it. */
function accusationOf(row: Row | undefined): MemberRecord | undefined {
  if (row === undefined) return undefined;
  const { record, doubted } = row;
  if (doubted !== undefined && compareStanding(doubted, record) > 0) return doubted;
  return record.state === 'alive' || record.state === 'unknown' ? undefined : record;
}

/** What a message carries, within its bytes. */
class Load {
  readonly news: string[] = [];
  readonly heartbeats: string[] = [];
  private readonly told = new Set<NodeId>();

  constructor(private bytesLeft: number) {}

  has(nodeId: NodeId): boolean {
    return this.told.has(nodeId);
  }

  /** False: no room beside `spare` bytes. */
  addNews(record: MemberRecord, withFacts: boolean, spare = 0): boolean {
    const text = encodeRecord(record, withFacts);
    if (!this.take(Buffer.byteLength(text) + 1, spare)) return false;
    this.told.add(record.nodeId);
    this.news.push(text);
    return true;
  }

  addHeartbeat(record: MemberRecord): boolean {
    const text = encodeHeartbeat(record);
    if (!this.take(text.length + 1, 0)) return false;
    this.heartbeats.push(text);
    return true;
  }

  private take(bytes: number, spare: number): boolean {
    if (bytes + spare > this.bytesLeft) return false;
    this.bytesLeft -= bytes;
    return true;
  }
}

export class Courier {
  /** Who is there, who is not. */
  readonly standings = new NewsQueue();
  readonly facts = new NewsQueue();

  constructor(
    private readonly bus: Bus,
    private readonly random: Random,
    private readonly settings: Settings,
    private readonly roster: Roster,
    private readonly own: OwnRecord,
    private readonly counters: GossipCounters,
  ) {}

  /** With whatever news there is; that of `about` goes in any case. */
  send(to: NodeId, head: GossipHead, options: { readonly about?: NodeId; readonly replyTo?: string } = {}): void {
    // What the bus would drop must not count as told.
    if (!this.bus.isConnected('raft')) return;
    const { about, replyTo } = options;
    const load = this.newLoad(head, this.settings.maxMessageBytes);
    const accusation = accusationOf(this.roster.get(to));
    if (accusation !== undefined) load.addNews(accusation, false);
    const subject = about === undefined ? undefined : this.roster.get(about)?.record;
    if (subject !== undefined && subject.state !== 'unknown') load.addNews(subject, false);
    this.addNews(load, to);
    this.addHeartbeats(load, to);
    this.publish(gossipSubject(this.settings.cluster, to), head, load, replyTo);
  }

  /** To every node at once, with this node's own facts. */
  tellAll(type: 'hello' | 'goodbye'): void {
    const head = { type, sequence: 0, target: undefined };
    const load = this.newLoad(head, mostStateBytes);
    load.addNews(this.own.record, true);
    this.publish(gossipAllSubject(this.settings.cluster), head, load);
  }

  echo(): void {
    const subject = gossipSubject(this.settings.cluster, this.settings.nodeId);
    this.publish(subject, { type: 'echo', sequence: 0, target: undefined }, new Load(0));
  }

  /** Everything known, in as many messages as it takes. The last has the type asked for. */
  sendEverything(to: NodeId, type: 'sync' | 'state'): void {
    const subject = gossipSubject(this.settings.cluster, to);
    const part = { type: 'state', sequence: 0, target: undefined } as const;
    let load = this.newLoad(part, mostStateBytes);
    for (const record of [this.own.record, ...this.roster.all().map((row) => row.record)]) {
      if (record.state === 'unknown' || load.addNews(record, true)) continue;
      this.publish(subject, part, load);
      load = this.newLoad(part, mostStateBytes);
      load.addNews(record, true);
    }
    this.publish(subject, { ...part, type }, load);
  }

  forget(nodeId: NodeId): void {
    this.standings.remove(nodeId);
    this.facts.remove(nodeId);
  }

  /** What is left of so many bytes beside the head. */
  private newLoad(head: GossipHead, mostBytes: number): Load {
    const headBytes = encodeMessage(head, this.own.record, this.own.mapEpoch).length;
    return new Load(Math.min(mostBytes, this.bus.maxPayloadBytes) - headBytes);
  }

  private addNews(load: Load, to: NodeId): void {
    const mostTimes = timesToSend(this.roster.nodes);
    for (const [queue, withFacts] of [
      [this.standings, false],
      [this.facts, true],
    ] as const) {
      for (const nodeId of queue.inTurn()) {
        if (nodeId === to || load.has(nodeId)) continue;
        const record = nodeId === this.settings.nodeId ? this.own.record : this.roster.get(nodeId)?.record;
        if (record === undefined) continue;
        if (!load.addNews(record, withFacts, heartbeatBytes)) break;
        queue.sent(nodeId, mostTimes);
      }
    }
  }

  /** Some others', from a random place on: over a few messages everybody's. */
  private addHeartbeats(load: Load, to: NodeId): void {
    const rows = this.roster.all();
    const start = rows.length === 0 ? 0 : randomBetween(this.random, 0, rows.length - 1);
    for (let step = 0; step < rows.length; step++) {
      const record = rows[(start + step) % rows.length]?.record;
      if (record === undefined || record.nodeId === to || record.life === 0 || isGone(record.state)) continue;
      if (!load.addHeartbeat(record)) return;
    }
  }

  private publish(subject: string, head: GossipHead, load: Load, replyTo?: string): void {
    const payload = encodeMessage(head, this.own.record, this.own.mapEpoch, load.news, load.heartbeats);
    this.counters.messagesSent++;
    this.counters.bytesSent += payload.length;
    this.bus.publish('raft', subject, payload, replyTo === undefined ? {} : { replyTo });
  }
}
