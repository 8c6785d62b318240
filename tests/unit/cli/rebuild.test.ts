/** Goal: a rebuild is asked for once, waited for as told, and what is damaged shows in the status. */

import test from 'ava';
import { nodeId, RingraftError, replicaId, shardId } from '../../../src/base/index.js';
import type { NodeStatus, ShardStatus } from '../../../src/wire/index.js';
import { FakeClient, kvctl } from '../../support/fake-client.js';
import { aClusterMap, aMapShard } from '../../support/maps.js';

const n2 = nodeId('n2');

const shard = (fields: Partial<ShardStatus> = {}): ShardStatus => ({
  shardId: shardId(7),
  replicaId: replicaId(2),
  role: 'follower',
  leaderNode: nodeId('n1'),
  term: 1,
  firstIndex: 1,
  lastIndex: 9,
  commitIndex: 9,
  appliedIndex: 9,
  lagEntries: null,
  damage: null,
  ...fields,
});

const status = (shards: readonly ShardStatus[], node = n2): NodeStatus => ({
  nodeId: node,
  cluster: 'test',
  version: '0',
  pid: 1,
  startedAtMs: 0,
  incarnation: 1,
  shards,
  wal: { segments: 1, bytesOnDisk: 0, bytesWritten: 0, records: 0, syncs: 0, isFull: false },
  memory: { residentBytes: 1, heapBytes: 1 },
  counters: {},
});

const damaged = shard({ role: 'damaged', leaderNode: null, damage: 'segment 3 does not read' });

/** Before it is asked, and then one after another, the last for ever. */
function clientWith(...states: readonly (ShardStatus | 'away')[]): FakeClient {
  const client = new FakeClient();
  let at = 0;
  client.statusOf = () => {
    const state = states[Math.min(at++, states.length - 1)] as ShardStatus | 'away';
    if (state === 'away') throw new RingraftError('UNREACHABLE', 'it starts');
    return status([state]);
  };
  return client;
}

const asked = [{ what: 'rebuildReplica', bucket: '7', options: { nodeId: 'n2' } }];

test('shard rebuild asks the node once and does not wait unless told', async (t) => {
  const client = clientWith(shard());
  const { code, err, out } = await kvctl(['shard', 'rebuild', '7', '--node', 'n2'], { client });
  t.is(code, 0);
  t.deepEqual(client.calls, asked);
  t.regex(err, /^shard 7: n2 gives up its replica/);
  t.is(out.length, 0);
});

test('with --wait it says how far it is until a new replica votes', async (t) => {
  const fresh = { replicaId: replicaId(70_000) };
  const learner = shard({ ...fresh, role: 'learner', appliedIndex: 4 });
  const leaderless = shard({ ...fresh, leaderNode: null });
  const client = clientWith(shard(), shard(), damaged, 'away', learner, leaderless, shard(fresh));
  const { code, err } = await kvctl(['shard', 'rebuild', '7', '--node', 'n2', '--wait'], { client });
  t.is(code, 0, err);
  t.deepEqual(client.calls, asked);
  t.deepEqual(err.split('\n').slice(1), [
    'shard 7 on n2: waits for the leader to take it in',
    'shard 7 on n2: catches up with the leader',
    'shard 7 on n2: waits for the leader to take it in',
    'shard 7 on n2: votes again',
    '',
  ]);
});

test('with --wait a replica that does not come back is a time-out that says it goes on', async (t) => {
  const client = clientWith(shard(), damaged);
  const { code, err } = await kvctl(['shard', 'rebuild', '7', '--node', 'n2', '--wait', '-t', '250ms'], { client });
  t.is(code, 6);
  t.regex(err, /it goes on by itself/);
});

test('an unknown shard is exit code 1, no majority 5, a change under way 1', async (t) => {
  for (const [name, exit] of [
    ['WRONG_SHARD', 1],
    ['NO_QUORUM', 5],
    ['BUSY', 1],
  ] as const) {
    const client = clientWith(shard());
    client.failure = new RingraftError(name, 'the reason');
    const { code, err } = await kvctl(['shard', 'rebuild', '7', '--node', 'n2', '--wait'], { client });
    t.is(code, exit);
    t.is(err, `kvctl: ${name}: the reason\n`);
  }
});

test('shard rebuild --help has examples', async (t) => {
  const { code, out } = await kvctl(['shard', 'rebuild', '--help']);
  t.is(code, 0);
  t.regex(out.toString(), /kvctl shard rebuild 7 --node n2 --wait/);
});

function clusterOf(shards: readonly ShardStatus[]): FakeClient {
  const client = new FakeClient();
  client.clusterMap = {
    map: aClusterMap([n2], [aMapShard({ id: shardId(7), arcStart: 0, arcEnd: 2 ** 32 }, [n2])]),
    leaders: [n2],
  };
  client.statusOf = () => status(shards);
  return client;
}

const statusArguments = ['status', '--cluster', 'test', '--server', 'nats://a:1', '--state-dir', '/nonexistent'];

test('status shows damaged and unfinished replicas, and is not well then', async (t) => {
  const learner = shard({ shardId: shardId(8), role: 'learner' });
  const client = clusterOf([damaged, learner]);
  const drawn = await kvctl(statusArguments, { client });
  t.is(drawn.code, 1, drawn.err);
  t.regex(drawn.out.toString(), /REBUILDING\n.* 2\n/);
  const { code, out } = await kvctl([...statusArguments, '-o', 'json'], { client });
  t.is(code, 1);
  t.like(JSON.parse(out.toString()), {
    healthy: false,
    nodes: [{ id: 'n2', damaged: [{ shardId: 7, reason: 'segment 3 does not read' }], rebuilding: 2 }],
  });
});

test('status without damage has no such column and is well', async (t) => {
  const client = clusterOf([shard()]);
  const drawn = await kvctl(statusArguments, { client });
  t.is(drawn.code, 0, drawn.err);
  t.notRegex(drawn.out.toString(), /REBUILDING/);
  const { out } = await kvctl([...statusArguments, '-o', 'json'], { client });
  t.like(JSON.parse(out.toString()), { healthy: true, nodes: [{ damaged: [], rebuilding: 0 }] });
});
