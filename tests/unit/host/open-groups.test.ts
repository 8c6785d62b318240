/** Goal: after any crash a replica puts log and state together without inventing or forgetting anything. Method: a real log on a simulated disk, the state as a number. */

import test from 'ava';
import {
  type NodeId,
  noReplica,
  replicaId,
  seededRandom,
  silentLogger,
  systemClock,
  systemShardId,
} from '../../../src/base/index.js';
import type { Group } from '../../../src/host/group.js';
import { LocalMap } from '../../../src/host/local-map.js';
import { openGroups } from '../../../src/host/open-groups.js';
import type { ShardPosition, Store } from '../../../src/kv/index.js';
import { aClusterMap, aMapShard } from '../../support/maps.js';
import { MemoryDisk } from '../../support/memory-disk.js';
import { committed, configuration, entriesOf, openLog, shard, snapshotAt, textsOf } from '../../support/wal-calls.js';

const theShard = shard(1);
const nodes = ['n1', 'n2', 'n3'] as NodeId[];

const hostOptions = () => ({
  nodeId: 'n1' as NodeId,
  version: 'test',
  incarnation: 1,
  cluster: 'test',
  mayFound: true,
  raft: {
    electionTimeoutMs: 1000,
    heartbeatIntervalMs: 50,
    voteHoldMs: 200,
    leaseMs: 150,
    maxAppendBytes: 1000,
    maxInflightAppends: 4,
    maxUncommittedBytes: 100_000,
  },
  limits: {
    maxKeyBytes: 1024,
    maxValueBytes: 1024,
    maxInflightOperations: 10,
    maxPendingWriteBytes: 1000,
    retainedLogBytes: 1000,
    trailingLogBytes: 1000,
    trimEveryBytes: 1000,
    packEveryBytes: 1000,
    diskStallMs: 1000,
  },
});

/** The node starts over this disk, its state machine standing at `appliedIndex`. */
async function open(disk: MemoryDisk, appliedIndex: number, appliedTerm = 1, founders = nodes, startedBefore = false) {
  const position: ShardPosition = {
    shardId: theShard,
    appliedIndex,
    appliedTerm,
    configuration,
    needsSnapshot: false,
    droppedBuckets: new Set(),
  };
  const store = {
    openShard: async () => position,
    createShard: () => {},
    firstStart: async () => (startedBefore ? 'done' : 'none'),
    noteFirstStart: async () => {},
    hasStateOf: async () => false,
  } as unknown as Store;
  const shards = [aMapShard({ id: theShard, arcStart: 0, arcEnd: 2 ** 32 }, nodes)];
  const system = aMapShard({ id: systemShardId, arcStart: 0, arcEnd: 0 }, []);
  const maps = new LocalMap(aClusterMap(founders, shards, { system }));
  const parts = {
    clock: systemClock,
    random: seededRandom(1),
    logger: silentLogger,
    wal: await openLog(disk),
    store,
    maps,
  };
  return openGroups(parts, hostOptions());
}

async function start(disk: MemoryDisk, appliedIndex: number, appliedTerm = 1, founders = nodes): Promise<Group> {
  const { opened } = await open(disk, appliedIndex, appliedTerm, founders);
  const [first] = opened;
  if (first === undefined) throw new Error('the node has a replica');
  return first;
}

async function diskWith(...texts: readonly string[]): Promise<MemoryDisk> {
  const disk = new MemoryDisk();
  const wal = await openLog(disk);
  wal.appendGroup(theShard, replicaId(1), snapshotAt(0, 0));
  wal.appendHardState(theShard, { currentTerm: 4, votedFor: replicaId(3), commitIndex: 1 });
  wal.appendEntries(theShard, entriesOf(1, texts));
  await committed(wal);
  disk.crash();
  return disk;
}

test('a new replica begins with the configuration of the map', async (t) => {
  const { status } = (await start(new MemoryDisk(), 0)).raft;
  t.deepEqual([status.currentTerm, status.votedFor, status.lastIndex], [0, noReplica, 0]);
  t.deepEqual(status.configuration.voters, configuration.voters);
});

test('a state behind the end of the log goes on where it stands, and what it has applied was committed', async (t) => {
  const { raft } = await start(await diskWith('a', 'b', 'c'), 2);
  const { currentTerm, votedFor, commitIndex, appliedIndex, lastIndex } = raft.status;
  t.deepEqual([currentTerm, votedFor, commitIndex, appliedIndex, lastIndex], [4, replicaId(3), 2, 2, 3]);
});

test('pitfall 30: a state ahead of its log, as a crash after installing a snapshot leaves it, is where the log begins anew', async (t) => {
  const disk = await diskWith('a', 'b', 'c');
  const { status } = (await start(disk, 9, 3)).raft;
  t.deepEqual([status.firstIndex, status.lastIndex, status.commitIndex, status.appliedIndex], [10, 9, 9, 9]);
  t.deepEqual([status.currentTerm, status.votedFor], [4, replicaId(3)], 'term and vote stay');
  disk.crash();
  const recovered = (await openLog(disk)).recovered.get(theShard);
  t.is(recovered?.snapshot.index, 9, 'and the log says so itself after the next start');
  t.deepEqual(textsOf(recovered), []);
});

test('pitfall 30: an entry of another term at the applied index is not what was applied', async (t) => {
  const { status } = (await start(await diskWith('a', 'b', 'c'), 2, 3)).raft;
  t.deepEqual([status.firstIndex, status.lastIndex, status.commitIndex], [3, 2, 2], 'what followed it was never ours');
});

test('pitfall 23: the log says which replica lives here, whatever the map says', async (t) => {
  const group = await start(await diskWith('a'), 1, 1, [...nodes].reverse());
  t.is(group.replicaId, replicaId(1));
});

test('state without a log does not take part: it is to be replaced', async (t) => {
  const { opened, damaged } = await open(new MemoryDisk(), 3);
  t.deepEqual(opened, []);
  t.deepEqual(
    damaged.map(({ shardId, replicaId: id }) => [shardId, id]),
    [[theShard, noReplica]],
  );
});

test('pitfall 22: a replica that was given up does not begin anew when the state is gone as well', async (t) => {
  const disk = new MemoryDisk();
  const wal = await openLog(disk);
  wal.appendGroup(shard(2), replicaId(1), snapshotAt(0, 0));
  await committed(wal);
  disk.crash();
  const { opened, damaged } = await open(disk, 0, 0);
  t.deepEqual([opened.length, damaged.length], [0, 1], 'the log shows that the node has lived before');
});

test('pitfall 22: a replica that was given up does not begin anew with the first configuration', async (t) => {
  const { opened, damaged } = await open(new MemoryDisk(), 0, 0, nodes, true);
  t.deepEqual([opened.length, damaged.length], [0, 1]);
});
