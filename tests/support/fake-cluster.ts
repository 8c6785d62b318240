/**
 * Nodes as a client sees them, without consensus: they own one store, know who leads, remember the outcome of every
 * (client, sequence) by shard as the real ones do, and do to single operations whatever a test's script says.
 */

import { type ErrorCode, emptyBytes, type NodeId, nodeId, type ShardId, shardId } from '../../src/base/index.js';
import { arcAt, equalArcs, ringHash } from '../../src/ring/index.js';
import type { BusSubscription } from '../../src/transport/index.js';
import {
  type AdminAnswer,
  type AdminRequest,
  adminSubject,
  blankResult,
  type ClusterMap,
  ConditionKind,
  ConsistencyLevel,
  codeNumber,
  decodeOperationBatch,
  decodeScanRequest,
  encodeResultBatch,
  encodeScanPage,
  mapSubject,
  nodeSubject,
  type Operation,
  type OperationBatch,
  OperationKind,
  type OperationResult,
  queueGroup,
  type ScanPair,
  scanSubject,
} from '../../src/wire/index.js';
import type { LocalBus } from './local-bus.js';
import { aClusterMap, aMapShard } from './maps.js';
import { wallStartMs } from './virtual-clock.js';

export type Received = { readonly node: NodeId; readonly batch: OperationBatch };
/** undefined: serve it; a result: answer that; 'lost': never answer; 'unanswered': execute it and lose the answer. */
export type Verdict = OperationResult | 'lost' | 'unanswered' | undefined;
type Session = { ackedBelow: number; readonly outcomes: Map<number, OperationResult> };

export const result = (requestId: number, fields: Partial<OperationResult> = {}): OperationResult => ({
  ...blankResult(),
  requestId,
  servedLevel: ConsistencyLevel.Linearizable,
  ...fields,
});

export const refusal = (requestId: number, code: ErrorCode, fields: Partial<OperationResult> = {}): OperationResult =>
  result(requestId, { code: codeNumber(code), ...fields });

/** What a key holds after the operation, and the number that is its answer. */
function changed({ kind, value }: Operation, old: Buffer | undefined): { value: Buffer; number: number } {
  switch (kind) {
    case OperationKind.Increment: {
      const sum = Number(old?.toString() ?? '0') + Number(value);
      return { value: Buffer.from(String(sum)), number: sum };
    }
    case OperationKind.Append: {
      const whole = Buffer.concat([old ?? emptyBytes, value]);
      return { value: whole, number: whole.length };
    }
    case OperationKind.Touch:
      return { value: old ?? emptyBytes, number: 0 };
    default:
      return { value: Buffer.from(value), number: 0 };
  }
}

/** As a node pages: whole pairs up to `maxBytes`, and one at least. */
function fittingPrefix(pairs: ScanPair[], maxBytes: number): ScanPair[] {
  const pairOverheadBytes = 24;
  let bytes = 0;
  const end = pairs.findIndex(({ key, value }) => {
    bytes += key.length + value.length + pairOverheadBytes;
    return bytes > maxBytes;
  });
  return end < 0 ? pairs : pairs.slice(0, Math.max(1, end));
}

const buckets = [
  { id: 1, name: 'default' },
  { id: 2, name: 'cities' },
] as unknown as ClusterMap['buckets'];

export class FakeCluster {
  readonly nodes: readonly NodeId[];
  /** A test may put a newer one in its place. */
  map: ClusterMap;
  /** By shard position. */
  readonly leaders: (NodeId | null)[];
  readonly batches: Received[] = [];
  /** Writes that took effect, `client:sequence`, in order. */
  readonly applied: string[] = [];
  readonly data = new Map<string, ScanPair>();
  /** By the same names; the nodes' own clocks stand still. */
  readonly expiries = new Map<string, number>();
  script: (operation: Operation, node: NodeId) => Verdict = () => undefined;
  /** Most pairs of one page of a scan. */
  scanPagePairs = 1000;
  scanRequests = 0;
  /** Nodes serve scans of shards that others lead, too, as those do that hear from the leaders. */
  servesReplicas = false;
  mapRequests = 0;
  /** `shard on node`. */
  readonly rebuilds: string[] = [];
  /** What a leader answers to a transfer instead of going along. */
  transferRefusal: ErrorCode | undefined;
  private revision = 0;
  private readonly starts: readonly number[];
  private readonly sessions = new Map<string, Session>();
  private readonly subscriptions = new Map<NodeId, BusSubscription[]>();

  constructor(
    private readonly bus: LocalBus,
    options: { readonly nodes?: number; readonly shards?: number } = {},
  ) {
    this.nodes = Array.from({ length: options.nodes ?? 3 }, (_, at) => nodeId(`n${at + 1}`));
    const arcs = equalArcs(options.shards ?? 4);
    this.starts = arcs.map(({ start }) => start);
    this.map = aClusterMap(
      this.nodes,
      arcs.map(({ shardId: id, start, end }) => aMapShard({ id, arcStart: start, arcEnd: end }, this.nodes)),
      { buckets },
    );
    this.leaders = arcs.map((_, at) => this.nodes[at % this.nodes.length] as NodeId);
    for (const node of this.nodes) this.start(node);
  }

  /** All shards are led by this node. */
  leadAll(node: NodeId | null): void {
    this.leaders.fill(node);
  }

  shardAt(key: Buffer): number {
    return arcAt(this.starts, ringHash(key));
  }

  start(node: NodeId): void {
    const { bus } = this;
    const { cluster } = this.map;
    this.subscriptions.set(node, [
      bus.subscribe('client', nodeSubject(cluster, node), ({ payload, replyTo }) => {
        if (replyTo !== undefined) this.serve(node, decodeOperationBatch(payload), replyTo);
      }),
      bus.subscribe('client', scanSubject(cluster, node), ({ payload, replyTo }) => {
        if (replyTo !== undefined) this.scan(node, payload, replyTo);
      }),
      bus.subscribe('client', adminSubject(cluster, node), ({ payload, replyTo }) => {
        const answer = this.administer(node, JSON.parse(payload.toString()) as AdminRequest);
        if (replyTo !== undefined) bus.publish('client', replyTo, Buffer.from(JSON.stringify(answer)));
      }),
      bus.subscribe(
        'client',
        mapSubject(cluster),
        ({ replyTo }) => {
          this.mapRequests++;
          const answer = { map: this.map, leaders: this.leaders };
          if (replyTo !== undefined) bus.publish('client', replyTo, Buffer.from(JSON.stringify(answer)));
        },
        { queue: queueGroup },
      ),
    ]);
  }

  stop(node: NodeId): void {
    for (const subscription of this.subscriptions.get(node) ?? []) subscription.unsubscribe();
    this.subscriptions.delete(node);
  }

  private serve(node: NodeId, batch: OperationBatch, replyTo: string): void {
    this.batches.push({ node, batch });
    const results: OperationResult[] = [];
    for (const operation of batch.operations) {
      const verdict = this.script(operation, node);
      if (verdict === 'lost') continue;
      const answer = typeof verdict === 'object' ? verdict : this.execute(node, operation, batch);
      if (verdict !== 'unanswered') results.push(answer);
    }
    const answer = (some: OperationResult[]): void =>
      this.bus.publish('client', replyTo, encodeResultBatch({ results: some, mapEpoch: this.map.epoch }));
    const bytes = results.reduce((sum, { value }) => sum + value.length + 100, 0);
    if (bytes > this.bus.maxPayloadBytes) for (const one of results) answer([one]);
    else if (results.length > 0) answer(results);
  }

  private execute(node: NodeId, operation: Operation, batch: OperationBatch): OperationResult {
    const { requestId } = operation;
    const shard = this.shardAt(operation.key);
    const leader = this.leaders[shard];
    if (leader !== node) return refusal(requestId, 'NOT_LEADER', { leaderHint: leader ?? '' });
    if (operation.kind === OperationKind.Get || operation.kind === OperationKind.Exists) return this.read(operation);
    const ownName = operation.clientId.toString('latin1');
    const session = this.session(`${shard}:${ownName || batch.clientId}`, ownName === '' ? batch.ackedBelow : 0);
    const known = session.outcomes.get(operation.sequence);
    if (operation.sequence < session.ackedBelow) return refusal(requestId, 'SESSION_EXPIRED');
    const outcome = known ?? this.apply(operation, batch.clientId);
    session.outcomes.set(operation.sequence, outcome);
    return { ...outcome, requestId };
  }

  private session(name: string, ackedBelow: number): Session {
    const session = this.sessions.get(name) ?? { ackedBelow: 0, outcomes: new Map() };
    this.sessions.set(name, session);
    session.ackedBelow = Math.max(session.ackedBelow, ackedBelow);
    for (const sequence of session.outcomes.keys()) if (sequence < ackedBelow) session.outcomes.delete(sequence);
    return session;
  }

  private place({ bucketId, key }: { readonly bucketId: number; readonly key: Buffer }): string {
    return `${bucketId}/${key.toString('latin1')}`;
  }

  private read(operation: Operation): OperationResult {
    const pair = this.data.get(this.place(operation));
    if (pair === undefined) return result(operation.requestId);
    const servedLevel = operation.level || ConsistencyLevel.Linearizable;
    const expiresAtMs = this.expiries.get(this.place(operation)) ?? 0;
    const value = operation.kind === OperationKind.Exists ? emptyBytes : pair.value;
    return result(operation.requestId, { found: true, value, revision: pair.revision, servedLevel, expiresAtMs });
  }

  private apply(operation: Operation, clientId: string): OperationResult {
    const place = this.place(operation);
    const old = this.data.get(place);
    const { requestId, condition } = operation;
    const holds =
      condition === ConditionKind.None ||
      (condition === ConditionKind.Absent && old === undefined) ||
      (condition === ConditionKind.Revision && old?.revision === operation.expectedRevision) ||
      (condition === ConditionKind.Value && old?.value.equals(operation.expectedValue) === true);
    this.applied.push(`${Buffer.from(clientId, 'latin1').toString('hex')}:${operation.sequence}`);
    if (!holds) return refusal(requestId, 'CONFLICT', { revision: old?.revision ?? 0 });
    const needsKey = operation.kind === OperationKind.Delete || operation.kind === OperationKind.Touch;
    if (needsKey && old === undefined) return result(requestId);
    const { value, number } = changed(operation, old?.value);
    if (Number.isNaN(number)) return refusal(requestId, 'BAD_REQUEST', { message: 'not a whole number' });
    const hasGrownTooMuch = operation.kind === OperationKind.Append && value.length > this.bus.maxPayloadBytes - 200;
    if (hasGrownTooMuch) return refusal(requestId, 'TOO_LARGE');
    const revision = ++this.revision;
    this.data.delete(place);
    if (operation.kind === OperationKind.Delete) return result(requestId, { found: true, revision });
    const keepsTime = operation.kind === OperationKind.Increment || operation.kind === OperationKind.Append;
    if (operation.ttlMs > 0) this.expiries.set(place, wallStartMs + operation.ttlMs);
    else if (!keepsTime) this.expiries.delete(place);
    this.data.set(place, { key: Buffer.from(operation.key), value, revision });
    return result(requestId, { found: true, revision, number });
  }

  private scan(node: NodeId, payload: Buffer, replyTo: string): void {
    this.scanRequests++;
    const request = decodeScanRequest(payload);
    const led = new Set<ShardId>();
    const notLed: number[] = [];
    for (const shard of request.shards) {
      const at = this.map.shards.findIndex(({ id }) => id === shard);
      if (this.leaders[at] === node || this.servesReplicas) led.add(shardId(shard));
      else notLed.push(shard);
    }
    const wanted = [...this.data.entries()]
      .filter(([place]) => place.startsWith(`${request.bucketId}/`))
      .map(([, pair]) => pair)
      .filter(({ key }) => led.has(this.map.shards[this.shardAt(key)]?.id as ShardId))
      .filter(({ key }) => Buffer.compare(key, request.gte) >= 0)
      .filter(({ key }) => request.lt.length === 0 || Buffer.compare(key, request.lt) < 0)
      .sort((a, b) => (request.reverse ? Buffer.compare(b.key, a.key) : Buffer.compare(a.key, b.key)));
    const room = this.bus.maxPayloadBytes - 1024;
    const maxBytes = request.maxBytes > 0 ? Math.min(request.maxBytes, room) : room;
    const pairs = fittingPrefix(wanted.slice(0, Math.min(request.limit, this.scanPagePairs)), maxBytes);
    const more = wanted.length > pairs.length;
    const page = {
      code: 0,
      message: '',
      pairs: request.keysOnly ? pairs.map((pair) => ({ ...pair, value: emptyBytes })) : pairs,
      more,
      resumeAfter: more ? (pairs.at(-1)?.key ?? emptyBytes) : emptyBytes,
      notLed,
    };
    this.bus.publish('client', replyTo, encodeScanPage(page));
  }

  private administer(node: NodeId, request: AdminRequest): AdminAnswer {
    switch (request.op) {
      case 'metrics':
        return { metrics: `ringraft_node{node="${node}"} 1\n` };
      case 'transferLeader': {
        const at = this.map.shards.findIndex(({ id }) => id === request.shardId);
        if (this.leaders[at] !== node) {
          return { error: { code: 'NOT_LEADER', message: 'another node leads', happened: 'no' } };
        }
        if (this.transferRefusal !== undefined) {
          return { error: { code: this.transferRefusal, message: 'not now', happened: 'no' } };
        }
        this.leaders[at] = nodeId(request.to);
        return { done: true };
      }
      case 'rebuildReplica':
        this.rebuilds.push(`${request.shardId} on ${node}`);
        return { done: true };
      case 'status':
        return { status: this.status(node) };
      default:
        return { error: { code: 'BAD_REQUEST', message: 'not here', happened: 'no' } };
    }
  }

  private status(node: NodeId): Extract<AdminAnswer, { status: unknown }>['status'] {
    const shards = this.map.shards.map(({ id }, at) => ({
      shardId: id,
      replicaId: 1 as never,
      role: this.leaders[at] === node ? ('leader' as const) : ('follower' as const),
      leaderNode: this.leaders[at] ?? null,
      term: 1,
      firstIndex: 1,
      lastIndex: 1,
      commitIndex: 1,
      appliedIndex: 1,
      lagEntries: null,
      damage: null,
    }));
    const wal = { segments: 1, bytesOnDisk: 0, bytesWritten: 0, records: 0, syncs: 0, isFull: false };
    const memory = { residentBytes: 1, heapBytes: 1 };
    const facts = { cluster: 'test', version: '0.0.0', pid: 1, startedAtMs: 0, incarnation: 1, counters: {} };
    return { nodeId: node, ...facts, shards, wal, memory };
  }
}
