/**
 * Goal: with real processes, an increment takes effect once whatever dies, a write under a request id once however often it
 * is asked for, and reads without a leader answer and say what they are worth. Method: SIGKILL to nodes under load.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import t from 'tap';
import { isRingraftError } from '../../src/base/index.js';
import type { RingraftClient } from '../../src/client/index.js';
import { TestCluster } from '../support/cluster.js';

const workers = 8;
const bucket = 'default';

type Tally = { acknowledged: number; open: number; readonly answers: Set<number>; twice: number };

/** Increments one counter until told to stop. */
function keepCounting(client: RingraftClient, key: string): () => Promise<Tally> {
  const tally: Tally = { acknowledged: 0, open: 0, answers: new Set(), twice: 0 };
  let running = true;
  const worker = async (): Promise<void> => {
    while (running) {
      try {
        const { value } = await client.incr(bucket, key, 1);
        tally.acknowledged++;
        if (tally.answers.has(value)) tally.twice++;
        tally.answers.add(value);
      } catch (error) {
        if (!isRingraftError(error)) throw error;
        if (error.happened !== 'no') tally.open++;
      }
    }
  };
  const all = Promise.all(Array.from({ length: workers }, worker));
  return async () => {
    running = false;
    await all;
    return tally;
  };
}

t.test('the total of increments is exact though their leader is killed again and again', async (t) => {
  const cluster = await TestCluster.start({ shards: 1 });
  t.teardown(() => cluster.stop());
  const client = await cluster.client(20_000);
  t.teardown(() => client.close());
  const stop = keepCounting(client, 'counter');
  for (let kill = 0; kill < 3; kill++) {
    await sleep(400);
    const { leaders } = await cluster.untilLed();
    const victim = leaders[0] as string;
    await cluster.signal(victim, 'SIGKILL');
    await sleep(300);
    cluster.startNode(victim);
    await cluster.untilLed();
  }
  const { acknowledged, open, twice } = await stop();
  const total = Number((await client.get(bucket, 'counter'))?.value.toString());
  t.comment(`${acknowledged} increments acknowledged, ${open} of unknown fate, the counter is at ${total}`);
  t.ok(acknowledged > 100, 'enough was counted for it to mean something');
  t.equal(twice, 0, 'no number was answered twice');
  t.ok(total >= acknowledged && total <= acknowledged + open, `${acknowledged} <= ${total} <= ${acknowledged + open}`);
});

t.test('a request id makes a write happen once, by whichever client and over the death of its leader', async (t) => {
  const cluster = await TestCluster.start({ shards: 1 });
  t.teardown(() => cluster.stop());
  const one = await cluster.client(20_000);
  const other = await cluster.client(20_000);
  t.teardown(() => Promise.all([one.close(), other.close()]));
  const first = await one.incr(bucket, 'orders', 5, { requestId: 'order-17' });
  t.same(await one.incr(bucket, 'orders', 5, { requestId: 'order-17' }), first);
  const { leaders } = await cluster.untilLed();
  await cluster.signal(leaders[0] as string, 'SIGKILL');
  t.same(await other.incr(bucket, 'orders', 5, { requestId: 'order-17' }), first);
  t.equal((await other.incr(bucket, 'orders', 5, { requestId: 'order-18' })).value, 10);
});

t.test('with one node of three alive, available reads answer and say so, others fail and say why', async (t) => {
  const cluster = await TestCluster.start({ shards: 2 });
  t.teardown(() => cluster.stop());
  const client = await cluster.client(5000);
  t.teardown(() => client.close());
  for (let at = 0; at < 20; at++) await client.put(bucket, `key-${at}`, `${at}`);
  const quorum = await client.lookUp(bucket, 'key-3', { consistency: 'quorum' });
  t.equal(quorum.consistency, 'quorum');
  t.equal(quorum.item?.value.toString(), '3');
  // The followers hear of the last commits.
  await sleep(300);
  await cluster.signal('n2', 'SIGKILL');
  await cluster.signal('n3', 'SIGKILL');
  for (let at = 0; at < 20; at++) {
    const found = await client.lookUp(bucket, `key-${at}`, { available: true });
    t.equal(found.item?.value.toString(), `${at}`);
    t.equal(found.consistency, 'one');
    t.ok(found.maybeStale);
  }
  await t.rejects(client.get(bucket, 'key-1', { timeoutMs: 700 }), { name: 'RingraftError' });
  await t.rejects(client.get(bucket, 'key-1', { consistency: 'quorum', timeoutMs: 700 }), { code: 'NO_QUORUM' });
  await t.rejects(client.get(bucket, 'key-1', { consistency: 'one', maxStalenessMs: 1, timeoutMs: 700 }), {
    code: 'TOO_STALE',
  });
  await t.rejects(client.put(bucket, 'key-1', 'x', { timeoutMs: 700 }), { name: 'RingraftError' });
});
