/**
 * Goal: three real nodes on a real nats-server store, replicate and survive. Method: real processes, killed with
 * SIGKILL while a client writes; every acknowledged write must be there afterwards.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import t from 'tap';
import { isRingraftError } from '../../src/base/index.js';
import type { RingraftClient } from '../../src/client/index.js';
import { allLed, TestCluster } from '../support/cluster.js';
import { hangGuardMs } from '../support/hang-guard.js';
import { missingKeys } from '../support/missing-keys.js';

type Journal = { readonly acknowledged: Map<string, string>; failed: number; running: boolean };

/** Writes numbered keys as fast as the answers come, `width` at a time, until told to stop. */
function keepWriting(client: RingraftClient, prefix: string, width = 16): { journal: Journal; done: Promise<void> } {
  const journal: Journal = { acknowledged: new Map(), failed: 0, running: true };
  let next = 0;
  const writer = async (): Promise<void> => {
    while (journal.running) {
      const key = `${prefix}${next++}`;
      const value = `value of ${key}`;
      try {
        await client.put('default', key, value);
        journal.acknowledged.set(key, value);
      } catch (error) {
        if (!isRingraftError(error)) throw error;
        journal.failed++;
      }
    }
  };
  const done = Promise.all(Array.from({ length: width }, writer)).then(() => undefined);
  return { journal, done };
}

t.setTimeout(hangGuardMs);

t.test('operations answer as documented', async (t) => {
  const cluster = await TestCluster.start();
  t.teardown(() => cluster.stop());
  const client = await cluster.client();

  t.equal(await client.get('default', 'nothing'), undefined, 'a missing key is undefined');
  const { revision } = await client.put('default', 'k', 'v1');
  t.match(await client.get('default', 'k'), { value: Buffer.from('v1'), revision, consistency: 'linearizable' });
  t.match(await client.get('default', 'k', { consistency: 'lease' }), { value: Buffer.from('v1') });

  await t.rejects(client.put('default', 'k', 'x', { ifRevision: revision + 1 }), {
    code: 'CONFLICT',
    fields: { revision },
  });
  const second = await client.put('default', 'k', 'v2', { ifRevision: revision });
  t.ok(second.revision > revision, 'revisions grow');
  await t.rejects(client.put('default', 'k', 'x', { ifAbsent: true }), { code: 'CONFLICT' });
  await client.put('default', 'k', 'v3', { ifValue: Buffer.from('v2') });

  t.match(await client.delete('default', 'k'), { found: true });
  t.match(await client.delete('default', 'k'), { found: false });
  t.equal(await client.get('default', 'k'), undefined);
  t.equal(await client.get('other', 'k'), undefined, 'buckets are apart');

  const binary = Buffer.from([0, 255, 1, 254, 10, 13]);
  await client.put('default', binary, binary);
  t.same((await client.get('default', binary))?.value, binary, 'bytes survive');
  await client.put('default', 'empty', '');
  t.equal((await client.get('default', 'empty'))?.value.length, 0, 'the empty value is a value');

  await client.put('default', 'brief', 'x', { ttlMs: 50 });
  await sleep(80);
  t.equal(await client.get('default', 'brief'), undefined, 'an expired key is gone');

  await t.rejects(client.put('default', 'big', Buffer.alloc(900_000)), { code: 'TOO_LARGE', happened: 'no' });
  await t.rejects(client.get('nowhere', 'k'), { code: 'NOT_FOUND' });
  const tooLong = client.put('default', 'k', 'x', { ttlMs: 2 ** 50 });
  await t.rejects(tooLong, { code: 'BAD_REQUEST' }, 'what no replica could store never reaches the log');
});

t.test('a scan returns the keys of all shards in order', async (t) => {
  const cluster = await TestCluster.start();
  t.teardown(() => cluster.stop());
  const client = await cluster.client();
  const keys = Array.from({ length: 500 }, (_, at) => `scan/${String(at).padStart(4, '0')}`);
  await client.putMany('default', [...keys.map((key) => [key, `v${key}`] as const), ['other/1', 'x'] as const]);
  const read = async (options: Parameters<RingraftClient['scan']>[1]): Promise<readonly string[]> => {
    const found: string[] = [];
    for await (const item of client.scan('default', options)) found.push(item.key.toString());
    return found;
  };
  t.same(await read({ prefix: Buffer.from('scan/') }), keys);
  t.same(await read({ prefix: Buffer.from('scan/'), limit: 7 }), keys.slice(0, 7));
  t.same(await read({ prefix: Buffer.from('scan/'), reverse: true, limit: 3 }), keys.slice(-3).reverse());
});

t.test('SIGKILL of a node under load loses no acknowledged write', async (t) => {
  const cluster = await TestCluster.start();
  t.teardown(() => cluster.stop());
  const client = await cluster.client();
  const { journal, done } = keepWriting(client, 'a');
  await sleep(1000);
  const { leaders } = await client.map();
  const victim = leaders[0];
  t.ok(victim, 'shard 1 has a leader');
  await cluster.signal(String(victim), 'SIGKILL');
  const before = journal.acknowledged.size;
  await cluster.untilLed((answer) => answer.leaders.every((leader) => leader !== null && leader !== victim));
  await sleep(1000);
  journal.running = false;
  await done;
  t.ok(journal.acknowledged.size > before + 100, 'writes went on without the killed node');
  t.equal(journal.failed, 0, 'no write failed: the client carried each one over');
  t.same(await missingKeys(client, journal.acknowledged), []);

  cluster.startNode(String(victim));
  await cluster.untilLed((answer) => allLed(answer) && answer.leaders.includes(victim as never));
  t.same(await missingKeys(client, journal.acknowledged), [], 'and all is there once it is back and leads again');
});

t.test('SIGKILL of every node loses no acknowledged write', async (t) => {
  const cluster = await TestCluster.start();
  t.teardown(() => cluster.stop());
  const client = await cluster.client(3000);
  const { journal, done } = keepWriting(client, 'b');
  await sleep(1500);
  await Promise.all(cluster.nodeIds.map((id) => cluster.signal(id, 'SIGKILL')));
  journal.running = false;
  await done;
  t.ok(journal.acknowledged.size > 100, 'something was written');
  for (const id of cluster.nodeIds) cluster.startNode(id);
  await cluster.untilLed();
  t.same(await missingKeys(await cluster.client(), journal.acknowledged), []);
});

t.test('SIGTERM hands leadership over: no operation fails', async (t) => {
  const cluster = await TestCluster.start();
  t.teardown(() => cluster.stop());
  const client = await cluster.client();
  const { journal, done } = keepWriting(client, 'c');
  for (const id of cluster.nodeIds) {
    await sleep(500);
    t.equal(await cluster.signal(id, 'SIGTERM'), 0, `${id} stopped cleanly`);
    cluster.startNode(id);
    await cluster.untilLed();
    await sleep(500);
  }
  journal.running = false;
  await done;
  t.equal(journal.failed, 0);
  t.same(await missingKeys(client, journal.acknowledged), []);
});

t.test('a node that missed more than the log keeps is brought back by a snapshot', async (t) => {
  const cluster = await TestCluster.start({ shards: 2 });
  t.teardown(() => cluster.stop());
  const client = await cluster.client();
  await client.put('default', 'before', 'x');
  await cluster.signal('n3', 'SIGKILL');
  await cluster.untilLed((answer) => answer.leaders.every((leader) => leader !== null && leader !== 'n3'));
  const value = Buffer.alloc(256 * 1024, 7);
  for (let round = 0; round < 20; round++) {
    await client.putMany(
      'default',
      Array.from({ length: 20 }, (_, at) => [`large/${round}/${at}`, value] as const),
    );
  }
  // Long enough for the log to be trimmed below what n3 still lacks.
  await sleep(3000);
  cluster.startNode('n3');
  await cluster.untilLed(allLed);
  const appliedOf = async (id: string): Promise<number> =>
    (await client.nodeStatus(id)).shards.reduce((sum, shard) => sum + shard.appliedIndex, 0);
  const deadline = Date.now() + 30_000;
  let installed = 0;
  let lag = Number.POSITIVE_INFINITY;
  while (Date.now() < deadline && (installed < 2 || lag > 0)) {
    await sleep(200);
    try {
      installed = (await client.nodeStatus('n3')).counters.snapshotsInstalled ?? 0;
      lag = (await appliedOf('n1')) - (await appliedOf('n3'));
    } catch (error) {
      if (!isRingraftError(error, 'UNREACHABLE')) throw error;
    }
  }
  t.equal(installed, 2, 'one snapshot a shard');
  t.ok(lag <= 0, 'it has caught up');
  // With another node gone its copy is needed for every majority.
  await cluster.signal('n1', 'SIGKILL');
  await cluster.untilLed((answer) => answer.leaders.every((leader) => leader !== null && leader !== 'n1'));
  t.same((await client.get('default', 'large/19/19'))?.value, value);
  t.equal((await client.get('default', 'before'))?.value.toString(), 'x');
});
