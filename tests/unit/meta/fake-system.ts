/**
 * What the manager is built on, without consensus: records in a map that a test may let fail, sights of nodes that a test
 * sets, and a host that only follows the map.
 */
import { type NodeId, nodeId, RingraftError, type ShardId, shardId } from '../../../src/base/index.js';
import { type Host, LocalMap, type SystemRecord, type SystemShard } from '../../../src/host/index.js';
import type { NodeSight, NodeWatch } from '../../../src/meta/node-watch.js';
import { equalArcs } from '../../../src/ring/index.js';
import type { ClusterMap, Liveness, MapShard, ShardReport } from '../../../src/wire/index.js';
import { aClusterMap, aMapShard } from '../../support/maps.js';

export const [n1, n2, n3, n4, n5] = ['n1', 'n2', 'n3', 'n4', 'n5'].map(nodeId) as [
  NodeId,
  NodeId,
  NodeId,
  NodeId,
  NodeId,
];

export const notLeader = (): RingraftError => new RingraftError('NOT_LEADER', 'not any more', { happened: 'unknown' });
export const busy = (): RingraftError => new RingraftError('BUSY', 'not now');

export class FakeSystem {
  readonly records = new Map<string, string>();
  /** What was written at once, in order. */
  readonly writes: (readonly SystemRecord[])[] = [];
  leaderTerm = 1;
  hasRecords = false;
  /** What the next writes come to; empty: they succeed. `applied` and failing: the answer is lost. */
  readonly fates: (RingraftError | 'ok')[] = [];

  get shard(): SystemShard {
    return this as unknown as SystemShard;
  }

  async write(records: readonly SystemRecord[], term: number): Promise<void> {
    if (term !== this.leaderTerm) throw notLeader();
    const fate = this.fates.shift() ?? 'ok';
    if (fate !== 'ok') throw fate;
    this.writes.push(records);
    this.hasRecords = true;
    for (const { key, value } of records) {
      if (value === undefined) this.records.delete(key);
      else this.records.set(key, value);
    }
  }

  async confirm(term: number): Promise<void> {
    if (term !== this.leaderTerm) throw notLeader();
  }

  async read(term: number): Promise<ReadonlyMap<string, string>> {
    if (term !== this.leaderTerm) throw notLeader();
    return new Map([...this.records].sort());
  }
}

export class FakeWatch implements NodeWatch {
  private readonly sights = new Map<NodeId, NodeSight>();

  /** All of them are alive. */
  constructor(nodes: readonly NodeId[]) {
    for (const node of nodes) this.see(node, 'alive');
  }

  see(node: NodeId, state: Liveness, forMs = 0): void {
    this.sights.set(node, { state, forMs, lastHeardAgoMs: state === 'unknown' ? null : forMs, facts: undefined });
  }

  sightOf(node: NodeId): NodeSight {
    return this.sights.get(node) ?? { state: 'unknown', forMs: 0, lastHeardAgoMs: null, facts: undefined };
  }
}

/** Follows maps as the real one does; no replicas. */
export function fakeHost(map: ClusterMap, system: FakeSystem): { readonly host: Host; readonly adopted: ClusterMap[] } {
  const maps = new LocalMap(map);
  const adopted: ClusterMap[] = [];
  const adoptMap = (next: ClusterMap): boolean => {
    if (!maps.adopt(next)) return false;
    adopted.push(next);
    return true;
  };
  return { host: { maps, system, adoptMap, confirmMap: adoptMap } as unknown as Host, adopted };
}

/** `count` shards, their replicas on three of the nodes each, in turn. */
export function spreadShards(count: number, nodes: readonly NodeId[], replication = 3): readonly MapShard[] {
  return equalArcs(count).map(({ shardId: id, start, end }, at) => {
    const homes = Array.from({ length: replication }, (_, step) => nodes[(at + step) % nodes.length] as NodeId);
    return aMapShard({ id, arcStart: start, arcEnd: end }, homes);
  });
}

export const aMap = (shards: number, nodes: readonly NodeId[], fields: Partial<ClusterMap> = {}): ClusterMap =>
  aClusterMap(nodes, spreadShards(shards, nodes), fields);

export const aReport = (id: number, fields: Partial<ShardReport> = {}): ShardReport => ({
  shardId: shardId(id) as ShardId,
  epoch: 1,
  term: 1,
  phase: 'settled',
  missing: [],
  matchIndex: 0,
  lastIndex: 0,
  ...fields,
});

export const homesIn = (map: ClusterMap, id: number): readonly NodeId[] =>
  ([map.system, ...map.shards].find((shard) => shard.id === id)?.replicas ?? []).map(({ nodeId: home }) => home);

/** The map in which this shard is on its way to other nodes. */
export function moving(map: ClusterMap, id: number, homes: readonly NodeId[], leaving: readonly NodeId[]): ClusterMap {
  const change = (shard: MapShard): MapShard =>
    shard.id === id ? { ...shard, replicas: homes.map((home) => ({ nodeId: home })), leaving } : shard;
  return { ...map, system: change(map.system), shards: map.shards.map(change) };
}
