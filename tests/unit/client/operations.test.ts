/** Goal: what callers get for single keys: values, revisions, conditions, and errors for wrong arguments. */
import test from 'ava';
import { bucketId, isRingraftError, type RingraftError } from '../../../src/base/index.js';
import { connectClient, type WriteOptions } from '../../../src/client/index.js';
import { initHash } from '../../../src/ring/index.js';
import { rejection, startFixture } from '../../support/client-fixture.js';
import { refusal } from '../../support/fake-cluster.js';
import { LocalBus } from '../../support/local-bus.js';
import { aBucket } from '../../support/maps.js';
import { VirtualClock } from '../../support/virtual-clock.js';

test.before(initHash);

test('a value put is got with its revision and the level it was read at', async (t) => {
  const { clock, client } = await startFixture();
  const { revision } = await clock.until(client.put('default', 'k', 'v'));
  const got = await clock.until(client.get('default', 'k'));
  t.deepEqual(got, { value: Buffer.from('v'), revision, consistency: 'linearizable', maybeStale: false });
  const leased = await clock.until(client.get('default', 'k', { consistency: 'lease' }));
  t.is(leased?.consistency, 'lease');
});

test('a missing key is undefined, an empty value is not', async (t) => {
  const { clock, client } = await startFixture();
  t.is(await clock.until(client.get('default', 'k')), undefined);
  await clock.until(client.put('default', 'k', ''));
  t.is((await clock.until(client.get('default', 'k')))?.value.length, 0);
});

test('keys of two buckets do not meet', async (t) => {
  const { clock, client } = await startFixture();
  await clock.until(client.put('default', 'k', '1'));
  await clock.until(client.put('cities', 'k', '2'));
  t.is((await clock.until(client.get('default', 'k')))?.value.toString(), '1');
  t.is((await clock.until(client.get('cities', 'k')))?.value.toString(), '2');
});

test('binary keys and values survive the round trip', async (t) => {
  const { clock, client } = await startFixture();
  const key = Buffer.from([0, 0xff, 0x7b, 0x80]);
  const value = Buffer.from(Array.from({ length: 256 }, (_, at) => at));
  await clock.until(client.put('default', key, value));
  t.deepEqual((await clock.until(client.get('default', key)))?.value, value);
});

test('a delete says whether the key was there', async (t) => {
  const { clock, client } = await startFixture();
  await clock.until(client.put('default', 'k', 'v'));
  t.true((await clock.until(client.delete('default', 'k'))).found);
  t.false((await clock.until(client.delete('default', 'k'))).found);
});

test('a condition that does not hold is CONFLICT with the revision found', async (t) => {
  const { clock, client } = await startFixture();
  const { revision } = await clock.until(client.put('default', 'k', 'v'));
  const refused: WriteOptions[] = [{ ifAbsent: true }, { ifRevision: revision + 5 }, { ifValue: Buffer.from('w') }];
  for (const options of refused) {
    const error = (await rejection(clock, client.put('default', 'k', 'x', options))) as RingraftError;
    t.is(error.code, 'CONFLICT');
    t.is(error.happened, 'no');
    t.deepEqual(error.fields, { revision });
  }
  await clock.until(client.put('default', 'k', 'x', { ifRevision: revision }));
  await clock.until(client.put('default', 'k', 'y', { ifValue: Buffer.from('x') }));
  await clock.until(client.put('default', 'new', 'y', { ifRevision: 0 }));
  const error = (await rejection(clock, client.put('default', 'new', 'y', { ifRevision: 0 }))) as RingraftError;
  t.is(error.code, 'CONFLICT');
});

test('wrong arguments are BAD_REQUEST and nothing is sent', async (t) => {
  const { clock, cluster, client } = await startFixture();
  const wrong: Promise<unknown>[] = [
    client.get('default', ''),
    client.put('default', '', 'v'),
    client.put('default', 'k', 'v', { ifAbsent: true, ifRevision: 3 }),
    client.put('default', 'k', 'v', { ifRevision: -1 }),
    client.put('default', 'k', 'v', { ifRevision: 1.5 }),
    client.put('default', 'k', 'v', { ttlMs: 0 }),
    client.put('default', 'k', 'v', { ttlMs: Number.NaN }),
    client.put('default', 'k', 'v', { timeoutMs: Number.NaN }),
    client.get('default', 'k', { timeoutMs: 0 }),
    client.get('default', 'k', { consistency: 'strong' as never }),
    client.scan('default', { limit: -1 })[Symbol.asyncIterator]().next(),
  ];
  for (const promise of wrong) t.true(isRingraftError(await rejection(clock, promise), 'BAD_REQUEST'));
  t.is(cluster.batches.length, 0);
});

test('an unknown bucket is NOT_FOUND after the map was asked for a few times, within a second', async (t) => {
  const { clock, cluster, client } = await startFixture();
  await clock.advance(1000);
  const before = cluster.mapRequests;
  const asked = [client.get('none', 'k'), client.put('none', 'k', 'v'), client.getMany('none', ['k'])];
  for (const promise of asked) {
    const error = await rejection(clock, promise);
    t.true(isRingraftError(error, 'NOT_FOUND'));
    t.regex((error as Error).message, /no bucket "none"/);
  }
  t.is(cluster.mapRequests, before + 4, 'together');
  t.true(clock.nowMs() < 2000);
});

test('a bucket that is newer than the map at hand is found', async (t) => {
  const { clock, cluster, client } = await startFixture();
  await clock.advance(1000);
  Object.assign(cluster.map, { epoch: 2, buckets: [...cluster.map.buckets, { id: 7, name: 'fresh' }] });
  await clock.until(client.put('fresh', 'k', 'v'));
  t.is(cluster.batches[0]?.batch.operations[0]?.bucketId as number, 7);
  t.is(cluster.batches[0]?.batch.mapEpoch, 2);
});

test('a bucket that was created a moment ago is found, though the first nodes asked have not heard of it', async (t) => {
  const { clock, cluster, client } = await startFixture();
  await clock.advance(1000);
  const put = client.put('fresh', 'k', 'v');
  await clock.advance(250);
  Object.assign(cluster.map, { epoch: 2, buckets: [...cluster.map.buckets, { id: 7, name: 'fresh' }] });
  await clock.until(put);
  t.is(cluster.batches[0]?.batch.operations[0]?.bucketId as number, 7);
});

test('where a bucket was removed and its name has a new one, operations go there; else they are NOT_FOUND', async (t) => {
  const { clock, cluster, client } = await startFixture();
  await clock.until(client.put('cities', 'k', 'old'));
  await clock.advance(200);
  const buckets = cluster.map.buckets.map((one) => (one.name === 'cities' ? { ...one, isRemoved: true } : one));
  cluster.map = { ...cluster.map, epoch: 2, buckets: [...buckets, aBucket({ id: bucketId(9), name: 'cities' })] };
  cluster.script = ({ requestId, bucketId: id }) => (id === 2 ? refusal(requestId, 'NOT_FOUND') : undefined);
  t.is(await clock.until(client.get('cities', 'k')), undefined);
  t.is(cluster.batches.at(-1)?.batch.operations[0]?.bucketId, bucketId(9));
  t.true(
    (
      await clock.until(
        client.putMany('cities', [
          ['a', '1'],
          ['b', '2'],
        ]),
      )
    ).every(({ ok }) => ok),
  );
  cluster.map = { ...cluster.map, epoch: 3, buckets };
  cluster.script = ({ requestId }) => refusal(requestId, 'NOT_FOUND');
  const startMs = clock.nowMs();
  t.true(isRingraftError(await rejection(clock, client.put('cities', 'k', 'v')), 'NOT_FOUND'));
  t.true(clock.nowMs() - startMs < 100, 'at once, when the map says so');
});

test('connecting where no node listens is UNREACHABLE and names the subject', async (t) => {
  const clock = new VirtualClock();
  const bus = new LocalBus(clock);
  const error = await rejection(clock, connectClient(bus, { cluster: 'test', clock, ownsBus: true }));
  t.true(isRingraftError(error, 'UNREACHABLE'));
  t.regex((error as Error).message, /nobody listens on _kv\.test\.map/);
  t.true(clock.nowMs() < 1000, 'without waiting for the time-out');
  t.true(bus.closed);
});

test('connecting where nobody answers is UNREACHABLE after the time-out', async (t) => {
  const clock = new VirtualClock();
  const bus = new LocalBus(clock);
  bus.subscribe('client', '_kv.test.map', () => {});
  const error = await rejection(clock, connectClient(bus, { cluster: 'test', clock, timeoutMs: 3000 }));
  t.true(isRingraftError(error, 'UNREACHABLE'));
  t.regex((error as Error).message, /nobody answered on _kv\.test\.map/);
});

test('a node that answers an error instead of a map is believed', async (t) => {
  const clock = new VirtualClock();
  const bus = new LocalBus(clock);
  bus.subscribe('client', '_kv.test.map', ({ replyTo }) => {
    const body = { error: { code: 'DENIED', message: 'not you', happened: 'no' } };
    if (replyTo !== undefined) bus.publish('client', replyTo, Buffer.from(JSON.stringify(body)));
  });
  const error = await rejection(clock, connectClient(bus, { cluster: 'test', clock }));
  t.true(isRingraftError(error, 'DENIED'));
});

test('administration: status, metrics, and a transfer that resolves once the target leads', async (t) => {
  const { clock, cluster, client } = await startFixture();
  t.is((await clock.until(client.nodeStatus('n2'))).nodeId as string, 'n2');
  t.regex(await clock.until(client.metrics('n3')), /node="n3"/);
  await clock.until(client.transferLeader(1, 'n3'));
  t.is(cluster.leaders[0] as string, 'n3');
  cluster.stop('n2' as never);
  const gone = await rejection(clock, client.nodeStatus('n2'));
  t.true(isRingraftError(gone, 'UNREACHABLE'));
  t.regex((gone as Error).message, /_kv\.test\.admin\.n2/);
  t.true(isRingraftError(await rejection(clock, client.transferLeader(99, 'n3')), 'WRONG_SHARD'));
  t.true(isRingraftError(await rejection(clock, client.nodeStatus('no such!')), 'BAD_REQUEST'));
});

test('administration: a rebuild is asked of the node, unless there is no such shard or no majority without it', async (t) => {
  const { clock, cluster, client } = await startFixture();
  await clock.until(client.rebuildReplica(2, 'n3'));
  t.deepEqual(cluster.rebuilds, ['2 on n3']);
  for (const [shard, node] of [
    [99, 'n3'],
    [2, 'n9'],
  ] as const) {
    t.true(isRingraftError(await rejection(clock, client.rebuildReplica(shard, node)), 'WRONG_SHARD'));
  }
  cluster.stop('n2' as never);
  const refused = await rejection(clock, client.rebuildReplica(2, 'n3'));
  t.true(isRingraftError(refused, 'NO_QUORUM'));
  t.regex((refused as Error).message, /without node n3 shard 2 has 1 voting replicas of 3/);
  t.is(cluster.rebuilds.length, 1);
});

test('administration: a transfer that nobody takes on tells why: no leader, or a membership that changes', async (t) => {
  const { clock, cluster, client } = await startFixture();
  cluster.leaders[0] = null;
  const leaderless = await rejection(clock, client.transferLeader(1, 'n3', 500));
  t.true(isRingraftError(leaderless, 'NO_LEADER'), String(leaderless));
  cluster.leaders[0] = 'n1' as never;
  cluster.transferRefusal = 'BUSY';
  const busy = await rejection(clock, client.transferLeader(1, 'n3', 500));
  t.true(isRingraftError(busy, 'BUSY'), String(busy));
  cluster.transferRefusal = undefined;
  await clock.until(client.transferLeader(1, 'n3', 500));
  t.is(cluster.leaders[0] as unknown, 'n3');
});
