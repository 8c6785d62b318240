/**
 * Goal: buckets come and go under load, on every node alike, whoever dies or joins meanwhile. Method: stories in the
 * simulated world (`cluster-scenario.ts`); what the nodes' engines hold is looked at directly.
 */
import test from 'ava';
import { isRingraftError } from '../../src/base/index.js';
import type { BucketSettings, ManagerAnswer, MapBucket } from '../../src/wire/index.js';
import { type ClusterScenario, clusterScenario } from './cluster-scenario.js';
import type { SimNode } from './sim-node.js';

const dataTag = 0x64;
const indexTag = 0x69;

/** Data and index keys of a bucket on a node's disk. */
const held = (node: SimNode, id: number): number =>
  node.machine.engine.dump().filter(([key]) => {
    return (key[0] === dataTag || key[0] === indexTag) && key.readUInt16BE(1) === id;
  }).length;

const bucketIn = (answer: ManagerAnswer): MapBucket => {
  if ('bucket' in answer) return answer.bucket;
  throw new Error(`no bucket: ${JSON.stringify(answer)}`);
};

const create = async (s: ClusterScenario, name: string, set: Partial<BucketSettings> = {}): Promise<MapBucket> =>
  bucketIn(await s.ask({ op: 'createBucket', name, ...set }));

const remove = async (s: ClusterScenario, name: string): Promise<MapBucket> =>
  bucketIn(await s.ask({ op: 'removeBucket', name }));

async function putMany(s: ClusterScenario, bucket: string, count: number, from = 0): Promise<void> {
  const pairs = Array.from({ length: count }, (_, at) => [`${bucket}-${from + at}`, `${from + at}`] as const);
  for (const outcome of await s.wait(s.client.raw.putMany(bucket, pairs))) if (!outcome.ok) throw outcome.error;
}

async function read(s: ClusterScenario, bucket: string, key: string): Promise<string | undefined> {
  return (await s.wait(s.client.raw.get(bucket, key)))?.value.toString();
}

async function scan(s: ClusterScenario, bucket: string): Promise<number> {
  const all = async (): Promise<number> => {
    let count = 0;
    for await (const _item of s.client.raw.scan(bucket)) count++;
    return count;
  };
  return s.wait(all());
}

const codeOf = async (promise: Promise<unknown>): Promise<string> =>
  promise.then(
    () => 'done',
    (error: unknown) => (isRingraftError(error) ? error.code : String(error)),
  );

const untilGone = (s: ClusterScenario, id: number): Promise<number> =>
  s.until(() => s.cluster.nodes.every((node) => held(node, id) === 0), 20_000, `bucket ${id} is gone everywhere`);

test(
  'a bucket is created under load, goes with snapshots to a node that joins, is removed everywhere, and its name starts empty',
  clusterScenario(
    { spares: 1, shards: 4, limits: { retainedLogBytes: 1000, trimEveryBytes: 20_000 } },
    async (t, s) => {
      await s.begin();
      await s.fill();
      const work = s.startWorkload();
      const first = await create(s, 'cities');
      await putMany(s, 'cities', 200);
      t.is(await scan(s, 'cities'), 200);
      s.node('n4').start();
      await s.rest('n4 has its share', 60_000, () => s.changesOf('moveBegan').length > 0);
      t.true(held(s.node('n4'), first.id) > 0, 'the new node has its part of the new bucket');
      t.is(await read(s, 'cities', 'cities-7'), '7');

      t.is((await remove(s, 'cities')).id, first.id);
      // The answer comes when the removal is decided; a node that has not heard of it yet still serves the bucket.
      const { epoch } = s.map;
      const hasHeard = (node: SimNode): boolean => (node.host?.maps.current.epoch ?? 0) >= epoch;
      await s.until(() => s.cluster.nodes.every(hasHeard), 100, 'all have heard that it is removed');
      t.is(await s.wait(codeOf(s.client.raw.get('cities', 'cities-7'))), 'NOT_FOUND');
      await untilGone(s, first.id);
      const second = await create(s, 'cities');
      t.not(second.id, first.id);
      t.is(await scan(s, 'cities'), 0);
      t.is(await read(s, 'cities', 'cities-7'), undefined);
      await putMany(s, 'cities', 20);
      t.is(await scan(s, 'cities'), 20);
      t.deepEqual(
        [...s.changesOf('bucketCreated'), ...s.changesOf('bucketRemoved')].map(({ summary }) => summary),
        [
          `bucket cities (${first.id})`,
          `bucket cities (${second.id})`,
          `bucket cities (${first.id}), with all it held`,
        ],
      );
      await s.expectFilled(t);
      t.is(work.counts.failed + work.counts.unknown, 0);
    },
  ),
);

test(
  'a bucket is removed while it is written to: every write is done or refused, and nothing stays',
  clusterScenario({ shards: 4 }, async (t, s) => {
    await s.begin();
    const { id } = await create(s, 'busy');
    const outcomes = new Map<string, number>();
    let isOver = false;
    const write = async (): Promise<void> => {
      for (let at = 0; !isOver; at++) {
        const code = await codeOf(s.client.raw.put('busy', `k${at % 50}`, `${at}`, { ifRevision: 0 }));
        outcomes.set(code, (outcomes.get(code) ?? 0) + 1);
        if (code === 'NOT_FOUND') return;
        await codeOf(s.client.raw.delete('busy', `k${at % 50}`));
      }
    };
    const writers = [write(), write(), write()];
    await s.run(500);
    await remove(s, 'busy');
    await s.run(2000);
    isOver = true;
    await s.wait(Promise.all(writers));
    for (const code of outcomes.keys()) t.true(['done', 'CONFLICT', 'NOT_FOUND'].includes(code), code);
    t.is(outcomes.get('NOT_FOUND'), 3);
    await untilGone(s, id);
  }),
);

test(
  'nodes that are down or cut off when a bucket is removed remove it when they are back, and never serve it again',
  clusterScenario({ shards: 4 }, async (t, s) => {
    await s.begin();
    const { id } = await create(s, 'gone');
    await putMany(s, 'gone', 100);
    await s.rest('all have it');
    // Long enough for the engine to have it too.
    await s.run(1000);
    const [down, cut] = s.cluster.nodes.filter((node) => node !== s.cluster.manager) as [SimNode, SimNode];
    down.crash(false);
    await remove(s, 'gone');
    await s.run(1000);
    t.true(held(down, id) > 0);
    down.start();
    await untilGone(s, id);
    const again = await create(s, 'gone');
    await putMany(s, 'gone', 50);
    s.isolate([cut.id]);
    await s.run(3000);
    await remove(s, 'gone');
    await s.run(1000);
    s.mend();
    await untilGone(s, again.id);
    t.is(await s.wait(codeOf(s.client.raw.get('gone', 'gone-1'))), 'NOT_FOUND');
  }),
);

for (const power of [false, true]) {
  test(
    `every node ${power ? 'loses power' : 'is killed'} again and again while a bucket is removed: it is gone in the end, and they agree`,
    clusterScenario({ shards: 4 }, async (t, s) => {
      await s.begin();
      await s.fill(20);
      const { id } = await create(s, 'large');
      for (let from = 0; from < 1500; from += 300) await putMany(s, 'large', 300, from);
      s.order({ op: 'removeBucket', name: 'large' });
      for (let round = 0; round < 6; round++) {
        await s.run(s.world.between(1, 300));
        const node = s.cluster.nodes[round % 3] as SimNode;
        node.crash(power);
        await s.run(s.world.between(1, 500));
        node.start();
      }
      await s.rest('they are back', 60_000, () => s.changesOf('bucketRemoved').length === 1);
      await untilGone(s, id);
      await s.expectFilled(t, 20);
    }),
  );
}

test(
  'settings of a bucket hold from the answer on: its time to live, its limit, and what they are changed to',
  clusterScenario({ shards: 2 }, async (t, s) => {
    await s.begin();
    await create(s, 'sessions', { ttlMs: 2000, maxValueBytes: 10 });
    const put = (key: string, value: string, options = {}) => s.client.raw.put('sessions', key, value, options);
    await s.wait(put('a', 'short'));
    await s.wait(put('b', 'own', { ttlMs: 60_000 }));
    t.is(await s.wait(codeOf(put('c', 'x'.repeat(11)))), 'TOO_LARGE');
    t.is(await read(s, 'sessions', 'a'), 'short');
    await s.run(3000);
    t.is(await read(s, 'sessions', 'a'), undefined);
    t.is(await read(s, 'sessions', 'b'), 'own');
    const changed = bucketIn(await s.ask({ op: 'configureBucket', name: 'sessions', ttlMs: 0, maxValueBytes: 20 }));
    t.deepEqual([changed.ttlMs, changed.maxValueBytes], [0, 20]);
    const { epoch } = s.map;
    await s.ask({ op: 'configureBucket', name: 'sessions', ttlMs: 0 });
    t.is(s.map.epoch, epoch, 'nothing new is no change');
    await s.rest('all have heard of it');
    await s.wait(put('c', 'x'.repeat(11)));
    await s.run(5000);
    t.is(await read(s, 'sessions', 'c'), 'x'.repeat(11));
  }),
);

test(
  'a node that has not heard of a bucket says BUSY, not that there is none',
  clusterScenario({ shards: 2 }, async (t, s) => {
    await s.begin();
    const deaf = s.cluster.nodes.find((node) => node !== s.cluster.manager) as SimNode;
    s.cluster.network.watch = ({ message, to }) => to !== deaf.id || !message.payload.includes('"buckets"');
    await create(s, 'fresh');
    const writing = Promise.all(
      Array.from({ length: 20 }, (_, at) => s.client.raw.put('fresh', `k${at}`, 'v', { timeoutMs: 10_000 })),
    );
    await s.run(1500);
    t.true(deaf.host !== undefined && deaf.host.maps.current.epoch < s.map.epoch);
    s.cluster.network.watch = () => true;
    await s.wait(writing);
    t.is(await scan(s, 'fresh'), 20);
  }),
);
