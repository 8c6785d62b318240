/** A cluster as its nodes tell of it: what tests of kvctl start from. */

import { nodeId, RingraftError, replicaId, shardId } from '../../src/base/index.js';
import type { ClusterMapAnswer, NodeStatus, PeerStatus, ShardDetail, ShardStatus } from '../../src/wire/index.js';
import { FakeClient } from './fake-client.js';
import { aClusterMap, aMapNode, aMapShard } from './maps.js';

export const aShard = (fields: Partial<ShardStatus> = {}): ShardStatus => ({
  shardId: shardId(7),
  replicaId: replicaId(1),
  role: 'follower',
  leaderNode: nodeId('n1'),
  term: 4,
  firstIndex: 1,
  lastIndex: 10,
  commitIndex: 10,
  appliedIndex: 10,
  lagEntries: null,
  damage: null,
  isQuiet: false,
  ...fields,
});

export const aDetail = (fields: Partial<ShardDetail> = {}): ShardDetail => ({
  votedFor: replicaId(1),
  persistedIndex: 10,
  voters: [1, 2, 3].map(replicaId),
  outgoing: [],
  learners: [],
  nodes: { 1: nodeId('n1'), 2: nodeId('n2'), 3: nodeId('n3') },
  transferringTo: replicaId(0),
  followers: [],
  ...fields,
});

/** A leader of shard 7 on n1 whose two followers hold everything. */
export const aLeader = (fields: Partial<ShardStatus> = {}, detail: Partial<ShardDetail> = {}): ShardStatus =>
  aShard({
    role: 'leader',
    lagEntries: 0,
    detail: aDetail({ followers: [2, 3].map((id) => aFollower(id)), ...detail }),
    ...fields,
  });

export const aFollower = (id: number, fields: Partial<ShardDetail['followers'][number]> = {}) => ({
  replicaId: replicaId(id),
  state: 'replicate' as const,
  matchIndex: 10,
  nextIndex: 11,
  isActive: true,
  ...fields,
});

/** A follower on `n<id>`. */
export const onNode = (id: number, fields: Partial<ShardStatus> = {}): ShardStatus =>
  aShard({ replicaId: replicaId(id), detail: aDetail(), ...fields });

export const aPeer = (id: string, heardAgoMs: number | null, isSilent = false): PeerStatus => ({
  nodeId: nodeId(id),
  heardAgoMs,
  isSilent,
});

export const aNode = (id: string, shards: readonly ShardStatus[], fields: Partial<NodeStatus> = {}): NodeStatus => ({
  nodeId: nodeId(id),
  cluster: 'test',
  version: '1.2.3',
  pid: 1,
  startedAtMs: 0,
  incarnation: 1,
  uptimeMs: 3_700_000,
  shards,
  wal: { segments: 1, bytesOnDisk: 16_800_000, bytesWritten: 0, records: 0, syncs: 0, isFull: false },
  memory: { residentBytes: 96_000_000, heapBytes: 1 },
  counters: {},
  ...fields,
});

const ids = ['n1', 'n2', 'n3'];

const aMap = (): ClusterMapAnswer => ({
  map: aClusterMap(ids.map(nodeId), [aMapShard({ id: shardId(7), arcStart: 0, arcEnd: 2 ** 32 }, ids.map(nodeId))], {
    nodes: ids.map((id, at) => aMapNode(nodeId(id), { zone: `z${at + 1}` })),
    buckets: [],
  }),
  leaders: [nodeId('n1')],
});

/** What a node tells, or why it tells nothing. */
export type Told = NodeStatus | 'down' | 'silent';

/** Three nodes and shard 7 on all of them. */
export function clusterTelling(...told: readonly Told[]): FakeClient {
  const client = new FakeClient();
  client.clusterMap = aMap();
  client.statusOf = (id) => {
    const status = told[ids.indexOf(id)];
    if (status === undefined || status === 'down') throw new RingraftError('UNREACHABLE', 'nobody listens');
    if (status === 'silent') throw new RingraftError('TIMEOUT', 'no answer');
    return status;
  };
  return client;
}
