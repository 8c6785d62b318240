/** Goal: a move is ordered as typed, followed entry by entry, and called done only when the map says so. */
import test from 'ava';
import { nodeId, RingraftError, shardId } from '../../../src/base/index.js';
import type { ClusterMap, ClusterView, ManagerRequest } from '../../../src/wire/index.js';
import { FakeClient, hastyClock, kvctl, type RunOptions } from '../../support/fake-client.js';
import { aClusterMap, aMapShard } from '../../support/maps.js';
import { aMove, aView, managing, threeNodes } from '../../support/views.js';

const mapWith = (replicas: readonly string[], leaving: readonly string[] = []): ClusterMap =>
  aClusterMap(['n1', 'n2', 'n3', 'n4'].map(nodeId), [
    aMapShard({ id: shardId(7), arcStart: 0, arcEnd: 2 ** 32 }, replicas.map(nodeId), {
      leaving: leaving.map(nodeId),
    }),
  ]);

const underWay = (matchIndex: number, fields: Parameters<typeof aMove>[0] = {}): ClusterView =>
  aView(threeNodes(), { moves: [aMove({ progress: { matchIndex, lastIndex: 200 }, ...fields })] });
const still = aView(threeNodes());

function clientWith(views: Parameters<typeof managing>[0], maps: readonly ClusterMap[] = []): FakeClient {
  const client = new FakeClient();
  let at = 0;
  client.onManage = managing(views, ({ op }) =>
    op === 'map' ? { map: maps[Math.min(at++, maps.length - 1)] as ClusterMap } : { done: true, epoch: 43 },
  );
  return client;
}

const shard = (argv: readonly string[], client: FakeClient, options: RunOptions = {}) =>
  kvctl(['shard', ...argv], { client, clock: hastyClock(), ...options });

const ordersOf = (client: FakeClient): readonly object[] =>
  client.calls
    .filter(({ what, bucket }) => what === 'manage' && bucket !== 'view' && bucket !== 'map')
    .map(({ options }) => options);

const move = ['move', '7', '--from', 'n1', '--to', 'n4'];

test('shard move orders and does not wait unless told; --cancel cancels', async (t) => {
  const client = clientWith([still]);
  const moved = await shard(move, client);
  t.is(moved.code, 0, moved.err);
  t.is(moved.out.toString(), 'shard 7 moves from n1 to n4 (epoch 43)\n');
  const cancelled = await shard(['move', '--cancel', '7'], client);
  t.is(cancelled.code, 0, cancelled.err);
  t.is(cancelled.out.toString(), 'shard 7: its move is cancelled (epoch 43)\n');
  t.deepEqual(ordersOf(client), [
    { op: 'move', shard: 7, from: 'n1', to: 'n4' },
    { op: 'cancelMove', shard: 7 },
  ] satisfies ManagerRequest[]);
  const json = JSON.parse((await shard(['move', '7', '--cancel', '-o', 'json'], client)).out.toString());
  t.deepEqual(json, { shard: 7, epoch: 43, cancelled: true });
});

test('shard move --wait shows the entries, and is done when the map has nobody leaving', async (t) => {
  const client = clientWith(
    [
      still,
      underWay(0, { phase: 'waiting', progress: null }),
      underWay(50),
      new RingraftError('NO_LEADER', 'an election'),
      underWay(200, { phase: 'swapping' }),
      still,
    ],
    [mapWith(['n4', 'n2', 'n3'], ['n1']), mapWith(['n4', 'n2', 'n3'])],
  );
  const { code, out, err } = await shard([...move, '--wait'], client);
  t.is(code, 0, err);
  t.is(out.toString(), 'shard 7 has moved from n1 to n4\n');
  t.deepEqual(err.trimEnd().split('\n'), [
    'shard 7 from n1 to n4  waits for its turn',
    'shard 7 from n1 to n4  asks for a replica',
    'shard 7 from n1 to n4   20 %  50 of 200 entries  catches up',
    'shard 7 from n1 to n4  no manager at the moment',
    'shard 7 from n1 to n4  100 %  200 of 200 entries  changes its voters',
  ]);
});

test('shard move --wait -o json says that it is done', async (t) => {
  const client = clientWith([underWay(1), still], [mapWith(['n4', 'n2', 'n3'])]);
  const { out } = await shard([...move, '--wait', '-o', 'json'], client);
  t.deepEqual(JSON.parse(out.toString()), { shard: 7, from: 'n1', to: 'n4', epoch: 43, done: true });
});

test('a move that was cancelled is a conflict, not done', async (t) => {
  const client = clientWith([underWay(1), still], [mapWith(['n1', 'n2', 'n3'])]);
  const { code, err } = await shard([...move, '--wait'], client);
  t.is(code, 4);
  t.regex(err, /cancelled or changed/);
});

test('--wait-timeout and Ctrl-C end the waiting, not the move', async (t) => {
  const late = await shard([...move, '--wait-timeout', '1s'], clientWith([underWay(1)]));
  t.is(late.code, 6);
  t.regex(late.err, /the move goes on/);
  const interrupt = new AbortController();
  const client = clientWith([underWay(1)]);
  const answer = client.onManage;
  client.onManage = (request) => {
    if (request.op === 'view') interrupt.abort();
    return answer(request);
  };
  const { code, err, out } = await shard([...move, '--wait'], client, { signal: interrupt.signal });
  t.is(code, 130);
  t.regex(err, /stays in force: the move goes on; `kvctl shard move --cancel 7`/);
  t.is(out.length, 0);
});

test('shard moves lists those under way, as text and as JSON', async (t) => {
  const view = aView(threeNodes(), {
    moves: [
      aMove(),
      aMove({ shardId: shardId(0), from: [], to: [nodeId('n2')], phase: 'waiting', progress: null, ageMs: 80 }),
    ],
    waitingMoves: 1200,
  });
  const { code, out } = await shard(['moves'], clientWith([view]));
  t.is(code, 0);
  t.is(
    out.toString(),
    [
      '2 replicas under way, 1,200 wait',
      ' SHARD  FROM   TO  PHASE                        ENTRIES    AGE',
      '     7  n1     n4  catches up          25 % (50 of 200)  1.5 s',
      'system  (new)  n2  asks for a replica                 -  80 ms',
      '',
    ].join('\n'),
  );
  t.is((await shard(['moves'], clientWith([still]))).out.toString(), 'nothing moves\n');
  const json = JSON.parse((await shard(['moves', '-o', 'json'], clientWith([view]))).out.toString());
  t.like(json, { epoch: 42, waitingMoves: 1200 });
  t.is(json.moves.length, 2);
});

test('shard moves --watch goes on until Ctrl-C', async (t) => {
  const interrupt = new AbortController();
  const client = clientWith([underWay(1), still]);
  const answer = client.onManage;
  let looks = 0;
  client.onManage = (request) => {
    if (++looks === 2) interrupt.abort();
    return answer(request);
  };
  const { code, out } = await shard(['moves', '--watch'], client, { signal: interrupt.signal });
  t.is(code, 0);
  t.regex(out.toString(), /1 replica under way.*nothing moves/s);
});

test('what is asked wrongly is exit code 2, and nothing is sent', async (t) => {
  for (const argv of [
    ['move'],
    ['move', 'seven', '--from', 'n1', '--to', 'n4'],
    ['move', '7'],
    ['move', '7', '--from', 'n1'],
    ['move', '7', '--from', 'n1', '--to', 'n1'],
    ['move', '7', '--from', 'N1', '--to', 'n4'],
    ['move', '7', '--cancel', '--from', 'n1'],
    ['moves', '7'],
  ]) {
    const client = clientWith([still]);
    const { code } = await shard(argv, client);
    t.is(code, 2, argv.join(' '));
    t.deepEqual(client.calls, []);
  }
});

test('both have help with examples', async (t) => {
  for (const name of ['move', 'moves']) {
    t.regex((await kvctl(['shard', name, '--help'])).out.toString(), /Examples:.*kvctl shard move/s);
  }
});
