/**
 * What must hold at every moment of a run in which the cluster manages itself, beside what `checks.ts` looks at:
 *
 * 1. There is one history of the map: the system shard takes one change an epoch, each is what it says it is, and a
 *    cluster is founded once. Every node's map is one of that history, and its epoch never falls within a life.
 * 2. Every map is valid, and the manager of its own accord has no more replicas on their way than it may.
 * 3. A replica is removed only when its shard has committed a membership in which it does not vote.
 * 4. A replica that was removed never comes back, and the id of one is never given to another.
 * 5. Of every membership that is committed a majority is there: none was removed, or lost with its disk.
 */
import { isDeepStrictEqual } from 'node:util';
import { type NodeId, type ReplicaId, type ShardId, systemShardId } from '../../src/base/index.js';
import { allShards, type Host } from '../../src/host/index.js';
import { applyChange, checkMap } from '../../src/meta/map-changes.js';
import { historyOfRecords, mapOfRecords } from '../../src/meta/map-records.js';
import { isMoving, movesUnderWay } from '../../src/meta/planning.js';
import { type Configuration, type Entry, EntryType } from '../../src/raft/index.js';
import type { Wal } from '../../src/wal/index.js';
import { type ClusterMap, CommandKind, decodeCommandBatch, type MapChange } from '../../src/wire/index.js';
import { type Checks, Violation } from './checks.js';

const nameOf = (shardId: ShardId, id: ReplicaId): string => `${shardId}:${id}`;

export class ClusterChecks {
  private readonly records = new Map<string, string>();
  /** By epoch; what is at 0 is what nobody keeps. */
  private readonly maps: (ClusterMap | undefined)[] = [undefined];
  readonly changes: MapChange[] = [];
  private readonly seen = new WeakMap<Host, ClusterMap>();
  /** Replicas that stand in the log of a node, durably, by shard and id. */
  private readonly homes = new Map<string, NodeId>();
  /** Those that stand there no more. */
  private readonly removed = new Set<string>();
  private configurations = 0;
  /** The most replicas that were on their way at a time. */
  mostMoves = 0;

  constructor(
    private readonly checks: Checks,
    private readonly onChange: (change: MapChange, map: ClusterMap) => void,
  ) {
    checks.onCommitted = (shardId, entry) => this.onCommitted(shardId, entry);
  }

  /** The newest map; undefined: the cluster is not founded. */
  get map(): ClusterMap | undefined {
    return this.maps[this.maps.length - 1];
  }

  private onCommitted(shardId: ShardId, entry: Entry): void {
    if (shardId !== systemShardId || entry.type !== EntryType.Normal) return;
    let isWhole = false;
    for (const { kind, key, value } of decodeCommandBatch(entry.data).commands) {
      const name = key.toString();
      if (kind === CommandKind.Delete) this.records.delete(name);
      else this.records.set(name, value.toString());
      if (name === 'cluster') isWhole = true;
    }
    if (isWhole) this.onMapWritten();
  }

  private onMapWritten(): void {
    const map = mapOfRecords(this.records);
    const change = historyOfRecords(this.records).at(-1);
    const before = this.map;
    if (map === undefined || change === undefined) throw new Violation('map history', 'a map without a record of it');
    if (map.epoch !== this.maps.length || change.epoch !== map.epoch) {
      const text = `epoch ${map.epoch} (${change.kind}) follows ${this.maps.length - 1}`;
      throw new Violation('map history', text);
    }
    if ((change.kind === 'founded') !== (before === undefined)) {
      throw new Violation('map history', `epoch ${map.epoch} is ${change.kind}`);
    }
    checkMap(map);
    if (before !== undefined) {
      if (!isDeepStrictEqual(applyChange(before, change), map)) {
        throw new Violation('map history', `change ${change.epoch} does not lead to the map of its epoch`);
      }
      this.checkMoves(before, map, change);
    }
    this.maps.push(map);
    this.changes.push(change);
    this.onChange(change, map);
  }

  private checkMoves(before: ClusterMap, map: ClusterMap, { kind, summary }: MapChange): void {
    for (const shard of allShards(map)) {
      if (shard.replicas.length !== map.replication) {
        throw new Violation('map', `shard ${shard.id} is to have ${shard.replicas.length} replicas`);
      }
    }
    const moves = movesUnderWay(map);
    this.mostMoves = Math.max(this.mostMoves, moves);
    if (kind !== 'moveBegan' || summary.endsWith('by order')) return;
    const movingIn = (some: ClusterMap): readonly ShardId[] =>
      allShards(some)
        .filter(isMoving)
        .map(({ id }) => id);
    const [was, is] = [movingIn(before), movingIn(map)];
    // A shard may have to move more replicas than that, alone; and one that is on its way may have to go elsewhere.
    if (moves <= map.settings.maxMoves || is.length === 1 || is.every((id) => was.includes(id))) return;
    throw new Violation('moves', `${moves} replicas are on their way, ${map.settings.maxMoves} may be: ${summary}`);
  }

  observe(node: string, host: Host): void {
    const map = host.maps.current;
    const last = this.seen.get(host);
    if (last === map) return;
    this.seen.set(host, map);
    if (map.epoch < (last?.epoch ?? 0)) {
      throw new Violation('map history', `${node}: epoch ${last?.epoch} fell to ${map.epoch}`);
    }
    if (map.epoch > 0 && !isDeepStrictEqual(map, this.maps[map.epoch])) {
      throw new Violation('map history', `${node} has a map of epoch ${map.epoch} that never was`);
    }
  }

  /** After every event: whether the members of every shard are still there. */
  afterEvent(): void {
    if (this.checks.configurations === this.configurations) return;
    this.configurations = this.checks.configurations;
    this.checkMajorities();
  }

  private checkMajorities(): void {
    for (const shard of this.map === undefined ? [] : allShards(this.map)) {
      const membership = this.checks.membership(shard.id);
      if (membership === undefined) continue;
      const { nodes = {} } = membership;
      const lost = [...membership.voters, ...membership.outgoing].find((id) => nodes[id] === undefined);
      if (lost !== undefined) throw new Violation('membership', `shard ${shard.id}: nobody knows where ${lost} lives`);
      for (const side of [membership.voters, membership.outgoing]) {
        const gone = side.filter((id) => this.removed.has(nameOf(shard.id, id)));
        if (side.length === 0 || 2 * (side.length - gone.length) > side.length) continue;
        throw new Violation('majority', `of the voters ${side} of shard ${shard.id}, ${gone} are gone`);
      }
    }
  }

  /** Replicas of the membership that are on a machine still; the node's own disk is lost with it. */
  onWiped(node: NodeId): void {
    for (const [name, home] of this.homes) if (home === node) this.removed.add(name);
    this.checkMajorities();
  }

  /** Whether every shard would keep a majority if this node's replicas were gone for ever, and is not changing. */
  maySpare(node: NodeId): boolean {
    return (this.map === undefined ? [] : allShards(this.map)).every((shard) => {
      const membership = this.checks.membership(shard.id);
      if (membership === undefined) return false;
      return [membership.voters, membership.outgoing].every((side) => {
        const left = side.filter((id) => {
          const name = nameOf(shard.id, id);
          return this.homes.get(name) !== node && !this.removed.has(name);
        });
        return side.length === 0 || 2 * left.length > side.length;
      });
    });
  }

  private votes(configuration: Configuration | undefined, id: ReplicaId): boolean {
    return configuration !== undefined && [...configuration.voters, ...configuration.outgoing].includes(id);
  }

  /** Stands between a node and its log: sees which replicas begin and end there. */
  watchLog(node: NodeId, wal: Wal): Wal {
    const held = new Map<ShardId, ReplicaId>();
    for (const [shardId, { replicaId, damage }] of wal.recovered) {
      // What is damaged does not speak again; the end of a replica may be what cannot be read.
      if (damage !== undefined) continue;
      if (this.removed.has(nameOf(shardId, replicaId))) {
        throw new Violation('removed replica', `${node} brings ${replicaId} of shard ${shardId} back`);
      }
      held.set(shardId, replicaId);
      this.homes.set(nameOf(shardId, replicaId), node);
    }
    let news: (() => void)[] = [];
    const { appendGroup, appendTombstone, commit } = wal;
    wal.appendGroup = (shardId, replicaId, snapshot) => {
      const name = nameOf(shardId, replicaId);
      const other = this.homes.get(name);
      if (other !== undefined || this.removed.has(name)) {
        throw new Violation('replica id', `${node} begins ${replicaId} of shard ${shardId}, which was on ${other}`);
      }
      held.set(shardId, replicaId);
      news.push(() => this.homes.set(name, node));
      appendGroup.call(wal, shardId, replicaId, snapshot);
    };
    wal.appendTombstone = (shardId) => {
      const id = held.get(shardId);
      if (id !== undefined && this.votes(this.checks.membership(shardId), id)) {
        throw new Violation('removed replica', `${node} removes ${id} of shard ${shardId}, which votes`);
      }
      held.delete(shardId);
      if (id !== undefined) news.push(() => this.removed.add(nameOf(shardId, id)));
      appendTombstone.call(wal, shardId);
    };
    wal.commit = (callback) => {
      const durable = news;
      news = [];
      commit.call(wal, (error) => {
        if (error === undefined) for (const note of durable) note();
        callback(error);
      });
    };
    return wal;
  }
}
