/**
 * The cluster map as records of the system shard (docs/data-format.md): one for the cluster, one a node, one a shard, and
 * one for every change. Values are JSON; a reader passes over fields it does not know.
 */
import { RingraftError, systemShardId } from '../base/index.js';
import type { SystemRecord } from '../host/index.js';
import { type ClusterMap, type MapChange, type MapNode, type MapShard, withWholeBuckets } from '../wire/index.js';

const formatVersion = 1;
const clusterKey = 'cluster';
const nodePrefix = 'node/';
const shardPrefix = 'shard/';
const historyPrefix = 'history/';

/** Changes that are remembered. */
export const keptChanges = 1000;

type ClusterRecord = Omit<ClusterMap, 'nodes' | 'shards' | 'system'> & { readonly formatVersion: number };

const numbered = (prefix: string, number: number): string => prefix + String(number).padStart(10, '0');
const put = (key: string, value: unknown): SystemRecord => ({ key, value: JSON.stringify(value) });
const nodeRecord = (node: MapNode): SystemRecord => put(nodePrefix + node.id, node);
const shardRecord = (shard: MapShard): SystemRecord => put(numbered(shardPrefix, shard.id), shard);

function clusterRecord(map: ClusterMap): SystemRecord {
  const { nodes: _nodes, shards: _shards, system: _system, ...rest } = map;
  return put(clusterKey, { formatVersion, ...rest } satisfies ClusterRecord);
}

/**
 * A founded map in portions that each fit into an entry of the log. The record that makes it valid comes with the last
 * one; until then it may be begun again, from another configuration even: what was left `behind` goes.
 */
export function foundingRecords(
  map: ClusterMap,
  change: MapChange,
  perEntry: number,
  behind: readonly string[] = [],
): readonly SystemRecord[][] {
  const founded = [...map.nodes.map(nodeRecord), ...[map.system, ...map.shards].map(shardRecord)];
  const keys = new Set(founded.map(({ key }) => key));
  const stray = behind.filter((key) => !keys.has(key)).map((key): SystemRecord => ({ key, value: undefined }));
  const all = [...stray, ...founded];
  const portions: SystemRecord[][] = [];
  for (let at = 0; at < all.length; at += perEntry) portions.push(all.slice(at, at + perEntry));
  const { shards: _shards, nodes: _nodes, ...brief } = change;
  portions.push([clusterRecord(map), put(numbered(historyPrefix, change.epoch), brief)]);
  return portions;
}

/** What a change writes, `map` being the map after it. */
export function recordsOfChange(map: ClusterMap, change: MapChange): readonly SystemRecord[] {
  const forgotten = change.epoch - keptChanges;
  return [
    ...(change.removedNodes ?? []).map((id): SystemRecord => ({ key: nodePrefix + id, value: undefined })),
    ...(change.nodes ?? []).map(nodeRecord),
    ...(change.shards ?? []).map(shardRecord),
    clusterRecord(map),
    put(numbered(historyPrefix, change.epoch), change),
    ...(forgotten > 0 ? [{ key: numbered(historyPrefix, forgotten), value: undefined }] : []),
  ];
}

const parse = <T>(key: string, text: string): T => {
  try {
    return JSON.parse(text) as T;
  } catch (cause) {
    throw new RingraftError('CORRUPT', `record ${key} of the system shard is not JSON`, { cause });
  }
};

const all = <T>(records: ReadonlyMap<string, string>, prefix: string): T[] =>
  [...records].flatMap(([key, text]) => (key.startsWith(prefix) ? [parse<T>(key, text)] : []));

/** The map in the records; undefined: the cluster is not founded yet. Throws CORRUPT. */
export function mapOfRecords(records: ReadonlyMap<string, string>): ClusterMap | undefined {
  const text = records.get(clusterKey);
  if (text === undefined) return undefined;
  const { formatVersion: version, ...cluster } = parse<ClusterRecord>(clusterKey, text);
  if (version !== formatVersion) {
    throw new RingraftError('CORRUPT', `the system shard has format ${version}, this node reads ${formatVersion}`);
  }
  const shards = all<MapShard>(records, shardPrefix);
  const system = shards.find(({ id }) => id === systemShardId);
  if (system === undefined) throw new RingraftError('CORRUPT', 'the system shard has no record of itself');
  return {
    ...withWholeBuckets(cluster),
    system,
    nodes: all<MapNode>(records, nodePrefix).sort((a, b) => (a.id < b.id ? -1 : 1)),
    shards: shards.filter(({ id }) => id !== systemShardId).sort((a, b) => a.arcStart - b.arcStart),
  };
}

/** The changes that are remembered, oldest first. */
export const historyOfRecords = (records: ReadonlyMap<string, string>): readonly MapChange[] =>
  all<MapChange>(records, historyPrefix).sort((a, b) => a.epoch - b.epoch);
