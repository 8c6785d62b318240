/**
 * Goal: a shard that moves under a client is found again, and what was in flight takes effect once. Method: fake nodes on
 * a virtual clock; one of them comes, another goes.
 */
import test from 'ava';
import type { NodeId } from '../../../src/base/index.js';
import { RoutingTable } from '../../../src/client/routing-table.js';
import type { ClusterMap, MapShard } from '../../../src/wire/index.js';
import { type Fixture, startFixture } from '../../support/client-fixture.js';
import { refusal } from '../../support/fake-cluster.js';
import { aClusterMap, aMapShard } from '../../support/maps.js';

const [n1, n2, n3, n4] = ['n1', 'n2', 'n3', 'n4'] as [NodeId, NodeId, NodeId, NodeId];

const entry = (homes: readonly NodeId[], leaving: readonly NodeId[], epoch: number): MapShard =>
  aMapShard({ id: 1 as MapShard['id'], arcStart: 0, arcEnd: 2 ** 32 }, homes, { leaving, epoch });
const mapOf = (shard: MapShard): ClusterMap => aClusterMap([n1, n2, n3, n4], [shard], { epoch: shard.epoch });
const tableOf = (shard: MapShard, leader: NodeId | null) =>
  new RoutingTable({ map: mapOf(shard), leaders: [leader] }, (token) => `reply.${token}`);

/** Whom it asks, one after the other, while nobody is known to lead. */
function asked(table: RoutingTable, times: number): readonly string[] {
  const route = table.routeAt(0);
  return Array.from({ length: times }, () => String(table.choose(route, undefined, 0)?.id));
}

test('nodes that a shard is leaving are asked as well: until the move is done one of them may lead', (t) => {
  const table = tableOf(entry([n4, n2, n3], [n1], 5), null);
  t.deepEqual(asked(table, 4).toSorted(), [n1, n2, n3, n4]);
  t.deepEqual(
    table.routeAt(0).replicas.map(({ id }) => id),
    [n4, n2, n3, n1],
    'after those that stay',
  );
});

test('a leader that is leaving stays known over a newer map, one that has left does not', (t) => {
  const table = tableOf(entry([n1, n2, n3], [], 1), n1);
  table.update({ map: mapOf(entry([n4, n2, n3], [n1], 2)), leaders: [null] }, 0);
  t.is(table.routeAt(0).leader?.id, n1);
  table.update({ map: mapOf(entry([n4, n2, n3], [], 3)), leaders: [null] }, 0);
  t.is(table.routeAt(0).leader, undefined);
  t.deepEqual(asked(table, 3).toSorted(), [n2, n3, n4]);
});

test('an older map changes nothing', (t) => {
  const table = tableOf(entry([n4, n2, n3], [], 3), n4);
  table.update({ map: mapOf(entry([n1, n2, n3], [], 2)), leaders: [n1] }, 0);
  t.is(table.map.epoch, 3);
  t.is(table.routeAt(0).leader?.id, n4);
});

/** The shard is on `homes` from now on, in a newer map. */
function place({ cluster }: Fixture, homes: readonly NodeId[], leaving: readonly NodeId[] = []): void {
  const map = cluster.map as { epoch: number; shards: readonly MapShard[] };
  map.shards = map.shards.map((shard) => ({ ...shard, replicas: homes.map((nodeId) => ({ nodeId })), leaving }));
  // The client may hold the very object: a map of a new epoch is a new one.
  Object.assign(cluster, { map: { ...map, epoch: map.epoch + 1 } });
}

test('pitfall 40: a write in flight while its shard moves is repeated where the shard is, and applied once', async (t) => {
  for (const fate of ['lost', 'unanswered'] as const) {
    const fixture = await startFixture({ nodes: 4, shards: 1, timeoutMs: 10_000 });
    const { clock, cluster, client } = fixture;
    place(fixture, [n1, n2, n3]);
    cluster.leadAll(n1);
    await clock.until(client.put('default', 'before', '1'));
    cluster.script = (_, node) => (node === n1 ? fate : undefined);
    const put = client.put('default', 'k', 'v');
    await clock.advance(20);
    // The shard has moved, with what its groups remember of clients; n1 holds nothing of it any more.
    place(fixture, [n4, n2, n3]);
    cluster.leadAll(n4);
    cluster.script = ({ requestId }, node) => (node === n1 ? refusal(requestId, 'WRONG_SHARD') : undefined);
    await clock.until(put);
    t.is(cluster.applied.length, 2, `${fate}: once each`);
    t.is(new Set(cluster.applied).size, 2, fate);
    t.is((await clock.until(client.get('default', 'k')))?.value.toString(), 'v', fate);
    await client.close();
  }
});

test('a node that is gone for good is not asked for ever: the map that comes after says where the shard is', async (t) => {
  const fixture = await startFixture({ nodes: 4, shards: 1, timeoutMs: 10_000 });
  const { clock, cluster, client } = fixture;
  cluster.leadAll(n1);
  await clock.until(client.put('default', 'before', '1'));
  for (const node of [n1, n2, n3]) cluster.stop(node);
  place(fixture, [n4]);
  cluster.leadAll(n4);
  await clock.until(client.put('default', 'k', 'v'));
  t.is(cluster.batches.at(-1)?.node, n4);
});
