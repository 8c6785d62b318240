/**
 * Goal: a scan gives exactly the live keys of its interval, in order, whatever pages, leaders and losses do.
 * Method: compared with a sorted array; fast-check chooses keys, options and page sizes.
 */
import test from 'ava';
import fc from 'fast-check';
import { isRingraftError, type NodeId } from '../../../src/base/index.js';
import type { ScanItem, ScanOptions } from '../../../src/client/index.js';
import { type Fixture, rejection, startFixture } from '../../support/client-fixture.js';

const seed = Number(process.env.TEST_SEED ?? Date.now() % 1_000_000);

async function collect(items: AsyncIterable<ScanItem>): Promise<ScanItem[]> {
  const found: ScanItem[] = [];
  for await (const item of items) found.push(item);
  return found;
}

const keysOf = async ({ clock, client }: Fixture, options: ScanOptions = {}): Promise<string[]> =>
  (await clock.until(collect(client.scan('default', options)))).map(({ key }) => key.toString('latin1'));

async function filled(count: number, options: Parameters<typeof startFixture>[0] = {}): Promise<Fixture> {
  const fixture = await startFixture({ shards: 8, ...options });
  const pairs = Array.from({ length: count }, (_, at) => [`k${String(at).padStart(5, '0')}`, `v${at}`] as const);
  await fixture.clock.until(fixture.client.putMany('default', pairs));
  return fixture;
}

const names = (from: number, to: number): string[] =>
  Array.from({ length: to - from }, (_, at) => `k${String(from + at).padStart(5, '0')}`);

test('a scan gives what a sorted model gives, for any interval, limit, direction and page size', async (t) => {
  t.log(`seed ${seed}`);
  const bytes = fc
    .uint8Array({ minLength: 1, maxLength: 3 })
    .map((array) => Buffer.from(array.map((byte) => byte % 4)));
  const bound = fc.option(bytes, { nil: undefined });
  const parameters = fc.record({
    keys: fc.uniqueArray(bytes, { maxLength: 60, selector: (key) => key.toString('latin1') }),
    gte: bound,
    lt: bound,
    prefix: bound,
    reverse: fc.boolean(),
    limit: fc.option(fc.nat({ max: 20 }), { nil: undefined }),
    pagePairs: fc.integer({ min: 1, max: 10 }),
  });
  await fc.assert(
    fc.asyncProperty(parameters, async ({ keys, gte, lt, prefix, reverse, limit, pagePairs }) => {
      const fixture = await startFixture({ shards: 5 });
      fixture.cluster.scanPagePairs = pagePairs;
      await fixture.clock.until(
        fixture.client.putMany(
          'default',
          keys.map((key) => [key, key] as const),
        ),
      );
      const expected = keys
        .filter((key) => gte === undefined || Buffer.compare(key, gte) >= 0)
        .filter((key) => lt === undefined || Buffer.compare(key, lt) < 0)
        .filter((key) => prefix === undefined || key.subarray(0, prefix.length).equals(prefix))
        .sort((a, b) => (reverse ? Buffer.compare(b, a) : Buffer.compare(a, b)))
        .slice(0, limit)
        .map((key) => key.toString('latin1'));
      const options: ScanOptions = {
        reverse,
        ...(gte === undefined ? {} : { gte }),
        ...(lt === undefined ? {} : { lt }),
        ...(prefix === undefined ? {} : { prefix }),
        ...(limit === undefined ? {} : { limit }),
      };
      const found = await keysOf(fixture, options);
      await fixture.client.close();
      return JSON.stringify(found) === JSON.stringify(expected);
    }),
    { seed, numRuns: 60 },
  );
  t.pass();
});

for (const nodes of [3, 4]) {
  test(`one of ${nodes} nodes that have replicas of all shards is asked for all of them, another one each time`, async (t) => {
    const fixture = await filled(300, { nodes });
    const { bus, cluster } = fixture;
    cluster.servesReplicas = true;
    const asked: string[] = [];
    bus.filter = ({ subject }) => {
      if (subject.includes('.scan.')) asked.push(subject.slice(-2));
      return true;
    };
    for (let scan = 0; scan <= nodes; scan++) t.deepEqual(await keysOf(fixture), names(0, 300));
    t.deepEqual(asked, [...asked.slice(0, nodes), asked[0] as string]);
    t.deepEqual([...asked.slice(0, nodes)].sort(), [...cluster.nodes]);
  });
}

test('what a node does not vouch for is asked of its leaders, each once a page', async (t) => {
  const fixture = await filled(300);
  t.deepEqual(await keysOf(fixture), names(0, 300));
  t.is(fixture.cluster.scanRequests, 3);
});

test('keys only leaves the values out', async (t) => {
  const { clock, client } = await filled(3);
  const items = await clock.until(collect(client.scan('default', { keysOnly: true })));
  t.true(items.every(({ value, revision }) => value.length === 0 && revision > 0));
});

test('a shard whose leader moved between pages is read on at its new leader', async (t) => {
  const fixture = await filled(200);
  const { clock, cluster, client } = fixture;
  cluster.scanPagePairs = 10;
  const iterator = client.scan('default')[Symbol.asyncIterator]();
  const found: string[] = [];
  for (let at = 0; ; at++) {
    const next = await clock.until(iterator.next());
    if (next.done) break;
    found.push(next.value.key.toString());
    if (at % 20 === 5) {
      const moved = (at * 7) % cluster.leaders.length;
      cluster.leaders[moved] = cluster.nodes[(at + moved) % 3] as NodeId;
    }
  }
  t.deepEqual(found, names(0, 200));
});

test('a node that dies in the midst of a scan is replaced by those that took over', async (t) => {
  const fixture = await filled(200);
  const { clock, cluster, client } = fixture;
  cluster.scanPagePairs = 10;
  const iterator = client.scan('default', { reverse: true })[Symbol.asyncIterator]();
  const found: string[] = [];
  for (let at = 0; ; at++) {
    const next = await clock.until(iterator.next());
    if (next.done) break;
    found.push(next.value.key.toString());
    if (at === 50) {
      cluster.stop('n1' as NodeId);
      for (const [shard, leader] of cluster.leaders.entries()) {
        if (leader === 'n1') cluster.leaders[shard] = cluster.nodes[1 + (shard % 2)] as NodeId;
      }
    }
  }
  t.deepEqual(found, names(0, 200).reverse());
});

test('lost pages are asked for again', async (t) => {
  const fixture = await filled(100, { timeoutMs: 20_000 });
  let losses = 3;
  fixture.bus.filter = ({ subject }) => !(subject.includes('.scan.') && losses-- > 0);
  t.deepEqual(await keysOf(fixture), names(0, 100));
});

test('a scan over a shard without a leader fails with NO_LEADER when its time is out', async (t) => {
  const { clock, cluster, client } = await filled(10, { timeoutMs: 800 });
  cluster.leaders[3] = null;
  const error = await rejection(clock, collect(client.scan('default')));
  t.true(isRingraftError(error, 'NO_LEADER'));
  t.regex((error as Error).message, /shard 4/);
});

test('a scan that is broken off leaves nothing behind', async (t) => {
  const { clock, cluster, client } = await filled(100);
  cluster.scanPagePairs = 5;
  const iterator = client.scan('default')[Symbol.asyncIterator]();
  await clock.until(iterator.next());
  await iterator.return?.(undefined);
  await clock.advance(10_000);
  t.is(clock.armed, 0);
});

test('a close in the midst of a scan rejects with CLOSED', async (t) => {
  const { clock, bus, client } = await filled(10);
  bus.filter = ({ subject }) => !subject.includes('.scan.');
  const scan = rejection(clock, collect(client.scan('default')));
  await clock.advance(5);
  await client.close();
  t.true(isRingraftError(await scan, 'CLOSED'));
});
