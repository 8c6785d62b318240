/** Goal: a node's status stays small, tells of one shard in detail when asked, and never outgrows a message. */
import test from 'ava';
import { nodeId, replicaId, type ShardId, shardId } from '../../../src/base/index.js';
import { AdminServer } from '../../../src/host/admin-server.js';
import type { Group } from '../../../src/host/group.js';
import { nodeStatus, type StatusParts } from '../../../src/host/status.js';
import type { RaftStatus } from '../../../src/raft/index.js';
import type { AdminAnswer, AdminRequest, NodeStatus } from '../../../src/wire/index.js';
import { LocalBus } from '../../support/local-bus.js';
import { VirtualClock } from '../../support/virtual-clock.js';

const [one, two, three, fresh] = [1, 2, 3, 70_000].map(replicaId) as [never, never, never, never];

function leading(id: ShardId, isQuiescent: boolean): Group {
  const progress = (replica: never, matchIndex: number) => ({
    replicaId: replica,
    matchIndex,
    nextIndex: matchIndex + 1,
    state: 'replicate' as const,
    recentlyActive: replica !== three,
  });
  const status: RaftStatus = {
    replicaId: one,
    role: 'leader',
    leader: one,
    currentTerm: 4,
    votedFor: one,
    commitIndex: 9,
    appliedIndex: 8,
    firstIndex: 2,
    lastIndex: 10,
    persistedIndex: 9,
    configuration: { voters: [one, two, three], outgoing: [], learners: [fresh], learnersNext: [] },
    transferringTo: two,
    progress: [progress(one, 10), progress(two, 9), progress(three, 3), progress(fresh, 1)],
  };
  const nodes = new Map([one, two, three, fresh].map((replica, at) => [replica, nodeId(`n${(at % 3) + 1}`)]));
  return { shardId: id, replicaId: one, leaderNode: nodeId('n1'), nodes, raft: { status, isQuiescent } } as never;
}

const parts = (count: number): StatusParts =>
  ({
    options: { nodeId: nodeId('n1'), version: '0', incarnation: 1, cluster: 'test' },
    groups: Array.from({ length: count }, (_, at) => leading(shardId(at + 1), at % 2 === 0)),
    damaged: [{ shardId: shardId(count + 1), replicaId: one, at: count, reason: 'torn' }],
    wal: { statistics: {}, isFull: false },
    startedAtMs: 5,
    uptimeMs: 1234,
    peers: [{ nodeId: nodeId('n2'), heardAgoMs: 7, isSilent: false }],
    counters: {},
  }) as never;

test('the status of all shards has no detail, and tells which are quiet', (t) => {
  const status = nodeStatus(parts(2));
  t.deepEqual(
    status.shards.map(({ shardId: id, isQuiet, detail }) => [Number(id), isQuiet, detail]),
    [
      [1, true, undefined],
      [2, false, undefined],
      [3, undefined, undefined],
    ],
  );
  t.is(status.uptimeMs, 1234);
  t.deepEqual(status.peers, [{ nodeId: nodeId('n2'), heardAgoMs: 7, isSilent: false }]);
});

test('the status of one shard is in detail: vote, configuration with its nodes, every follower but itself', (t) => {
  const { shards } = nodeStatus(parts(3), shardId(2));
  t.is(shards.length, 1);
  t.deepEqual(shards[0]?.detail, {
    votedFor: one,
    persistedIndex: 9,
    voters: [one, two, three],
    outgoing: [],
    learners: [fresh],
    nodes: { 1: nodeId('n1'), 2: nodeId('n2'), 3: nodeId('n3'), 70000: nodeId('n1') },
    transferringTo: two,
    followers: [
      { replicaId: two, state: 'replicate', matchIndex: 9, nextIndex: 10, isActive: true },
      { replicaId: three, state: 'replicate', matchIndex: 3, nextIndex: 4, isActive: false },
      { replicaId: fresh, state: 'replicate', matchIndex: 1, nextIndex: 2, isActive: true },
    ],
  });
  t.is(nodeStatus(parts(3), shardId(4)).shards[0]?.damage, 'torn');
  t.deepEqual(nodeStatus(parts(3), shardId(9)).shards, []);
});

test('a node with a replica of each of 4096 shards still fits its status into a message', (t) => {
  const bytes = Buffer.byteLength(JSON.stringify({ status: nodeStatus(parts(4096)) }));
  t.true(bytes < 1024 * 1024, `${bytes} bytes`);
});

test('an answer no message can carry is TOO_LARGE, and one shard of it can still be asked for', async (t) => {
  const clock = new VirtualClock();
  const bus = new LocalBus(clock, { maxPayloadBytes: 2000 });
  const server = new AdminServer({
    bus,
    clock,
    options: { nodeId: nodeId('n1'), cluster: 'test' },
    mark: () => {},
    status: (only?: ShardId): NodeStatus => nodeStatus(parts(50), only),
  } as never);
  server.start();
  const answers: AdminAnswer[] = [];
  bus.subscribe('client', 'answer', ({ payload }) => answers.push(JSON.parse(payload.toString()) as AdminAnswer));
  const ask = async (request: AdminRequest): Promise<AdminAnswer | undefined> => {
    const subject = '_kv.test.admin.n1';
    bus.publish('client', subject, Buffer.from(JSON.stringify(request)), { replyTo: 'answer' });
    await clock.advance(10);
    return answers.pop();
  };
  t.like(await ask({ op: 'status' }), { error: { code: 'TOO_LARGE' } });
  t.like(await ask({ op: 'status', shardId: 7 }), { status: { shards: [{ shardId: 7 }] } });
});
