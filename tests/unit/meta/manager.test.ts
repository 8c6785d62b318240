/**
 * Goal: the manager takes one safe step after the other, whatever is reported and whatever fails, and no more at a time
 * than it may. Method: a virtual clock, sights of nodes and a system shard that a test sets.
 */
import test from 'ava';
import { type NodeId, type ShardId, shardId, silentLogger } from '../../../src/base/index.js';
import { Manager } from '../../../src/meta/manager.js';
import { homesOf, isMoving, movesUnderWay } from '../../../src/meta/planning.js';
import { clusterView } from '../../../src/meta/views.js';
import { initHash } from '../../../src/ring/index.js';
import type { ClusterMap, ClusterView, MapChange, MapNode, MapShard } from '../../../src/wire/index.js';
import { aMapNode, usualSettings } from '../../support/maps.js';
import { VirtualClock } from '../../support/virtual-clock.js';
import { aMap, aReport, busy, FakeSystem, FakeWatch, moving, n1, n2, n3, n4, n5, notLeader } from './fake-system.js';

test.before(() => initHash());

/** The longest there is between two steps. */
const stepMs = 1000;

class Fixture {
  readonly clock = new VirtualClock();
  readonly changes: MapChange[] = [];
  readonly fatal: unknown[] = [];
  readonly system = new FakeSystem();
  manager = undefined as unknown as Manager;

  private constructor(readonly watch: FakeWatch) {}

  static async start(map: ClusterMap, prepare: (fixture: Fixture) => void = () => {}): Promise<Fixture> {
    const fixture = new Fixture(new FakeWatch(map.nodes.map(({ id }) => id)));
    prepare(fixture);
    await fixture.begin({ ...map, epoch: 0 });
    return fixture;
  }

  /** Another manager, over what the last one left. */
  async begin(founding?: ClusterMap): Promise<void> {
    const { clock, watch, system } = this;
    const parts = { clock, logger: silentLogger, watch, onFatal: (error: unknown) => void this.fatal.push(error) };
    const onChange = (change: MapChange): void => void this.changes.push(change);
    const keeping = { clock, system: system.shard, term: system.leaderTerm, onChange };
    this.manager = await clock.until(Manager.begin(parts, keeping, async () => founding));
  }

  get map(): ClusterMap {
    return this.manager.map;
  }

  get moving(): readonly MapShard[] {
    return [this.map.system, ...this.map.shards].filter(isMoving);
  }

  shard(id: number): MapShard {
    return [this.map.system, ...this.map.shards].find((shard) => shard.id === id) as MapShard;
  }

  node(id: NodeId): MapNode {
    return this.map.nodes.find((node) => node.id === id) as MapNode;
  }

  kinds(): readonly string[] {
    return this.changes.map(({ kind }) => kind);
  }

  view(): ClusterView {
    return clusterView(this.manager, n1, this.watch, this.clock);
  }

  settle(shards: readonly MapShard[]): void {
    this.manager.takeReports(shards.map(({ id, epoch }) => aReport(id, { epoch })));
  }

  /** Leaders report every move done until there are none. */
  async untilSettled(): Promise<number> {
    let most = 0;
    for (let round = 0; round < 200; round++) {
      await this.clock.advance(2 * stepMs);
      most = Math.max(most, movesUnderWay(this.map));
      if (this.moving.length === 0 && this.manager.waitingMoves === 0) return most;
      this.settle(this.moving);
    }
    throw new Error('it never ends');
  }
}

const five = (shards = 10, fields: Partial<ClusterMap> = {}): ClusterMap => aMap(shards, [n1, n2, n3, n4, n5], fields);
const settledKinds = (fixture: Fixture): readonly string[] =>
  fixture.kinds().filter((kind) => kind !== 'leadersSpread');

test('a node that is gone for downAfterMs is down, and not a moment before; once it is back it is up', async (t) => {
  const fixture = await Fixture.start(five());
  for (const state of ['dead', 'left', 'unknown'] as const) {
    fixture.watch.see(n5, state, 59_999);
    await fixture.clock.advance(2 * stepMs);
    t.is(fixture.node(n5).condition, 'up', state);
    fixture.watch.see(n5, state, 60_000);
    await fixture.clock.advance(2 * stepMs);
    t.is(fixture.node(n5).condition, 'down', state);
    fixture.watch.see(n5, 'suspect');
    await fixture.clock.advance(2 * stepMs);
    t.is(fixture.node(n5).condition, 'down', 'suspect is not back');
    fixture.watch.see(n5, 'alive');
    await fixture.clock.advance(2 * stepMs);
    t.is(fixture.node(n5).condition, 'up');
  }
  fixture.watch.see(n5, 'suspect', 1_000_000);
  await fixture.clock.advance(2 * stepMs);
  t.is(fixture.node(n5).condition, 'up', 'who is suspected is not gone');
});

test('nodes that drain or are drained are not called down', async (t) => {
  const map = five(10, {
    nodes: [n1, n2, n3, n4, n5].map((id) => aMapNode(id, id === n5 ? { condition: 'drained' } : {})),
  });
  const fixture = await Fixture.start(aMap(10, [n1, n2, n3, n4], { nodes: map.nodes }));
  fixture.watch.see(n5, 'left', 1_000_000);
  await fixture.clock.advance(4 * stepMs);
  t.is(fixture.node(n5).condition, 'drained');
});

test('what a dead node held moves to others, maxMoves at a time, until nothing is left there', async (t) => {
  const settings = { ...usualSettings, maxMoves: 2 };
  const fixture = await Fixture.start(five(10, { settings }));
  fixture.watch.see(n5, 'dead', 60_000);
  const most = await fixture.untilSettled();
  t.is(most, 2);
  t.true(fixture.map.shards.every((shard) => !homesOf(shard).includes(n5)));
  t.deepEqual(fixture.view().problems, ['n5 is down']);
  t.deepEqual(fixture.fatal, []);
});

test('replicas of a node that drains move away, and then it is drained', async (t) => {
  const fixture = await Fixture.start(five(6));
  await fixture.manager.keeper.change((map) => ({
    kind: 'nodeChanged',
    summary: '',
    nodes: map.nodes.filter(({ id }) => id === n1).map((node) => ({ ...node, condition: 'draining' })),
  }));
  fixture.manager.wake();
  await fixture.clock.advance(2 * stepMs);
  t.is(fixture.shard(0).leaving[0], n1, 'the system shard first');
  t.is(fixture.node(n1).condition, 'draining');
  await fixture.untilSettled();
  await fixture.clock.advance(2 * stepMs);
  t.is(fixture.node(n1).condition, 'drained');
  t.is(fixture.kinds().filter((kind) => kind === 'nodeChanged').length, 2);
});

/** One move under way: shard 1 from n1 to n5. */
async function oneMove(): Promise<Fixture> {
  const spread = aMap(4, [n1, n2, n3, n4], { nodes: [n1, n2, n3, n4, n5].map((id) => aMapNode(id)) });
  const still = { ...spread, settings: { ...usualSettings, rebalance: false } };
  const fixture = await Fixture.start(still);
  await fixture.manager.keeper.change((map) => {
    const [shard] = moving(map, 1, [n5, n2, n3], [n1]).shards;
    return { kind: 'moveBegan', summary: '', shards: [shard as MapShard] };
  });
  return fixture;
}

test('a move is done by a report that it is settled, about this entry of the map and no earlier one', async (t) => {
  const fixture = await oneMove();
  const { epoch } = fixture.shard(1);
  t.is(epoch, 2);
  for (const report of [
    aReport(1, { epoch: epoch - 1 }),
    aReport(1, { epoch: epoch + 1 }),
    aReport(1, { epoch, phase: 'swapping' }),
    aReport(1, { epoch, phase: 'copying' }),
    aReport(2, { epoch }),
    aReport(99, { epoch }),
  ]) {
    fixture.manager.takeReports([report]);
    await fixture.clock.advance(2 * stepMs);
    t.true(isMoving(fixture.shard(1)), JSON.stringify(report));
  }
  fixture.manager.takeReports([aReport(1, { epoch })]);
  await fixture.clock.advance(1);
  t.false(isMoving(fixture.shard(1)), 'at once, not with the next step');
  t.is(fixture.changes.at(-1)?.summary, 'shard 1 off n1');
});

test('a report of an earlier term does not replace one of a later leader, and shards there are none of are not kept', async (t) => {
  const fixture = await oneMove();
  fixture.manager.takeReports([aReport(1, { epoch: 2, term: 7, phase: 'copying', matchIndex: 5 })]);
  fixture.manager.takeReports([aReport(1, { epoch: 2, term: 6, phase: 'settled' }), aReport(4000)]);
  await fixture.clock.advance(4 * stepMs);
  t.true(isMoving(fixture.shard(1)));
  t.deepEqual([...fixture.manager.reports.keys()], [1 as ShardId]);
});

test('a node that fails while replicas move to it is replaced, and what it may hold stays listed', async (t) => {
  const fixture = await oneMove();
  fixture.watch.see(n5, 'dead', 60_000);
  await fixture.clock.advance(4 * stepMs);
  const { leaving } = fixture.shard(1);
  t.deepEqual(
    [...leaving].sort(),
    [n1, n5].filter((node) => !homesOf(fixture.shard(1)).includes(node)),
  );
  t.false(homesOf(fixture.shard(1)).includes(n5));
  await fixture.untilSettled();
  t.deepEqual(fixture.shard(1).leaving, []);
});

test('a step that the system shard was too busy for is taken again, with nothing left out', async (t) => {
  const fixture = await Fixture.start(five(10));
  fixture.watch.see(n5, 'dead', 60_000);
  fixture.system.fates.push(busy(), 'ok', busy(), busy());
  await fixture.untilSettled();
  t.deepEqual(fixture.system.fates, [], 'all of them were met');
  t.true(fixture.map.shards.every((shard) => !homesOf(shard).includes(n5)));
  t.deepEqual(fixture.fatal, []);
});

test('after a write of unknown fate nothing more is changed in this term, and the next manager goes on', async (t) => {
  const fixture = await Fixture.start(five(10));
  await fixture.clock.advance(2 * stepMs);
  const before = fixture.changes.length;
  fixture.system.fates.push(notLeader());
  fixture.watch.see(n5, 'dead', 60_000);
  await fixture.clock.advance(10 * stepMs);
  t.is(fixture.changes.length, before);
  t.deepEqual(fixture.fatal, []);
  fixture.manager.stop();
  fixture.system.leaderTerm = 2;
  await fixture.begin();
  await fixture.untilSettled();
  t.true(fixture.map.shards.every((shard) => !homesOf(shard).includes(n5)));
});

test('moves that one manager began the next one goes on with, and begins no more than there is room for', async (t) => {
  const settings = { ...usualSettings, maxMoves: 3 };
  const fixture = await Fixture.start(five(10, { settings }));
  fixture.watch.see(n5, 'dead', 60_000);
  await fixture.clock.advance(2 * stepMs);
  t.is(movesUnderWay(fixture.map), 3);
  const moved = fixture.moving.map(({ id }) => id);
  fixture.manager.stop();
  await fixture.clock.advance(10 * stepMs);
  fixture.system.leaderTerm = 2;
  await fixture.begin();
  await fixture.clock.advance(4 * stepMs);
  t.deepEqual(
    fixture.moving.map(({ id }) => id),
    moved,
  );
  t.is(await fixture.untilSettled(), 3);
});

test('with no node to move to nothing is begun, the view says why, and a node that comes is used at once', async (t) => {
  const fixture = await Fixture.start(aMap(4, [n1, n2, n3]));
  fixture.watch.see(n3, 'dead', 60_000);
  await fixture.clock.advance(4 * stepMs);
  t.deepEqual(fixture.moving, []);
  t.deepEqual(fixture.view().problems, [
    '5 shards have a replica on a node that is gone or going, and nowhere to move it: 3 replicas need as many nodes that are up, there are 2',
    'n3 is down',
  ]);
  fixture.watch.see(n4, 'alive');
  await fixture.manager.keeper.change(() => ({ kind: 'nodeJoined', summary: '', nodes: [aMapNode(n4)] }));
  await fixture.untilSettled();
  for (const { id } of [fixture.map.system, ...fixture.map.shards]) t.true(homesOf(fixture.shard(id)).includes(n4));
  t.deepEqual(fixture.view().problems, ['n3 is down']);
});

test('a node that is about to be replaced is said so, with the time that is left', async (t) => {
  const fixture = await Fixture.start(five());
  fixture.watch.see(n2, 'dead', 45_200);
  t.deepEqual(fixture.view().problems, ['n2 is dead; its replicas are moved elsewhere in 15 s']);
});

test('leaders are spread once nothing moves, once for each set of nodes, and again for other zones', async (t) => {
  const led = (map: ClusterMap): ClusterMap => ({
    ...map,
    shards: map.shards.map((shard) => ({ ...shard, replicas: [n1, n2, n3].map((nodeId) => ({ nodeId })) })),
  });
  const fixture = await Fixture.start(led(aMap(12, [n1, n2, n3])));
  await fixture.clock.advance(8 * stepMs);
  t.deepEqual(fixture.kinds(), ['founded', 'leadersSpread']);
  t.deepEqual(settledKinds(fixture), ['founded']);
  const undo = fixture.map.shards.map((shard) => ({ ...shard, replicas: [n1, n2, n3].map((nodeId) => ({ nodeId })) }));
  await fixture.manager.keeper.change(() => ({ kind: 'settingsChanged', summary: '', shards: undo }));
  await fixture.clock.advance(8 * stepMs);
  t.is(fixture.kinds().at(-1), 'settingsChanged', 'an order about leaders is not undone');
  const settings = { ...usualSettings, leaderZones: ['elsewhere'] };
  await fixture.manager.keeper.change(() => ({ kind: 'settingsChanged', summary: '', settings }));
  await fixture.clock.advance(8 * stepMs);
  t.is(fixture.kinds().at(-1), 'leadersSpread');
});

test('however often it is woken, one step is made at a time and one timer waits for the next', async (t) => {
  const fixture = await Fixture.start(five());
  await fixture.clock.advance(2 * stepMs);
  let atOnce = 0;
  let most = 0;
  let steps = 0;
  const { keeper } = fixture.manager;
  const change = keeper.change.bind(keeper);
  keeper.change = async (draft) => {
    most = Math.max(most, ++atOnce);
    steps++;
    try {
      await new Promise<void>((resolve) => fixture.clock.after(3, resolve));
      return await change(draft);
    } finally {
      atOnce--;
    }
  };
  for (let at = 0; at < 50; at++) {
    fixture.manager.wake();
    await fixture.clock.advance(2);
  }
  t.is(most, 1);
  await fixture.clock.advance(100 * stepMs);
  const before = steps;
  await fixture.clock.advance(100 * stepMs);
  t.true(steps - before <= 5 * 101, `${steps - before} changes in 100 steps`);
  fixture.manager.stop();
  await fixture.clock.advance(stepMs);
  t.is(fixture.clock.armed, 0);
});

test('an error that no later term can make good stops the node', async (t) => {
  const fixture = await Fixture.start(five());
  fixture.watch.sightOf = () => {
    throw new TypeError('a bug');
  };
  await fixture.clock.advance(2 * stepMs);
  t.regex(String(fixture.fatal[0]), /a bug/);
});

test('the view: what moves, from where, how far it is, and what waits', async (t) => {
  const settings = { ...usualSettings, maxMoves: 1 };
  const fixture = await Fixture.start(five(10, { settings }));
  fixture.watch.see(n5, 'dead', 60_000);
  await fixture.clock.advance(2 * stepMs);
  const [shard] = fixture.moving as [MapShard];
  const only = () => fixture.view().moves[0];
  t.like(only(), { shardId: shard.id, from: [n5], phase: 'waiting', progress: null });
  t.is(fixture.view().moves.length, 1);
  t.is(fixture.view().waitingMoves, 5, 'six of thirty replicas were there');
  const to = homesOf(shard)[0] as NodeId;
  const report = { epoch: shard.epoch, missing: [to], lastIndex: 900 };
  fixture.manager.takeReports([aReport(shard.id, { ...report, phase: 'copying', matchIndex: 300 })]);
  t.like(only(), { to: [to], phase: 'copying', progress: { matchIndex: 300, lastIndex: 900 } });
  await fixture.clock.advance(5000);
  t.true((only()?.ageMs ?? 0) >= 5000);
  const node = fixture.view().nodes.find(({ id }) => id === n5);
  t.like(node, { condition: 'down', liveness: 'dead', leaving: 1, zone: 'z', weight: 1, lastHeardAgoMs: 60_000 });
  const counted = fixture.view().nodes.reduce((sum, { replicas }) => sum + replicas, 0);
  t.is(counted, 3 * 11, 'the system shard with the others');
  t.is(
    fixture.view().nodes.reduce((sum, { preferredLeaders }) => sum + preferredLeaders, 0),
    11,
  );
  t.is(fixture.view().manager, n1);
  t.is(shard.id === shardId(0), false);
});
