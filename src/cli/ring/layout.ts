/** The placement kvctl ring looks at: the running cluster's, or the one a configuration gives a fresh cluster. */
import type { NodeId } from '../../base/index.js';
import { equalArcs, initHash, type PlacedShard, type PlacementNode, place } from '../../ring/index.js';
import type { ClusterMap } from '../../wire/index.js';
import type { Context } from '../context.js';
import { counted } from '../values.js';

export type Layout = {
  readonly cluster: string;
  readonly source: 'cluster' | 'configuration';
  readonly replication: number;
  readonly nodes: readonly PlacementNode[];
  readonly shards: readonly PlacedShard[];
  /** Nodes that still may hold a replica of a shard others are to have; shards without such are left out. */
  readonly leaving: ReadonlyMap<number, readonly NodeId[]>;
  /** Where the shard that keeps the map is; undefined: not known. */
  readonly system: readonly NodeId[] | undefined;
};

export async function readLayout(context: Context, isOffline: boolean): Promise<Layout> {
  await initHash();
  if (isOffline) return layoutOfConfig(context);
  const client = await context.connect();
  const { map } = await client.map(context.timeoutMs);
  return layoutOfMap(map);
}

function layoutOfMap({ cluster, nodes, shards, system }: ClusterMap): Layout {
  return {
    leaving: new Map(shards.filter(({ leaving }) => leaving.length > 0).map(({ id, leaving }) => [id, leaving])),
    system: system.replicas.map(({ nodeId }) => nodeId),
    cluster,
    source: 'cluster',
    replication: Math.max(0, ...shards.map(({ replicas }) => replicas.length)),
    nodes,
    shards: shards.map(({ id, arcStart, arcEnd, replicas }) => ({
      shardId: id,
      start: arcStart,
      end: arcEnd,
      replicas: replicas.map(({ nodeId }) => nodeId),
    })),
  };
}

function layoutOfConfig(context: Context): Layout {
  const { cluster, nodes, shards, replication } = context.requireConfig();
  const arcs = equalArcs(shards);
  const { replicas } = place(arcs, nodes, replication);
  return {
    leaving: new Map(),
    system: undefined,
    cluster,
    source: 'configuration',
    replication,
    nodes: nodes.map(({ id, zone, weight }) => ({ id, zone, weight })),
    shards: arcs.map((arc, at) => ({ ...arc, replicas: replicas[at] as readonly NodeId[] })),
  };
}

/** `cluster demo: 16 shards of 3 replicas on 3 nodes in 3 zones`. */
export function describe({ cluster, source, replication, nodes, shards }: Layout): string {
  const zones = new Set(nodes.map(({ zone }) => zone)).size;
  const where = `on ${counted(nodes.length, 'node')} in ${counted(zones, 'zone')}`;
  const note = source === 'cluster' ? '' : ', as configured';
  return `cluster ${cluster}: ${counted(shards.length, 'shard')} of ${counted(replication, 'replica')} ${where}${note}`;
}

export const percent = (part: number): string => `${(100 * part).toFixed(1)} %`;
