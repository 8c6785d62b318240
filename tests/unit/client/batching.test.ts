/**
 * Goal: operations of one turn leave in one message a node, within the limits of messages and of the window.
 * Method: a client against fake nodes on a virtual clock; messages are counted.
 */
import test from 'ava';
import { isRingraftError } from '../../../src/base/index.js';
import { rejection, startFixture } from '../../support/client-fixture.js';

test('a hundred gets of one turn to one node are one message', async (t) => {
  const { clock, cluster, client } = await startFixture();
  cluster.leadAll(cluster.nodes[0] ?? null);
  await clock.until(client.map());
  await clock.until(client.put('default', 'warm', 'x'));
  await clock.until(Promise.allSettled(Array.from({ length: 40 }, (_, at) => client.get('default', `warm${at}`))));
  cluster.batches.length = 0;
  await clock.until(Promise.all(Array.from({ length: 100 }, (_, at) => client.get('default', `k${at}`))));
  t.is(cluster.batches.length, 1);
  t.is(cluster.batches[0]?.batch.operations.length, 100);
});

test('operations of one turn to three leaders are three messages', async (t) => {
  const { clock, cluster, client } = await startFixture({ shards: 6 });
  await clock.until(Promise.all(Array.from({ length: 300 }, (_, at) => client.put('default', `k${at}`, 'v'))));
  t.is(cluster.batches.length, 3);
  t.deepEqual([...new Set(cluster.batches.map(({ node }) => node))].sort(), ['n1', 'n2', 'n3']);
  t.is(cluster.applied.length, 300);
});

test('a batch has at most 1024 operations', async (t) => {
  const { clock, cluster, client } = await startFixture({ nodes: 1 });
  const keys = Array.from({ length: 2500 }, (_, at) => `k${at}`);
  const results = await clock.until(client.getMany('default', keys));
  t.true(results.every((settled) => settled.ok && settled.result === undefined));
  t.deepEqual(
    cluster.batches.map(({ batch }) => batch.operations.length),
    [1024, 1024, 452],
  );
});

test('a batch is split before it exceeds the payload limit', async (t) => {
  const maxPayloadBytes = 10_000;
  const { clock, cluster, bus, client } = await startFixture({ nodes: 1, maxPayloadBytes });
  const value = Buffer.alloc(3000, 1);
  const pairs = Array.from({ length: 10 }, (_, at) => [`k${at}`, value] as const);
  const results = await clock.until(client.putMany('default', pairs));
  t.true(results.every(({ ok }) => ok));
  t.is(cluster.batches.length, 4);
  t.true(bus.published.every(({ payload }) => payload.length <= maxPayloadBytes));
});

test('a value that fits no message is refused before anything is sent', async (t) => {
  const { clock, cluster, client } = await startFixture({ maxPayloadBytes: 10_000 });
  const error = await rejection(clock, client.put('default', 'k', Buffer.alloc(9_990)));
  t.true(isRingraftError(error, 'TOO_LARGE'));
  t.regex((error as Error).message, /at most 9872/);
  t.is(cluster.batches.length, 0);
  await clock.until(client.put('default', 'k', Buffer.alloc(9_871)));
  t.is(cluster.applied.length, 1);
});

test('operations beyond the window wait, and go in the order of their calls', async (t) => {
  const { clock, cluster, client } = await startFixture({ nodes: 1, maxInFlight: 10 });
  const order: number[] = [];
  const puts = Array.from({ length: 35 }, (_, at) =>
    client.put('default', `k${at}`, 'v').then(() => {
      order.push(at);
    }),
  );
  await clock.until(Promise.all(puts));
  t.deepEqual(
    cluster.batches.map(({ batch }) => batch.operations.length),
    [10, 10, 10, 5],
  );
  t.deepEqual(
    order,
    Array.from({ length: 35 }, (_, at) => at),
  );
});

test('a large batch of keys behind the window gives every key its own time', async (t) => {
  const { clock, cluster, client } = await startFixture({ nodes: 1, maxInFlight: 16, timeoutMs: 50 });
  const keys = Array.from({ length: 5000 }, (_, at) => `k${at}`);
  const results = await clock.until(client.getMany('default', keys));
  t.is(results.length, 5000);
  t.true(results.every(({ ok }) => ok));
  t.true(clock.nowMs() > 50, 'the whole took longer than one key may');
  t.true(cluster.batches.every(({ batch }) => batch.operations.length <= 16));
});

test('batches of keys report each key in the order asked, wrong ones among them', async (t) => {
  const { clock, client } = await startFixture();
  const written = await clock.until(
    client.putMany('default', [
      ['a', '1'],
      ['', '2'],
      ['c', '3'],
    ]),
  );
  t.deepEqual(
    written.map(({ ok }) => ok),
    [true, false, true],
  );
  const wrong = written[1];
  t.true(wrong !== undefined && !wrong.ok && isRingraftError(wrong.error, 'BAD_REQUEST'));
  const read = await clock.until(client.getMany('default', ['c', 'nothing', 'a']));
  t.deepEqual(
    read.map((settled) => (settled.ok ? settled.result?.value.toString() : 'error')),
    ['3', undefined, '1'],
  );
});

for (const consistency of ['linearizable', 'one'] as const) {
  test(`calls gather for as long as answers take, and half as long again (${consistency})`, async (t) => {
    const { clock, cluster, bus, client } = await startFixture({ nodes: 1 });
    bus.delayMs = () => 2;
    const get = (key: string): Promise<unknown> => client.get('default', key, { consistency });
    await clock.until(Promise.all(Array.from({ length: 500 }, (_, at) => get(`k${at}`))));
    cluster.batches.length = 0;
    // These stay in flight: what is called after them is never most of all.
    cluster.script = ({ key }) => (key.toString().startsWith('lost') ? 'lost' : undefined);
    const stuck = Array.from({ length: 64 }, (_, at) => get(`lost${at}`).catch(() => undefined));
    await clock.advance(0);
    for (let ms = 0; ms < 24; ms++) {
      get(`k${ms}`).catch(() => t.fail());
      await clock.advance(1);
    }
    await clock.advance(10);
    const sizes = cluster.batches.map(({ batch }) => batch.operations.length).filter((size) => size > 0);
    t.deepEqual(sizes, [64, 6, 6, 6, 6]);
    await client.close();
    await Promise.all(stuck);
  });
}

test('no timer is left when nothing is in flight', async (t) => {
  const { clock, client } = await startFixture();
  await clock.until(client.put('default', 'k', 'v'));
  await clock.advance(100);
  t.is(clock.armed, 0);
});
