/** Goal: replicas leave nodes that go, the most urgent first, fill nodes that come, and stay where they are otherwise. */
import test from 'ava';
import fc from 'fast-check';
import { type NodeId, type ShardId, systemShardId } from '../../../src/base/index.js';
import {
  holdsNothing,
  homesOf,
  isMoving,
  leadersToSpread,
  movesUnderWay,
  plannedShards,
  redirected,
} from '../../../src/meta/planning.js';
import { initHash } from '../../../src/ring/index.js';
import type { ClusterMap, MapNode } from '../../../src/wire/index.js';
import { aMapNode, aMapShard, usualSettings } from '../../support/maps.js';
import { aMap, homesIn, moving, n1, n2, n3, n4, n5 } from './fake-system.js';

test.before(() => initHash());

const withNodes = (map: ClusterMap, ...nodes: readonly MapNode[]): ClusterMap => {
  const ids = new Set(nodes.map(({ id }) => id));
  return { ...map, nodes: [...map.nodes.filter(({ id }) => !ids.has(id)), ...nodes] };
};
const condition = (map: ClusterMap, id: NodeId, next: MapNode['condition']): ClusterMap =>
  withNodes(map, { ...(map.nodes.find((node) => node.id === id) as MapNode), condition: next });
const plan = (map: ClusterMap): ReadonlyMap<number, readonly NodeId[]> =>
  new Map(plannedShards(map).map(({ shardId, homes }) => [shardId, homes]));

test('a map in balance stays as it is', (t) => {
  t.deepEqual(plannedShards(aMap(12, [n1, n2, n3])), []);
});

test('a node that comes gets its share, and the system shard stays where it is', (t) => {
  const map = withNodes(aMap(12, [n1, n2, n3]), aMapNode(n4));
  const planned = plan(map);
  t.is(planned.size, 9, 'a quarter of 36 replicas');
  t.false(planned.has(systemShardId));
  for (const [id, homes] of planned) {
    t.true(homes.includes(n4), `shard ${id}`);
    t.is(homes.filter((home) => homesIn(map, id).includes(home)).length, 2, `shard ${id} keeps two`);
  }
});

test('without rebalancing a node that comes gets nothing, and one that goes loses all the same', (t) => {
  const still = { ...usualSettings, rebalance: false };
  const grown = withNodes(aMap(12, [n1, n2, n3], { settings: still }), aMapNode(n4));
  t.deepEqual(plannedShards(grown), []);
  const draining = condition(grown, n2, 'draining');
  t.is(plannedShards(draining).length, 13, 'every shard and the system shard had a replica there');
});

test('the shards of a node that goes are planned, all of them, and no others lose a replica', (t) => {
  const map = condition(aMap(20, [n1, n2, n3, n4, n5]), n2, 'draining');
  const planned = plan(map);
  for (const { id } of map.shards.filter((shard) => homesOf(shard).includes(n2))) {
    t.true(planned.has(id), `shard ${id}`);
    t.false(planned.get(id)?.includes(n2), `shard ${id}`);
  }
  t.true(planned.has(systemShardId));
});

test('with fewer nodes than replicas nothing is planned', (t) => {
  for (const gone of ['down', 'draining'] as const) {
    t.deepEqual(plannedShards(condition(aMap(4, [n1, n2, n3]), n3, gone)), []);
  }
});

test('the system shard goes first, then shards on more nodes that are down, then those on nodes that go, then the rest', (t) => {
  const six = [n1, n2, n3, n4, n5, 'n6' as NodeId];
  const whole = aMap(6, six);
  // Shard 1 is on n1 n2 n3, shard 2 on n2 n3 n4, ... shard 6 on n6 n1 n2.
  let map = condition(condition(whole, n1, 'down'), n2, 'draining');
  map = { ...map, system: { ...map.system, replicas: [n1, n3, n4].map((nodeId) => ({ nodeId })) } };
  const order = plannedShards(map).map(({ shardId }) => Number(shardId));
  t.is(order[0], 0);
  const rest = order.slice(1);
  t.deepEqual(new Set(rest.slice(0, 2)), new Set([1, 6]), 'on both');
  t.is(rest[2], 5, 'on the one that is down');
  t.is(rest[3], 2, 'on the one that is draining');
});

test('a shard that is being moved is left alone, unless what it moves to has gone meanwhile', (t) => {
  const grown = withNodes(aMap(12, [n1, n2, n3]), aMapNode(n4), aMapNode(n5));
  const map = moving(grown, 1, [n4, n2, n3], [n1]);
  t.false(plan(map).has(1));
  const stuck = plan(condition(map, n4, 'down')).get(1);
  t.true(stuck !== undefined && !stuck.includes(n4) && stuck.length === 3);
});

test('the system shard moves to another zone with the least load, and only off nodes that go', (t) => {
  const zones = new Map([
    [n1, 'a'],
    [n2, 'b'],
    [n3, 'c'],
    [n4, 'a'],
    [n5, 'c'],
  ]);
  const nodes = [...zones].map(([id, zone]) => aMapNode(id, { zone }));
  const base = aMap(9, [n1, n2, n3, n4], { nodes, replication: 3 });
  const map = { ...base, system: aMapShard({ id: systemShardId, arcStart: 0, arcEnd: 0 }, [n1, n2, n3]) };
  t.false(plan(map).has(systemShardId));
  t.deepEqual(plan(condition(map, n1, 'draining')).get(systemShardId), [n2, n3, n4], 'n5 is in a zone that has one');
  t.deepEqual(plan(condition(map, n3, 'down')).get(systemShardId), [n1, n2, n5], 'n4 is in a zone that has one');
  t.deepEqual(plan(condition(map, n2, 'down')).get(systemShardId), [n1, n3, n5], 'no zone is free: the emptiest');
});

test('a redirected shard keeps as leaving whatever it had and is not to have', (t) => {
  const shard = aMapShard({ id: 1 as ShardId, arcStart: 0, arcEnd: 1 }, [n1, n2, n3]);
  const once = redirected(shard, [n4, n2, n3]);
  t.deepEqual([homesOf(once), once.leaving], [[n4, n2, n3], [n1]]);
  const twice = redirected(once, [n5, n2, n3]);
  t.deepEqual(
    [homesOf(twice), twice.leaving],
    [
      [n5, n2, n3],
      [n4, n1],
    ],
    'n4 may have begun one',
  );
  const back = redirected(twice, [n1, n2, n3]);
  t.deepEqual(
    [homesOf(back), back.leaving],
    [
      [n1, n2, n3],
      [n5, n4],
    ],
  );
  t.true(isMoving(back));
});

test('moves under way are the replicas that are to go, the system shard with them', (t) => {
  const map = moving(moving(aMap(4, [n1, n2, n3, n4, n5]), 1, [n5, n2, n3], [n1]), 0, [n4, n2, n5], [n1, n3]);
  t.is(movesUnderWay(map), 3);
  t.false(holdsNothing(map, n1));
  t.true(holdsNothing(map, 'n9' as NodeId));
  t.false(holdsNothing(moving(aMap(1, [n1, n2, n3]), 1, [n1], [n2, n3]), n3), 'what is leaving is still there');
});

test('leaders are spread evenly over nodes that are up, and a spread map stays as it is', (t) => {
  const skewed = aMap(12, [n1, n2, n3]);
  const led: ClusterMap = {
    ...skewed,
    shards: skewed.shards.map((shard) => ({ ...shard, replicas: [n1, n2, n3].map((nodeId) => ({ nodeId })) })),
  };
  const after = (map: ClusterMap): ClusterMap => {
    const moved = new Map(leadersToSpread(map).map((shard) => [shard.id, shard]));
    return { ...map, shards: map.shards.map((shard) => moved.get(shard.id) ?? shard) };
  };
  const count = (map: ClusterMap, node: NodeId): number =>
    map.shards.filter((shard) => shard.replicas[0]?.nodeId === node).length;
  const spread = after(led);
  for (const node of [n1, n2, n3])
    t.true(Math.abs(count(spread, node) - 4) <= 1, `${node} leads within one of its part`);
  t.deepEqual(leadersToSpread(spread), []);
  t.is(count(after(condition(spread, n3, 'down')), n3), 0);
  for (const shard of leadersToSpread(led))
    t.deepEqual(homesOf(shard).toSorted(), [n1, n2, n3], 'only the order changes');
});

test('any nodes that come and go: what is planned is possible, complete, and takes no more steps than one plan', (t) => {
  const conditions = fc.constantFrom<MapNode['condition']>('up', 'up', 'up', 'draining', 'drained', 'down');
  const cluster = fc.record({
    shards: fc.integer({ min: 1, max: 24 }),
    states: fc.array(conditions, { minLength: 5, maxLength: 5 }),
    zones: fc.array(fc.constantFrom('a', 'b', 'c'), { minLength: 6, maxLength: 6 }),
    newcomer: fc.boolean(),
  });
  fc.assert(
    fc.property(cluster, ({ shards, states, zones, newcomer }) => {
      const names = [n1, n2, n3, n4, n5];
      const nodes = names.map((id, at) =>
        aMapNode(id, { condition: states[at] as MapNode['condition'], zone: zones[at] as string }),
      );
      const all = newcomer ? [...nodes, aMapNode('n6' as NodeId, { zone: zones[5] as string })] : nodes;
      const map = aMap(shards, names, { nodes: all });
      const up = new Set(all.filter((node) => node.condition === 'up').map(({ id }) => id));
      const planned = plannedShards(map);
      if (up.size < 3) {
        t.deepEqual(planned, []);
        return;
      }
      const after = new Map(planned.map(({ shardId, homes }) => [shardId, homes]));
      for (const { homes } of planned) {
        t.is(new Set(homes).size, 3);
        t.true(homes.every((home) => up.has(home)));
      }
      const moved = (shard: ClusterMap['system']) => {
        const homes = after.get(shard.id);
        return homes === undefined ? shard : { ...redirected(shard, homes), leaving: [] };
      };
      const settled = { ...map, system: moved(map.system), shards: map.shards.map(moved) };
      for (const shard of [settled.system, ...settled.shards]) t.true(homesOf(shard).every((home) => up.has(home)));
      t.deepEqual(plannedShards(settled), []);
    }),
    { numRuns: 300 },
  );
  t.pass();
});
