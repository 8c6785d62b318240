/**
 * The cluster map of a cluster whose members stand in its configuration file: every node computes the same one.
 * Shard ids count from 1 (0 is kept for the system shard), replica ids follow the order of the nodes in the file.
 */
import { crc32 } from 'node:zlib';
import { type BucketId, bucketId, type NodeId, replicaId } from '../base/index.js';
import { equalArcs, place } from '../ring/index.js';
import type { ClusterMap } from '../wire/index.js';

export type StaticMapInput = {
  readonly cluster: string;
  readonly shards: number;
  readonly replication: number;
  readonly nodes: readonly { readonly id: NodeId; readonly zone: string; readonly weight: number }[];
  readonly buckets: readonly { readonly name: string; readonly id: number }[];
};

/** Needs `initHash()` before. */
export function staticMap(input: StaticMapInput): ClusterMap {
  const arcs = equalArcs(input.shards);
  const { replicas } = place(arcs, input.nodes, input.replication);
  const replicaOf = new Map(input.nodes.map((node, at) => [node.id, replicaId(at + 1)]));
  return {
    cluster: input.cluster,
    epoch: 1,
    nodes: input.nodes.map(({ id, zone, weight }) => ({ id, zone, weight })),
    shards: arcs.map((arc, at) => ({
      id: arc.shardId,
      arcStart: arc.start,
      arcEnd: arc.end,
      replicas: (replicas[at] ?? []).map((nodeId) => ({ nodeId, replicaId: replicaOf.get(nodeId) ?? replicaId(0) })),
    })),
    buckets: input.buckets.map(({ name, id }): { name: string; id: BucketId } => ({ name, id: bucketId(id) })),
  };
}

/** The map's placement in words, with a digest: equal exactly when shards lie on the same nodes in the same order. */
export function describeLayout(map: ClusterMap): string {
  const digest = crc32(JSON.stringify(map.shards)).toString(16).padStart(8, '0');
  const nodes = map.nodes.map(({ id }) => id).join(', ');
  return `${map.shards.length} shards of ${map.shards[0]?.replicas.length ?? 0} on ${nodes} (${digest})`;
}
