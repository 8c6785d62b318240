/**
 * Goal: whatever is asked of the manager gets an answer that is true, and nothing that is asked stops the node or makes
 * nonsense of the map. Method: requests over a bus on a virtual clock, to a server over a system shard that a test sets.
 */
import test from 'ava';
import fc from 'fast-check';
import { bucketId, silentLogger } from '../../../src/base/index.js';
import { ManagerServer } from '../../../src/meta/manager-server.js';
import { checkMap } from '../../../src/meta/map-changes.js';
import { initHash } from '../../../src/ring/index.js';
import {
  adminSubject,
  type ClusterMap,
  type ManagerAnswer,
  type ManagerRequest,
  type MapBucket,
  type MapChange,
  managerSubject,
  mapChangeSubject,
} from '../../../src/wire/index.js';
import { LocalBus } from '../../support/local-bus.js';
import { aBucket, aMapNode, usualSettings } from '../../support/maps.js';
import { VirtualClock } from '../../support/virtual-clock.js';
import { aMap, aReport, busy, FakeSystem, FakeWatch, fakeHost, n1, n2, n3, n4 } from './fake-system.js';

test.before(() => initHash());

type Fixture = {
  readonly clock: VirtualClock;
  readonly bus: LocalBus;
  readonly system: FakeSystem;
  readonly watch: FakeWatch;
  readonly server: ManagerServer;
  readonly adopted: ClusterMap[];
  readonly fatal: unknown[];
  /** What anybody may publish; the answer as it came. */
  ask(payload: unknown): Promise<ManagerAnswer>;
  askRaw(payload: string): Promise<ManagerAnswer>;
};

/** Four nodes, no shard of which wants to be elsewhere by itself. */
const still = aMap(4, [n1, n2, n3, n4], { epoch: 0, settings: { ...usualSettings, rebalance: false } });

async function start(founding = still, maxPayloadBytes = 1024 * 1024): Promise<Fixture> {
  const clock = new VirtualClock();
  const bus = new LocalBus(clock, { maxPayloadBytes });
  const system = new FakeSystem();
  const watch = new FakeWatch(founding.nodes.map(({ id }) => id));
  const { host, adopted } = fakeHost(founding, system);
  const fatal: unknown[] = [];
  const onFatal = (error: unknown): void => void fatal.push(error);
  const parts = { bus, clock, logger: silentLogger, host, watch, cluster: 'test', nodeId: n1, onFatal };
  const server = new ManagerServer(parts);
  for (const { id } of founding.nodes) {
    bus.subscribe('client', adminSubject('test', id), ({ replyTo }) => {
      if (replyTo !== undefined) bus.publish('client', replyTo, Buffer.from('{"founding":"founding"}'));
    });
  }
  server.start();
  await clock.advance(200);
  const askRaw = async (payload: string): Promise<ManagerAnswer> => {
    const answer = await clock.until(bus.request(managerSubject('test'), Buffer.from(payload)), 5000);
    return answer.noResponders ? error('none') : (JSON.parse(answer.payload.toString()) as ManagerAnswer);
  };
  return {
    clock,
    bus,
    system,
    watch,
    server,
    adopted,
    fatal,
    askRaw,
    ask: (payload) => askRaw(JSON.stringify(payload)),
  };
}

const error = (code: string): ManagerAnswer => ({ error: { code, message: '', happened: 'no' } }) as never;
const codeOf = (answer: ManagerAnswer): string =>
  'error' in answer ? answer.error.code : `no error: ${JSON.stringify(answer).slice(0, 200)}`;
const messageOf = (answer: ManagerAnswer): string => ('error' in answer ? answer.error.message : '');

test('what is no request is BAD_REQUEST, and says what is wrong', async (t) => {
  const { ask, askRaw } = await start();
  for (const payload of ['', '{', '[]', 'null', '7', '"view"', '{}', '{"op":7}', '{"op":null}']) {
    t.is(codeOf(await askRaw(payload)), 'BAD_REQUEST', payload);
  }
  for (const op of ['toString', 'constructor', '__proto__', 'View', 'views'])
    t.regex(messageOf(await ask({ op })), /unknown operation .*there are report, view/, op);
  t.regex(messageOf(await ask({ op: 'drain', node: 'n2', nodes: ['n3'] })), /drain takes no field "nodes"/);
});

const wrongFields: readonly (readonly [string, object])[] = [
  ...[undefined, 0, -1, 1.5, '5', null, [], 2 ** 60].map((limit) => ['history', { limit }] as const),
  ...[-1, 'x', null, {}].map((before) => ['history', { limit: 1, before }] as const),
  ...[undefined, 7, null, [], {}].flatMap((node) =>
    ['drain', 'recommission', 'decommission', 'setNode'].map((op) => [op, { node }] as const),
  ),
  ['decommission', { node: 'n2', force: 'yes' }],
  ['setNode', { node: 'n2', weight: '2' }],
  ['setNode', { node: 'n2', zone: 7 }],
  ...[undefined, -1, 1.5, 65_536, '1', null].flatMap((shard) => [
    ['move', { shard, from: 'n1', to: 'n4' }] as const,
    ['cancelMove', { shard }] as const,
  ]),
  ['move', { shard: 1, from: 1, to: 'n4' }],
  ['move', { shard: 1, from: 'n1' }],
  ...[
    undefined,
    'n5',
    {},
    { id: 'n5' },
    { id: 'n5', zone: 'z', weight: null },
    { id: 5, zone: 'z', weight: 1 },
    [],
  ].map((node) => ['join', { node }] as const),
  ...[undefined, 7, null, [], 'maxMoves=2'].map((set) => ['settings', { set }] as const),
  ...['createBucket', 'configureBucket', 'removeBucket'].flatMap((op) =>
    [undefined, 7, null, [], {}].map((name) => [op, { name }] as const),
  ),
  ...['createBucket', 'configureBucket'].flatMap((op) =>
    [
      { mode: 'strong' },
      { defaultLevel: 1 },
      { defaultLevel: 'eventual' },
      ...[-1, 1.5, '1', null, 2 ** 40].map((ttlMs) => ({ ttlMs })),
      ...[-1, 1.5, '1', null, 900_001].map((maxValueBytes) => ({ maxValueBytes })),
      ...[-0.1, 1.1, '0.5', null].map((cacheShare) => ({ cacheShare })),
      { id: 7 },
      { isRemoved: false },
    ].map((fields) => [op, { name: 'default', ...fields }] as const),
  ),
  ...[undefined, 7, null, {}, [7], [null], [{}]].map((shards) => ['report', { node: 'n1', shards }] as const),
  ...[
    { shardId: '1' },
    { shardId: -1 },
    { epoch: null },
    { term: 1.5 },
    { phase: 'done' },
    { missing: 'n4' },
    { missing: [4] },
    { matchIndex: '0' },
    { lastIndex: undefined },
  ].map((fields) => ['report', { node: 'n1', shards: [{ ...aReport(1), ...fields }] }] as const),
];

test('a field of another type is BAD_REQUEST, whatever the operation, and changes nothing', async (t) => {
  const { ask, adopted, fatal } = await start();
  const before = adopted.length;
  for (const [op, fields] of wrongFields) {
    t.is(codeOf(await ask({ op, ...fields })), 'BAD_REQUEST', JSON.stringify({ op, ...fields }));
  }
  t.is(adopted.length, before);
  t.deepEqual(fatal, []);
});

test('whatever JSON is asked, there is an answer, the node goes on, and the map is one', async (t) => {
  const { ask, server, fatal, adopted } = await start();
  const ops = ['report', 'view', 'map', 'history', 'join', 'drain', 'recommission', 'decommission', 'setNode', 'move'];
  const value = fc.oneof(fc.jsonValue(), fc.constantFrom('n1', 'n2', 'n4', 1, 2, 0, -0, 1e9));
  const names = fc.constantFrom(
    'node',
    'shards',
    'limit',
    'before',
    'force',
    'zone',
    'weight',
    'shard',
    'from',
    'to',
    'set',
    'name',
    'ttlMs',
    'cacheShare',
  );
  const request = fc
    .tuple(
      fc.constantFrom(...ops, 'cancelMove', 'settings', 'createBucket', 'configureBucket', 'removeBucket'),
      fc.dictionary(names, value, { maxKeys: 4 }),
    )
    .map(([op, fields]) => ({ ...fields, op }));
  await fc.assert(
    fc.asyncProperty(request, async (each) => {
      const answer = await ask(each);
      t.is(typeof answer, 'object');
      if ('error' in answer) t.regex(answer.error.code, /^(BAD_REQUEST|NOT_FOUND|WRONG_SHARD|CONFLICT|BUSY)$/);
      const map = adopted.at(-1);
      if (map !== undefined) checkMap(map);
    }),
    { numRuns: 300 },
  );
  t.deepEqual(fatal, []);
  server.stop();
});

test('orders are answered with the epoch in which they stand, and announced to all', async (t) => {
  const { clock, bus, ask, adopted } = await start();
  const announced: MapChange[] = [];
  bus.subscribe('client', mapChangeSubject('test'), ({ payload }) => announced.push(JSON.parse(payload.toString())));
  t.deepEqual(await ask({ op: 'settings', set: { maxMoves: 9 } }), { done: true, epoch: 2 });
  t.deepEqual(await ask({ op: 'settings', set: { maxMoves: 9 } }), { done: true, epoch: 2 }, 'said again');
  t.deepEqual(await ask({ op: 'setNode', node: 'n2', weight: 2 }), { done: true, epoch: 3 });
  await clock.advance(10);
  t.deepEqual(
    announced.map(({ epoch, kind }) => [epoch, kind]),
    [
      [2, 'settingsChanged'],
      [3, 'nodeChanged'],
    ],
  );
  t.is(adopted.at(-1)?.epoch, 3, 'and taken over here');
  const history = await ask({ op: 'history', limit: 2 });
  t.deepEqual('changes' in history ? history.changes.map(({ epoch }) => epoch) : history, [3, 2]);
  const map = await ask({ op: 'map' });
  t.is('map' in map ? map.map.settings.maxMoves : map, 9);
  const view = await ask({ op: 'view' });
  t.is('view' in view ? view.view.epoch : view, 3);
});

test('a refused order leaves the plan as it is', async (t) => {
  const map = aMap(12, [n1, n2, n3], { epoch: 0, settings: { ...usualSettings, maxMoves: 1 } });
  const grown = { ...map, nodes: [n1, n2, n3, n4].map((id) => aMapNode(id)) };
  const { clock, ask } = await start(grown);
  await clock.advance(1000);
  const waiting = async (): Promise<unknown> => {
    const answer = await ask({ op: 'view' });
    return 'view' in answer ? [answer.view.moves.length, answer.view.waitingMoves] : answer;
  };
  t.deepEqual(await waiting(), [1, 8]);
  for (let shard = 0; shard <= 12; shard++) {
    await ask({ op: 'move', shard, from: 'n1', to: 'n9' });
    await ask({ op: 'cancelMove', shard });
  }
  t.deepEqual(await waiting(), [1, 8]);
});

test('join: a new node gets the map with it; a name that is in use by a running node is BUSY until that is gone', async (t) => {
  const { ask, watch } = await start();
  const join: ManagerRequest = { op: 'join', node: { id: 'n5', zone: 'z5', weight: 1 } };
  for (const time of ['first', 'again, its answer was lost']) {
    const answer = await ask(join);
    t.true('map' in answer && answer.map.nodes.some(({ id }) => id === 'n5'), time);
  }
  const taken: ManagerRequest = { op: 'join', node: { id: 'n2', zone: 'z', weight: 1 } };
  for (const state of ['alive', 'suspect'] as const) {
    watch.see(n2, state);
    t.is(codeOf(await ask(taken)), 'BUSY', state);
  }
  for (const state of ['dead', 'left', 'unknown'] as const) {
    watch.see(n2, state);
    t.true('map' in (await ask(taken)), state);
  }
});

test('decommission: BUSY while the node holds something, done once it is gone, and done again', async (t) => {
  const { ask } = await start({ ...still, nodes: [...still.nodes, aMapNode('n5' as never)] });
  t.like(await ask({ op: 'decommission', node: 'n5' }), { done: true });
  t.like(await ask({ op: 'decommission', node: 'n5', force: true }), { done: true });
  t.is(codeOf(await ask({ op: 'decommission', node: 'n2' })), 'BUSY');
  t.is(codeOf(await ask({ op: 'decommission', node: 'n2' })), 'BUSY', 'it is being drained');
});

test('reports settle moves', async (t) => {
  const { clock, ask } = await start();
  t.deepEqual(await ask({ op: 'move', shard: 1, from: 'n1', to: 'n4' }), { done: true, epoch: 2 });
  t.is(codeOf(await ask({ op: 'move', shard: 1, from: 'n2', to: 'n1' })), 'BUSY');
  await ask({
    op: 'report',
    node: 'n4',
    shards: [{ ...aReport(1, { epoch: 2 }), later: 'a field of a later version' }],
  });
  await clock.advance(1000);
  const view = await ask({ op: 'view' });
  t.deepEqual('view' in view ? view.view.moves : view, []);
});

test('a system shard that is busy is passed on, and the next order is taken', async (t) => {
  const { ask, system } = await start();
  system.fates.push(busy());
  t.is(codeOf(await ask({ op: 'settings', set: { maxMoves: 9 } })), 'BUSY');
  t.like(await ask({ op: 'settings', set: { maxMoves: 9 } }), { done: true });
});

test('whoever leads the system shard no more answers NOT_LEADER, then nobody listens there; who leads again answers again', async (t) => {
  const { clock, ask, system } = await start();
  system.leaderTerm = 0;
  t.is(codeOf(await ask({ op: 'settings', set: { maxMoves: 9 } })), 'NOT_LEADER');
  t.is(codeOf(await ask({ op: 'map' })), 'NOT_LEADER', 'an old map is not passed off as the map');
  await clock.advance(200);
  t.is(codeOf(await ask({ op: 'view' })), 'none');
  system.leaderTerm = 3;
  await clock.advance(200);
  t.true('map' in (await ask({ op: 'map' })));
});

test('an answer that no message can carry is TOO_LARGE', async (t) => {
  const { ask } = await start({ ...still, shards: aMap(64, [n1, n2, n3, n4]).shards }, 4096);
  for (const op of ['map', 'view'] as const) {
    const answer = await ask({ op });
    t.regex(`${codeOf(answer)} ${messageOf(answer)}`, op === 'map' ? /TOO_LARGE .*4096/ : /no error/, op);
  }
});

test('nothing is founded, and nobody manages, before every founding node has its founding replicas', async (t) => {
  const clock = new VirtualClock();
  const bus = new LocalBus(clock);
  const system = new FakeSystem();
  const { host } = fakeHost(still, system);
  const watch = new FakeWatch([]);
  const states = new Map<string, string | undefined>([
    [n2, 'founding'],
    [n3, 'established'],
    [n4, undefined],
  ]);
  for (const id of [n2, n3, n4]) {
    bus.subscribe('client', adminSubject('test', id), ({ replyTo }) => {
      const founding = states.get(id);
      if (replyTo !== undefined && founding !== undefined)
        bus.publish('client', replyTo, Buffer.from(JSON.stringify({ founding })));
    });
  }
  const server = new ManagerServer({
    ...{ bus, clock, logger: silentLogger, host, watch, cluster: 'test', nodeId: n1 },
    onFatal: (reason) => t.fail(String(reason)),
  });
  server.start();
  for (const state of [undefined, 'new']) {
    states.set(n4, state);
    await clock.advance(10_000);
    t.deepEqual(system.writes, [], String(state));
  }
  states.set(n4, 'founding');
  await clock.advance(500);
  t.true(system.writes.length > 0);
  server.stop();
});

test('records that do not read stop the node: no later term can make that good', async (t) => {
  const clock = new VirtualClock();
  const system = new FakeSystem();
  system.records.set('cluster', '{');
  const { host } = fakeHost(still, system);
  const fatal: unknown[] = [];
  const bus = new LocalBus(clock);
  const watch = new FakeWatch([]);
  const onFatal = (reason: unknown): void => void fatal.push(reason);
  new ManagerServer({ bus, clock, logger: silentLogger, host, watch, cluster: 'test', nodeId: n1, onFatal }).start();
  await clock.advance(500);
  t.regex(String(fatal[0]), /record cluster of the system shard is not JSON/);
});

test('orders about buckets are answered with the bucket, when they are certain', async (t) => {
  const { ask, adopted, system, fatal } = await start();
  const created = (await ask({ op: 'createBucket', name: 'b', ttlMs: 5 })) as { bucket: MapBucket; epoch: number };
  t.deepEqual(created.bucket, aBucket({ id: bucketId(2), name: 'b', ttlMs: 5 }));
  t.is(adopted.at(-1)?.epoch, created.epoch);
  t.deepEqual(JSON.parse(system.records.get('cluster') ?? '').buckets, [aBucket(), created.bucket]);
  t.is(codeOf(await ask({ op: 'createBucket', name: 'b' })), 'CONFLICT');
  const same = (await ask({ op: 'configureBucket', name: 'b', ttlMs: 5 })) as { bucket: MapBucket; epoch: number };
  t.deepEqual(same.bucket, created.bucket);
  t.is(same.epoch, created.epoch, 'nothing new is no change');
  system.fates.push(busy());
  t.is(codeOf(await ask({ op: 'removeBucket', name: 'b' })), 'BUSY');
  t.is(adopted.at(-1)?.buckets[1]?.isRemoved, false);
  const removed = (await ask({ op: 'removeBucket', name: 'b' })) as { bucket: MapBucket };
  t.deepEqual(removed.bucket, { ...created.bucket, isRemoved: true });
  t.is(codeOf(await ask({ op: 'removeBucket', name: 'b' })), 'NOT_FOUND');
  t.is(codeOf(await ask({ op: 'configureBucket', name: 'b', ttlMs: 1 })), 'NOT_FOUND');
  t.deepEqual(fatal, []);
});
