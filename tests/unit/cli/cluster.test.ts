/** Goal: cluster status, history, settings and set say what the manager says, and send what was typed. */
import test from 'ava';
import { nodeId, RingraftError, shardId } from '../../../src/base/index.js';
import type { ClusterView, ManagerRequest, MapChange } from '../../../src/wire/index.js';
import { FakeClient, hastyClock, kvctl, type RunOptions } from '../../support/fake-client.js';
import { aClusterMap, aMapShard, usualSettings } from '../../support/maps.js';
import { aMove, aNodeView, aView, managing, threeNodes } from '../../support/views.js';

const ids = ['n1', 'n2', 'n3'].map(nodeId);

/** Shards 7 and 8 on three nodes. */
function clusterWith(view: ClusterView, leaders: readonly (string | null)[] = ['n1', 'n2']): FakeClient {
  const client = new FakeClient();
  const shards = [7, 8].map((id, at) =>
    aMapShard({ id: shardId(id), arcStart: at * 2 ** 31, arcEnd: (at + 1) * 2 ** 31 }, ids),
  );
  client.clusterMap = {
    map: aClusterMap(ids, shards),
    leaders: leaders.map((id) => (id === null ? null : nodeId(id))),
  };
  client.onManage = managing([view]);
  return client;
}

const cluster = (argv: readonly string[], client: FakeClient, options: RunOptions = {}) =>
  kvctl(['cluster', ...argv], { client, ...options });

const requestsOf = (client: FakeClient): readonly object[] =>
  client.calls.filter(({ what, bucket }) => what === 'manage' && bucket !== 'view').map(({ options }) => options);

test('status of a healthy cluster: a few lines, and exit code 0', async (t) => {
  const { code, out, err } = await cluster(['status'], clusterWith(aView(threeNodes())));
  t.is(code, 0, err);
  t.is(
    out.toString(),
    [
      'cluster test, epoch 42, managed by n1: healthy',
      'nodes     3: 3 up; 3 alive',
      'shards    2, all led',
      'moves     nothing moves',
      'settings  downAfter=1m maxMoves=4 snapshotBytesPerSecond=32MiB leaderZones= rebalance=on',
      '',
    ].join('\n'),
  );
});

test('status with problems: what is off, in words, and exit code 1', async (t) => {
  const nodes = [
    aNodeView('n1'),
    aNodeView('n2', { condition: 'draining', replicas: 1, leaving: 2 }),
    aNodeView('n3', { condition: 'down', liveness: 'dead', lastHeardAgoMs: 90_000 }),
  ];
  const view = aView(nodes, { moves: [aMove()], waitingMoves: 3, problems: ['shard 8 has nowhere to go'] });
  const { code, out } = await cluster(['status'], clusterWith(view));
  t.is(code, 1);
  t.is(
    out.toString(),
    [
      'cluster test, epoch 42, managed by n1: 2 problems',
      'nodes     3: 1 up, 1 draining, 1 down; 2 alive, 1 dead',
      'shards    2, all led',
      'moves     1 replica under way, 3 wait',
      'settings  downAfter=1m maxMoves=4 snapshotBytesPerSecond=32MiB leaderZones= rebalance=on',
      '',
      'NODE  STATE  CONDITION  ZONE  REPLICAS  LEAVING  HEARD',
      'n2    alive  draining   z2           1        2  40 ms',
      'n3    dead   down       z3           1        0    1 m',
      '',
      'SHARD  FROM  TO  PHASE                ENTRIES    AGE',
      '    7  n1    n4  catches up  25 % (50 of 200)  1.5 s',
      '',
      'problem: n3 is dead and being replaced (heard 1 m ago)',
      'problem: shard 8 has nowhere to go',
      '',
    ].join('\n'),
  );
});

test('a stopped, a suspect and a never heard node are problems, a drained one may be away', async (t) => {
  const problemsOf = async (fields: Parameters<typeof aNodeView>[1]): Promise<string[]> => {
    const client = clusterWith(aView([aNodeView('n1'), aNodeView('n2', fields)]));
    return JSON.parse((await cluster(['status', '-o', 'json'], client)).out.toString()).problems;
  };
  t.deepEqual(await problemsOf({ liveness: 'left', lastHeardAgoMs: 2000 }), ['n2 is stopped (heard 2.0 s ago)']);
  t.deepEqual(await problemsOf({ liveness: 'suspect' }), ['n2 is suspect (heard 40 ms ago)']);
  t.deepEqual(await problemsOf({ liveness: 'unknown', lastHeardAgoMs: null }), [
    'n2 is not known to the manager (never heard)',
  ]);
  t.deepEqual(await problemsOf({ condition: 'down' }), ['n2 is down in the map, but alive']);
  t.deepEqual(await problemsOf({ condition: 'drained', liveness: 'left' }), []);
});

test('a shard that nobody leads is a problem, though the manager has none', async (t) => {
  const client = clusterWith(aView(threeNodes()), ['n1', null]);
  const { code, out } = await cluster(['status', '-o', 'json'], client);
  t.is(code, 1);
  t.like(JSON.parse(out.toString()), {
    cluster: 'test',
    healthy: false,
    manager: 'n1',
    leaderless: [8],
    problems: ['1 shard has no leader: 8'],
    liveness: { alive: 3 },
    conditions: { up: 3 },
    settings: usualSettings,
  });
});

test('without a manager status is exit code 5, and --watch waits for it to come back', async (t) => {
  const client = clusterWith(aView(threeNodes()));
  const gone = new RingraftError('NO_LEADER', 'no manager');
  client.onManage = managing([gone]);
  const { code, err } = await cluster(['status'], client);
  t.is(code, 5);
  t.is(err, 'kvctl: NO_LEADER: no manager\n');
  for (const output of ['table', 'json']) {
    const interrupt = new AbortController();
    let looks = 0;
    const answer = managing([gone, aView(threeNodes())]);
    client.onManage = (request) => {
      if (++looks === 2) interrupt.abort();
      return answer(request);
    };
    const options = { clock: hastyClock(), signal: interrupt.signal };
    const watched = await cluster(['status', '--watch', '-o', output], client, options);
    t.is(watched.code, 0);
    const text = watched.out.toString();
    if (output === 'json') {
      const [first, second] = text.trimEnd().split('\n');
      t.like(JSON.parse(first ?? ''), { error: { code: 'NO_LEADER' } });
      t.like(JSON.parse(second ?? ''), { healthy: true });
    } else {
      t.regex(text, /^\d\d:\d\d:\d\d {2}NO_LEADER: no manager\n\n\d\d:\d\d:\d\d {2}cluster test/);
    }
  }
});

const change = (epoch: number, fields: Partial<MapChange> = {}): MapChange => ({
  epoch,
  atMs: 1_700_000_000_000 + epoch,
  kind: 'moveDone',
  summary: `change ${epoch}`,
  ...fields,
});

test('history has the newest last, says how to see older ones, and as JSON all of it', async (t) => {
  const client = new FakeClient();
  const changes = [change(9, { kind: 'nodeJoined', nodes: [], summary: 'n4 joined' }), change(8), change(7)];
  client.onManage = () => ({ changes });
  const { code, out, err } = await cluster(['history', '--limit', '3', '--before', '10'], client);
  t.is(code, 0, err);
  t.deepEqual(requestsOf(client), [{ op: 'history', limit: 3, before: 10 }]);
  const lines = out.toString().trimEnd().split('\n');
  t.regex(lines[0] ?? '', /^EPOCH {2}TIME +KIND +SUMMARY$/);
  t.regex(lines[1] ?? '', /^ {4}7 {2}2023-11-1\d \d\d:\d\d:\d\d {2}moveDone +change 7$/);
  t.regex(lines[3] ?? '', /^ {4}9 {2}.* {2}nodeJoined {2}n4 joined$/);
  t.is(err, 'there may be older ones: --before 7\n');
  const json = JSON.parse((await cluster(['history', '-o', 'json'], client)).out.toString());
  t.deepEqual(json.changes, JSON.parse(JSON.stringify([...changes].reverse())));
  t.deepEqual(requestsOf(client).at(-1), { op: 'history', limit: 20 });
  client.onManage = () => ({ changes: [change(1, { kind: 'founded' })] });
  t.is((await cluster(['history', '--limit', '1'], client)).err, '', 'nothing is older than the first');
});

test('settings are shown as `set` takes them', async (t) => {
  const settings = { ...usualSettings, downAfterMs: 90_000, leaderZones: ['z1', 'z2'], rebalance: false };
  const client = clusterWith(aView(threeNodes(), { settings }));
  const { code, out } = await cluster(['settings'], client);
  t.is(code, 0);
  const values = out
    .toString()
    .trimEnd()
    .split('\n')
    .slice(1)
    .map((line) => line.split(/ {2,}/).slice(0, 2).join('='));
  t.deepEqual(values, [
    'downAfter=90s',
    'maxMoves=4',
    'snapshotBytesPerSecond=32MiB',
    'leaderZones=z1,z2',
    'rebalance=off',
  ]);
  t.is((await cluster(['set', ...values], client)).code, 0);
  t.deepEqual(requestsOf(client), [{ op: 'settings', set: settings }], 'given back they mean the same');
  const json = JSON.parse((await cluster(['settings', '-o', 'json'], client)).out.toString());
  t.deepEqual(json, { cluster: json.cluster, epoch: 42, settings });
});

test('set takes either spelling of a name, durations, sizes, lists and switches', async (t) => {
  const sent = async (...given: string[]): Promise<unknown> => {
    const client = clusterWith(aView(threeNodes()));
    const { code, err } = await cluster(['set', ...given], client);
    if (code !== 0) throw new Error(err);
    return (requestsOf(client)[0] as { set: object }).set;
  };
  t.deepEqual(await sent('maxMoves=8', 'downAfter=30s', 'snapshotBytesPerSecond=64MiB'), {
    maxMoves: 8,
    downAfterMs: 30_000,
    snapshotBytesPerSecond: 67_108_864,
  });
  t.deepEqual(await sent('max-moves=1', 'down-after=2m', 'leader-zones=z1,z2', 'rebalance=off'), {
    maxMoves: 1,
    downAfterMs: 120_000,
    leaderZones: ['z1', 'z2'],
    rebalance: false,
  });
  t.deepEqual(await sent('downAfterMs=5000', 'snapshot-bytes-per-second=100000', 'leaderZones=', 'rebalance=on'), {
    downAfterMs: 5000,
    snapshotBytesPerSecond: 100_000,
    leaderZones: [],
    rebalance: true,
  });
});

test('set answers with the epoch and what holds now', async (t) => {
  const client = clusterWith(aView(threeNodes(), { settings: { ...usualSettings, maxMoves: 8 } }));
  t.regex((await cluster(['set', 'maxMoves=8'], client)).out.toString(), /^epoch 43: downAfter=1m maxMoves=8 /);
  const json = JSON.parse((await cluster(['set', 'maxMoves=8', '-o', 'json'], client)).out.toString());
  t.like(json, { epoch: 43, set: { maxMoves: 8 }, settings: { maxMoves: 8 } });
  client.onManage = managing([new RingraftError('NO_LEADER', 'gone')]);
  const after = await cluster(['set', 'maxMoves=8'], client);
  t.is(after.code, 0, 'the order stands, though nobody tells what holds now');
  t.is(after.out.toString(), 'epoch 43\n');
});

test('a wrong setting is named with what is right, and nothing is sent', async (t) => {
  for (const [given, said] of [
    ['maxMove=8', /did you mean maxMoves\?.*there are downAfter, maxMoves, .*rebalance/],
    ['nonsense=1', /there is no setting nonsense \(there are downAfter/],
    ['maxMoves', /name=value, not maxMoves/],
    ['=8', /name=value/],
    ['maxMoves=many', /whole number/],
    ['maxMoves=257', /maxMoves is at most 256, not 257/],
    ['downAfter=soon', /not a duration/],
    ['downAfter=500ms', /downAfter is at least 1s, not 500ms/],
    ['downAfter=2d', /downAfter is at most 1d, not 2d/],
    ['snapshotBytesPerSecond=64 parsecs', /not a size/],
    ['snapshotBytesPerSecond=1KiB', /at least 64KiB, not 1KiB/],
    ['leaderZones=Zone 1', /no name of a zone/],
    ['rebalance=sometimes', /rebalance is on or off/],
  ] as const) {
    const client = clusterWith(aView(threeNodes()));
    const { code, err } = await cluster(['set', given], client);
    t.is(code, 2, given);
    t.regex(err, said);
    t.deepEqual(client.calls, []);
  }
  const twice = await cluster(['set', 'maxMoves=1', 'max-moves=2'], clusterWith(aView(threeNodes())));
  t.regex(twice.err, /maxMoves is given more than once/);
  const last = await cluster(['set', 'maxMoves=1', '-o', 'table', '-o', 'json'], clusterWith(aView(threeNodes())));
  t.is(JSON.parse(last.out.toString()).epoch, 43, 'of any other option the last counts');
});

test('what the manager refuses ends in its exit code', async (t) => {
  for (const [code, exit] of [
    ['BAD_REQUEST', 2],
    ['NO_LEADER', 5],
    ['TIMEOUT', 6],
    ['DENIED', 7],
  ] as const) {
    const client = clusterWith(aView(threeNodes()));
    client.onManage = () => {
      throw new RingraftError(code, 'the reason');
    };
    for (const argv of [['status'], ['history'], ['settings'], ['set', 'maxMoves=2']]) {
      const ran = await cluster(argv, client);
      t.is(ran.code, exit, argv.join(' '));
      t.is(ran.err, `kvctl: ${code}: the reason\n`);
    }
  }
});

test('an answer of another kind is an error, not a crash', async (t) => {
  const client = clusterWith(aView(threeNodes()));
  client.onManage = (request: ManagerRequest) =>
    request.op === 'settings' ? { changes: [] } : { done: true, epoch: 1 };
  for (const argv of [['status'], ['history'], ['set', 'maxMoves=2']]) {
    const { code, err } = await cluster(argv, client);
    t.is(code, 2);
    t.regex(err, /of another kind/);
  }
});

test('every command of the group has help with examples', async (t) => {
  for (const name of ['status', 'history', 'settings', 'set', 'rolling-restart']) {
    const { code, out } = await kvctl(['cluster', name, '--help']);
    t.is(code, 0);
    t.regex(out.toString(), new RegExp(`kvctl cluster ${name}\\b.*Examples:.*kvctl cluster `, 's'), name);
  }
});
