/** Goal: shard ls, info and transfer-leader say what nodes tell, and in words what is off. Method: statuses as they would come. */
import test from 'ava';
import { nodeId, RingraftError, replicaId, systemShardId } from '../../../src/base/index.js';
import type { NodeStatus, ShardStatus } from '../../../src/wire/index.js';
import { type FakeClient, kvctl } from '../../support/fake-client.js';
import {
  aDetail,
  aFollower,
  aLeader,
  aNode,
  aShard,
  clusterTelling,
  onNode,
  type Told,
} from '../../support/statuses.js';

const well = (): FakeClient =>
  clusterTelling(aNode('n1', [aLeader()]), aNode('n2', [onNode(2)]), aNode('n3', [onNode(3)]));

const jsonOf = async (argv: readonly string[], client: FakeClient) =>
  JSON.parse((await kvctl([...argv, '-o', 'json'], { client })).out.toString());

const warningsOf = async (...told: readonly Told[]): Promise<string[]> =>
  (await jsonOf(['shard', 'info', '7'], clusterTelling(...told))).warnings;

test('shard ls marks leader, learner, damaged and unanswering replicas', async (t) => {
  const client = clusterTelling(
    aNode('n1', [aLeader({ lagEntries: 12, isQuiet: true })]),
    aNode('n2', [onNode(70_000, { role: 'learner' })]),
    'down',
  );
  const { code, out } = await kvctl(['shard', 'ls'], { client });
  t.is(code, 0);
  t.is(
    out.toString(),
    [
      'SHARD  ARC                LEADER  TERM  COMMIT  APPLIED  LAG  STATE  REPLICAS',
      '    7  00000000-ffffffff  n1         4      10       10   12  quiet  n1* n2+ n3?',
      '* leads   + learner, does not vote yet   ? its node does not answer, or has none',
      '',
    ].join('\n'),
  );
  const damaged = onNode(3, { role: 'damaged', damage: 'torn', term: 0 });
  const other = clusterTelling(aNode('n1', [aLeader()]), aNode('n2', [onNode(2)]), aNode('n3', [damaged]));
  t.regex((await kvctl(['shard', 'ls'], { client: other })).out.toString(), /active {2}n1\* n2 n3!\n.*! damaged/);
});

test('shard ls as JSON; the leader is the one of the latest term, without one the furthest replica counts', async (t) => {
  const stale = aLeader({ term: 3, commitIndex: 99 });
  const told = clusterTelling(aNode('n1', [stale]), aNode('n2', [aLeader({ term: 4 })]), aNode('n3', [onNode(3)]));
  t.like((await jsonOf(['shard', 'ls'], told)).shards[0], { shard: 7, leader: 'n2', term: 4, commitIndex: 10 });
  const lost = clusterTelling(aNode('n1', [onNode(1)]), aNode('n2', [onNode(2, { commitIndex: 8 })]), 'silent');
  t.like((await jsonOf(['shard', 'ls'], lost)).shards[0], { leader: null, commitIndex: 10, lagEntries: null });
  t.regex((await kvctl(['shard', 'ls'], { client: lost })).out.toString(), /no leader {2}n1 n2 n3\?/);
});

test('shard ls --node leaves out what is elsewhere, and an unknown node is exit code 2', async (t) => {
  t.is((await jsonOf(['shard', 'ls', '--node', 'n2'], well())).shards.length, 1);
  const { code, err } = await kvctl(['shard', 'ls', '--node', 'n9'], { client: well() });
  t.is(code, 2);
  t.regex(err, /has no node n9; it has n1, n2, n3/);
});

test('shard info lays the replicas side by side, and has nothing to say of a shard that is well', async (t) => {
  const { code, out } = await kvctl(['shard', 'info', '7'], { client: well() });
  t.is(code, 0);
  t.is(
    out.toString(),
    `shard 7, arc 00000000-ffffffff, preferred leader n1

                  n1        n2        n3
node              up        up        up
role          leader  follower  follower
replica            1         2         3
leader known      n1        n1        n1
term               4         4         4
vote              n1        n1        n1
first index        1         1         1
last index        10        10        10
persisted         10        10        10
commit            10        10        10
applied           10        10        10
quiet             no        no        no

configuration: voters n1 (1), n2 (2), n3 (3)

n1, which leads, sees
FOLLOWER  REPLICA  STATE      MATCH  NEXT  LACKS  ACTIVE
n2              2  replicate     10    11      0  yes
n3              3  replicate     10    11      0  yes
`,
  );
  t.deepEqual(await warningsOf(aNode('n1', [aLeader()]), aNode('n2', [onNode(2)]), aNode('n3', [onNode(3)])), []);
});

test('shard info asks for one shard, and goes on with nodes that do not know what is meant', async (t) => {
  const older = (shard: ShardStatus): ShardStatus => {
    const { isQuiet: _quiet, detail: _detail, ...rest } = shard;
    return rest;
  };
  const others = [aShard({ shardId: 8 as never }), aShard({ shardId: 6 as never })];
  const asked: unknown[] = [];
  const client = clusterTelling(
    aNode('n1', [older(aLeader()), ...others]),
    aNode('n2', [older(onNode(2))]),
    aNode('n3', [older(onNode(3))]),
  );
  const statusOf = client.statusOf as (id: string) => NodeStatus;
  client.statusOf = (id, shard) => {
    asked.push(shard);
    return statusOf(id);
  };
  const { code, out } = await kvctl(['shard', 'info', '7'], { client });
  t.is(code, 0);
  t.deepEqual(asked, [7, 7, 7]);
  t.regex(out.toString(), /^vote +- +- +-$/m);
  t.regex(out.toString(), /^quiet +- +- +-$/m);
  t.notRegex(out.toString(), /warning/);
});

test('nobody leads: exit code 5, and whether the voters that are there could elect anyone', async (t) => {
  const alone = onNode(1, { role: 'preCandidate', leaderNode: null });
  const client = clusterTelling(aNode('n1', [alone]), 'silent', 'down');
  t.is((await kvctl(['shard', 'info', '7'], { client })).code, 5);
  t.deepEqual(await warningsOf(aNode('n1', [alone]), 'silent', 'down'), [
    'nobody leads',
    'no majority: 1 of 3 voters there',
    'n2 does not answer',
    'n3 is down',
  ]);
  t.deepEqual(await warningsOf(aNode('n1', [alone]), aNode('n2', [onNode(2)]), 'down'), ['nobody leads', 'n3 is down']);
});

test('two leaders: of different terms the earlier one has not heard, of one term it must never be', async (t) => {
  const follower = aNode('n3', [onNode(3)]);
  const [first, second] = [aLeader({ term: 3 }), aLeader({ term: 4 })];
  t.deepEqual(await warningsOf(aNode('n1', [first]), aNode('n2', [second]), follower), [
    '2 leaders: n1 in term 3 and n2 in term 4; only the one of the latest term can commit, the other has not heard of it',
  ]);
  t.regex((await warningsOf(aNode('n1', [second]), aNode('n2', [second]), follower))[0] ?? '', /must never be/);
});

test('a joint configuration, a learner and a transfer under way are told', async (t) => {
  const nodes = { ...aDetail().nodes, 70000: nodeId('n2') };
  const fresh = replicaId(70_000);
  const joint = { voters: [1, 70_000, 3].map(replicaId), outgoing: [1, 2, 3].map(replicaId), nodes };
  const rest = [aNode('n2', [onNode(70_000, { role: 'learner' })]), aNode('n3', [onNode(3)])] as const;
  t.deepEqual(await warningsOf(aNode('n1', [aLeader({}, joint)]), ...rest), [
    'the configuration is joint: 70000 on n2 comes for 2 on n2, both majorities count',
  ]);
  const learning = { learners: [fresh], nodes, transferringTo: replicaId(3) };
  t.deepEqual(await warningsOf(aNode('n1', [aLeader({}, learning)]), ...rest), [
    'replica 70000 on n2 is a learner: it catches up and does not vote yet',
    'leadership is being handed to n3',
  ]);
});

test('what lags, is deaf, damaged or missing is told, once', async (t) => {
  const followers = [
    aFollower(2, { matchIndex: 100, isActive: false }),
    aFollower(3, { matchIndex: 0, state: 'snapshot' }),
  ];
  const leader = aLeader({ lastIndex: 5000, commitIndex: 5000, appliedIndex: 3000 }, { followers });
  t.deepEqual(await warningsOf(aNode('n1', [leader]), aNode('n2', [onNode(2, { term: 6 })]), aNode('n3', [])), [
    'n1 has 2,000 committed entries still to apply',
    'n2 is in term 6, its leader in term 4: an election is under way',
    'n3 holds no replica, or not yet',
    'n2 does not answer the leader, and lacks 4,900 entries',
    'n3 is so far behind that it is sent a snapshot',
  ]);
  const damaged = onNode(3, { role: 'damaged', damage: 'segment 3 does not read' });
  const deaf = aLeader({}, { followers: [aFollower(2, { isActive: false })] });
  t.deepEqual(await warningsOf(aNode('n1', [deaf]), 'down', aNode('n3', [damaged])), [
    'n2 is down',
    'the replica on n3 is damaged and waits to be replaced: segment 3 does not read',
  ]);
  const quiet = aLeader({ isQuiet: true }, { followers: [aFollower(2, { isActive: false })] });
  t.deepEqual(await warningsOf(aNode('n1', [quiet]), aNode('n2', [onNode(2)]), aNode('n3', [onNode(3)])), []);
});

test('an unknown shard is exit code 1 for info and for transfer-leader, before anything is asked of it', async (t) => {
  for (const argv of [
    ['shard', 'info', '99'],
    ['shard', 'transfer-leader', '99', '--to', 'n2'],
  ]) {
    const client = well();
    const { code, err } = await kvctl(argv, { client });
    t.is(code, 1);
    t.is(err, 'kvctl: WRONG_SHARD: cluster test has no shard 99\n');
    t.deepEqual(client.calls, []);
  }
});

test('shard transfer-leader says who leads and how long it took, and that it will not last', async (t) => {
  for (const argv of [
    ['shard', 'transfer-leader', '7', '--to', 'n2'],
    ['shard', 'transfer-leader', '7', 'n2'],
  ]) {
    const client = well();
    const { code, out, err } = await kvctl(argv, { client });
    t.is(code, 0, err);
    t.deepEqual(client.calls, [{ what: 'transferLeader', bucket: '7', options: { toNode: 'n2' } }]);
    t.regex(out.toString(), /^shard 7: n2 leads, after \d+ ms \(was n1\)\n$/);
    t.is(err, 'n1 is preferred for shard 7 and takes over again when it is well\n');
  }
  const again = await kvctl(['shard', 'transfer-leader', '7', '--to', 'n1'], { client: well() });
  t.is(again.out.toString(), 'shard 7: n1 leads it already\n');
  t.like(await jsonOf(['shard', 'transfer-leader', '7', '--to', 'n2'], well()), { shard: 7, leader: 'n2', from: 'n1' });
});

test('a transfer that fails ends in its exit code', async (t) => {
  for (const [name, exit] of [
    ['BUSY', 1],
    ['BAD_REQUEST', 2],
    ['NO_LEADER', 5],
    ['TIMEOUT', 6],
  ] as const) {
    const client = well();
    client.failure = new RingraftError(name, 'the reason');
    const { code, err, out } = await kvctl(['shard', 'transfer-leader', '7', '--to', 'n2'], { client });
    t.is(code, exit);
    t.is(err, `kvctl: ${name}: the reason\n`);
    t.is(out.length, 0);
  }
  const nowhere = await kvctl(['shard', 'transfer-leader', '7', '--to', 'n9'], { client: well() });
  t.is(nowhere.code, 2);
  t.regex(nowhere.err, /has no node n9/);
});

test('help has examples', async (t) => {
  for (const command of ['ls', 'info', 'transfer-leader']) {
    const { code, out } = await kvctl(['shard', command, '--help']);
    t.is(code, 0);
    t.regex(out.toString(), new RegExp(`Examples:\\n +kvctl shard ${command}`));
  }
});

/** As `clusterTelling`, n3 on its way out of shard 7. */
function leavingCluster(...told: readonly Told[]): FakeClient {
  const client = clusterTelling(...told);
  const { map, leaders } = client.clusterMap as NonNullable<typeof client.clusterMap>;
  const shards = map.shards.map((shard) => ({
    ...shard,
    replicas: shard.replicas.slice(0, 2),
    leaving: [nodeId('n3')],
  }));
  client.clusterMap = { map: { ...map, shards }, leaders };
  return client;
}

test('shard ls marks a replica that is to go, as long as its node may hold it', async (t) => {
  const [n1, n2] = [aNode('n1', [aLeader()]), aNode('n2', [onNode(2)])];
  const textOf = async (...told: readonly Told[]): Promise<string> =>
    (await kvctl(['shard', 'ls'], { client: leavingCluster(...told) })).out.toString();
  t.regex(await textOf(n1, n2, aNode('n3', [onNode(3)])), / n1\* n2 n3-\n\* leads {3}- is to go\n$/);
  t.regex(await textOf(n1, n2, 'down'), / n1\* n2 n3\?-\n/);
  t.regex(await textOf(n1, n2, aNode('n3', [])), / n1\* n2\n\* leads\n$/);
  const { out } = await kvctl(['shard', 'info', '7'], { client: leavingCluster(n1, n2, aNode('n3', [onNode(3)])) });
  t.regex(out.toString(), /^a move is under way: leaving n3$/m);
});

test('shard ls and info know the system shard where nodes tell of it', async (t) => {
  const system = { shardId: systemShardId };
  const client = clusterTelling(
    aNode('n1', [aLeader(), aLeader(system)]),
    aNode('n2', [onNode(2), onNode(2, system)]),
    aNode('n3', [onNode(3), onNode(3, system)]),
  );
  const text = (await kvctl(['shard', 'ls'], { client })).out.toString();
  t.regex(text, /^SHARD .*\n {4}0 {2}system +n1 .*\n {4}7 {2}00000000-ffffffff +n1 /);
  const json = JSON.parse((await kvctl(['shard', 'ls', '-o', 'json'], { client })).out.toString());
  t.is(json.shards.length, 1);
  t.like(json.system, { shard: 0, arc: 'system', leader: 'n1' });
  const info = await kvctl(['shard', 'info', '0'], { client });
  t.is(info.code, 0, info.err);
  t.regex(info.out.toString(), /^shard 0, arc system, preferred leader n1\n/);
  const older = clusterTelling(aNode('n1', [aLeader()]), aNode('n2', [onNode(2)]), aNode('n3', [onNode(3)]));
  t.is(JSON.parse((await kvctl(['shard', 'ls', '-o', 'json'], { client: older })).out.toString()).system, null);
});
