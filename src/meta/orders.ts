/** What administrators ask of the map, as drafts of changes. Pure; each throws what is wrong with the order. */
import { bucketId, isNodeId, type NodeId, RingraftError } from '../base/index.js';
import { allShards } from '../host/index.js';
import {
  type ClusterMap,
  type ClusterSettings,
  liveBucket,
  type ManagerRequest,
  type MapBucket,
  type MapNode,
  type MapShard,
  mostBuckets,
  type ShardReport,
  settingsOfBucket,
  wholeBucket,
} from '../wire/index.js';
import type { ChangeDraft } from './map-keeper.js';
import { holdsNothing, homesOf, isMoving, receivers, redirected } from './planning.js';

const tokenPattern = /^[a-z0-9][a-z0-9_-]{0,62}$/;

const bad = (message: string): RingraftError => new RingraftError('BAD_REQUEST', message);

export function nodeOf(map: ClusterMap, id: string): MapNode {
  const node = map.nodes.find((known) => known.id === id);
  if (node !== undefined) return node;
  throw new RingraftError('NOT_FOUND', `cluster ${map.cluster} has no node ${JSON.stringify(id)}`);
}

function shardOf(map: ClusterMap, id: number): MapShard {
  const shard = allShards(map).find((known) => known.id === id);
  if (shard !== undefined) return shard;
  throw new RingraftError('WRONG_SHARD', `cluster ${map.cluster} has no shard ${id}`);
}

const checkZone = (zone: unknown): void => {
  if (typeof zone !== 'string' || !tokenPattern.test(zone)) {
    throw bad('a zone is lower-case letters, digits, - and _, beginning with a letter or digit');
  }
};

const checkWeight = (weight: unknown): void => {
  if (typeof weight !== 'number' || !(weight > 0 && weight <= 1000)) throw bad('a weight is above 0 and at most 1000');
};

/** undefined: it is in the map already. */
export function join(map: ClusterMap, { node }: Extract<ManagerRequest, { op: 'join' }>): ChangeDraft | undefined {
  if (!isNodeId(node.id)) throw bad('a node id is lower-case letters, digits, - and _, at most 63 characters');
  checkZone(node.zone);
  checkWeight(node.weight);
  if (map.nodes.some(({ id }) => id === node.id)) return undefined;
  const joined: MapNode = { id: node.id, zone: node.zone, weight: node.weight, condition: 'up' };
  return {
    kind: 'nodeJoined',
    summary: `${node.id} joined, zone ${node.zone}, weight ${node.weight}`,
    nodes: [joined],
  };
}

export function drain(map: ClusterMap, id: string): ChangeDraft | undefined {
  const node = nodeOf(map, id);
  if (node.condition === 'draining' || node.condition === 'drained') return undefined;
  checkRoomWithout(map, node);
  return { kind: 'nodeChanged', summary: `${id} is being drained`, nodes: [{ ...node, condition: 'draining' }] };
}

function checkRoomWithout(map: ClusterMap, node: MapNode): void {
  const left = receivers(map).filter(({ id }) => id !== node.id).length;
  if (left >= map.replication || holdsNothing(map, node.id)) return;
  const message = `${map.replication} replicas need as many nodes that are up; without ${node.id} there would be ${left}`;
  throw bad(`${message}. Add a node first`);
}

export function recommission(map: ClusterMap, id: string): ChangeDraft | undefined {
  const node = nodeOf(map, id);
  if (node.condition === 'up') return undefined;
  if (node.condition === 'down') throw bad(`${id} is down: it takes part again by itself once it is back`);
  return { kind: 'nodeChanged', summary: `${id} takes part again`, nodes: [{ ...node, condition: 'up' }] };
}

/** Removes the node, or begins to drain it: then the caller answers BUSY. */
export function decommission(map: ClusterMap, id: string): ChangeDraft | undefined {
  const node = nodeOf(map, id);
  if (!holdsNothing(map, node.id)) return drain(map, id);
  if (receivers(map).every((other) => other.id === node.id)) throw bad(`${id} is the last node of the cluster`);
  return { kind: 'nodeRemoved', summary: `${id} left the cluster for good`, removedNodes: [node.id] };
}

export function setNode(map: ClusterMap, order: Extract<ManagerRequest, { op: 'setNode' }>): ChangeDraft | undefined {
  const node = nodeOf(map, order.node);
  const { zone = node.zone, weight = node.weight } = order;
  checkZone(zone);
  checkWeight(weight);
  if (zone === node.zone && weight === node.weight) return undefined;
  return {
    kind: 'nodeChanged',
    summary: `${node.id} has zone ${zone} and weight ${weight}`,
    nodes: [{ ...node, zone, weight }],
  };
}

export function move(map: ClusterMap, order: Extract<ManagerRequest, { op: 'move' }>): ChangeDraft | undefined {
  const shard = shardOf(map, order.shard);
  const [from, to] = [nodeOf(map, order.from), nodeOf(map, order.to)];
  const homes = homesOf(shard);
  if (homes.includes(to.id) && !homes.includes(from.id)) return undefined;
  if (!homes.includes(from.id))
    throw bad(`shard ${shard.id} has no replica on ${from.id}; it is on ${homes.join(', ')}`);
  if (homes.includes(to.id)) throw bad(`shard ${shard.id} has a replica on ${to.id} already`);
  if (to.condition !== 'up') throw bad(`${to.id} is ${to.condition}`);
  if (isMoving(shard)) throw new RingraftError('BUSY', `shard ${shard.id} is being moved already`);
  const moved = redirected(
    shard,
    homes.map((id) => (id === from.id ? to.id : id)),
  );
  return { kind: 'moveBegan', summary: `shard ${shard.id}: ${from.id} -> ${to.id}, by order`, shards: [moved] };
}

/** Back to where the replicas were. CONFLICT once the shard's voters change. */
export function cancelMove(map: ClusterMap, id: number, report: ShardReport | undefined): ChangeDraft | undefined {
  const shard = shardOf(map, id);
  if (!isMoving(shard)) return undefined;
  const isEarly = report !== undefined && report.epoch === shard.epoch && report.missing.length > 0;
  if (!isEarly || report.phase === 'swapping' || report.phase === 'settled') {
    throw new RingraftError(
      'CONFLICT',
      `shard ${id} cannot be stopped now: its voters are changing, or no leader tells`,
    );
  }
  const up = new Set(receivers(map).map((node) => node.id as string));
  const stays = shard.leaving.filter((node) => up.has(node));
  const homes: NodeId[] = [];
  for (const home of homesOf(shard)) {
    const old = report.missing.includes(home) ? stays.shift() : home;
    homes.push(old ?? home);
  }
  const given = report.missing.filter((node) => !homes.includes(node));
  if (given.length === 0) throw new RingraftError('CONFLICT', `shard ${id} cannot stay: the node it leaves is going`);
  return {
    kind: 'moveCancelled',
    summary: `shard ${id}: not to ${given.join(', ')}`,
    shards: [redirected(shard, homes)],
  };
}

const positive = (least: number) => (value: unknown) =>
  typeof value === 'number' && Number.isSafeInteger(value) && value >= least;

const settingChecks: Readonly<Record<keyof ClusterSettings, (value: unknown) => boolean>> = {
  downAfterMs: positive(1000),
  maxMoves: positive(1),
  snapshotBytesPerSecond: positive(65_536),
  leaderZones: (value) =>
    Array.isArray(value) && value.every((zone) => typeof zone === 'string' && tokenPattern.test(zone)),
  rebalance: (value) => typeof value === 'boolean',
};

export function settings(map: ClusterMap, set: Partial<ClusterSettings>): ChangeDraft | undefined {
  for (const [name, value] of Object.entries(set)) {
    if (!Object.hasOwn(settingChecks, name))
      throw bad(`no setting is called ${name}; there are ${Object.keys(settingChecks).join(', ')}`);
    if (!settingChecks[name as keyof ClusterSettings](value)) throw bad(`${name} cannot be ${JSON.stringify(value)}`);
  }
  const next = { ...map.settings, ...set };
  if (JSON.stringify(next) === JSON.stringify(map.settings)) return undefined;
  const changed = Object.entries(set).map(([name, value]) => `${name}=${JSON.stringify(value)}`);
  return { kind: 'settingsChanged', summary: changed.join(', '), settings: next };
}

type BucketOrder<Op extends string> = Extract<ManagerRequest, { readonly op: Op }>;

export function bucketOf(map: ClusterMap, name: string): MapBucket {
  const bucket = liveBucket(map.buckets, name);
  if (bucket !== undefined) return bucket;
  throw new RingraftError('NOT_FOUND', `cluster ${map.cluster} has no bucket ${JSON.stringify(name)}`);
}

/** What was said of it, for the history. */
const wordsOf = (set: object): string =>
  Object.entries(set)
    .map(([name, value]) => `${name}=${JSON.stringify(value)}`)
    .join(', ');

export function createBucket(map: ClusterMap, order: BucketOrder<'createBucket'>): ChangeDraft {
  const { op: _op, name, ...set } = order;
  if (!tokenPattern.test(name)) {
    throw bad('a bucket is named with lower-case letters, digits, - and _, beginning with a letter or digit');
  }
  const known = liveBucket(map.buckets, name);
  if (known !== undefined)
    throw new RingraftError('CONFLICT', `there is a bucket ${name} already, with id ${known.id}`);
  if (map.buckets.length >= mostBuckets) {
    const message = `a cluster has at most ${mostBuckets} buckets, removed ones included: none can be created any more`;
    throw new RingraftError('BAD_REQUEST', message);
  }
  const bucket = wholeBucket({ ...set, id: unusedId(map.buckets), name });
  const words = wordsOf(set);
  return {
    kind: 'bucketCreated',
    summary: `bucket ${name} (${bucket.id})${words === '' ? '' : `: ${words}`}`,
    buckets: [bucket],
  };
}

/** Above all that were ever given; where a configuration gave the last one, the first that nobody had. */
function unusedId(buckets: readonly MapBucket[]): MapBucket['id'] {
  const used = new Set<number>(buckets.map(({ id }) => id));
  let id = Math.max(0, ...used) + 1;
  if (id > 0xffff) for (id = 1; used.has(id); ) id++;
  return bucketId(id);
}

export function configureBucket(map: ClusterMap, order: BucketOrder<'configureBucket'>): ChangeDraft | undefined {
  const { op: _op, name, ...set } = order;
  const known = bucketOf(map, name);
  const bucket = wholeBucket({ ...known, ...set });
  if (JSON.stringify(settingsOfBucket(bucket)) === JSON.stringify(settingsOfBucket(known))) return undefined;
  return { kind: 'bucketChanged', summary: `bucket ${name} (${known.id}): ${wordsOf(set)}`, buckets: [bucket] };
}

export function removeBucket(map: ClusterMap, { name }: BucketOrder<'removeBucket'>): ChangeDraft {
  const known = bucketOf(map, name);
  return {
    kind: 'bucketRemoved',
    summary: `bucket ${name} (${known.id}), with all it held`,
    buckets: [{ ...known, isRemoved: true }],
  };
}
