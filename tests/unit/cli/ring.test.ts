/** Goal: where shards lie is shown truly, a plan says what would move, and neither changes or asks more than it must. */

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import picocolors from 'picocolors';
import { nodeId, shardId } from '../../../src/base/index.js';
import { drawRing } from '../../../src/cli/ring/draw.js';
import type { Layout } from '../../../src/cli/ring/layout.js';
import { foundingMap } from '../../../src/meta/index.js';
import { initHash } from '../../../src/ring/index.js';
import { FakeClient, kvctl, type Ran } from '../../support/fake-client.js';
import { usualSettings, usualTimings } from '../../support/maps.js';
import { inDirectory } from '../../support/temporary-directory.js';

test.before(() => initHash());

const nodes = ['a', 'b', 'c'].map((zone, at) => ({ id: nodeId(`n${at + 1}`), zone, weight: 1 }));

function clusterOf(shards = 8): FakeClient {
  const client = new FakeClient();
  const map = foundingMap({
    cluster: 'test',
    shards,
    replication: 3,
    nodes,
    buckets: [],
    management: usualSettings,
    raft: usualTimings,
  });
  client.clusterMap = { map, leaders: map.shards.map(() => null) };
  return client;
}

const where = ['--cluster', 'test', '--server', 'nats://a:1', '--state-dir', '/nonexistent'];
const ring = (argv: readonly string[], client = clusterOf()): Promise<Ran> =>
  kvctl(['ring', ...argv, ...where], { client });
const jsonOf = ({ out }: Ran) => JSON.parse(out.toString());

/** A configuration on disk while the test runs. */
const withConfig = (fields: object, body: (path: string) => Promise<void>): Promise<void> =>
  inDirectory('ring', async (directory) => {
    const path = join(directory, 'cluster.config.json');
    writeFileSync(path, JSON.stringify({ cluster: 'offline', shards: 4, replication: 1, nodes, ...fields }));
    await body(path);
  });

test('ring shows for every node what it should hold and holds', async (t) => {
  const { code, out, err } = await ring([]);
  t.is(code, 0, err);
  const [first, names, ...rows] = out.toString().trimEnd().split('\n');
  t.is(first, 'cluster test: 8 shards of 3 replicas on 3 nodes in 3 zones');
  t.regex(names as string, /^NODE +ZONE +WEIGHT +VIRTUAL NODES +WANTED +HELD +REPLICAS +LEADERS$/);
  t.is(rows.length, 3);
  for (const [at, row] of rows.entries()) {
    t.regex(row, new RegExp(`^n${at + 1} +${'abc'[at]} +1 +64 +33\\.3 % +33\\.3 % +8 +[23]$`));
  }
});

test('with --shards there is a line for each, with its arc', async (t) => {
  const text = (await ring(['--shards'])).out.toString();
  t.regex(text, /\n +1 {2}00000000-1fffffff {2}n\d n\d n\d\n/);
  t.regex(text, /\n +8 {2}e0000000-ffffffff {2}n\d n\d n\d\n$/);
});

test('ring -o json has nodes and shards, whatever else is asked for', async (t) => {
  const answer = jsonOf(await ring(['-o', 'json', '--draw']));
  t.like(answer, { cluster: 'test', source: 'cluster', replication: 3 });
  t.is(answer.shards.length, 8);
  t.deepEqual(
    answer.nodes.map(({ replicas }: { replicas: number }) => replicas),
    [8, 8, 8],
  );
  t.is(
    answer.nodes.reduce((sum: number, node: { preferredLeaders: number }) => sum + node.preferredLeaders, 0),
    8,
  );
});

const colors = picocolors.createColors(false);

/** Shard i on nodes i, i + 1, ...; the first leads. */
const layout = (shards: number, nodeCount: number, replication: number): Layout => {
  const members = Array.from({ length: nodeCount }, (_, at) => ({ id: nodeId(`n${at + 1}`), zone: 'z', weight: 1 }));
  const edge = (at: number): number => Math.floor((at * 2 ** 32) / shards);
  return {
    cluster: 'test',
    source: 'cluster',
    leaving: new Map(),
    system: undefined,
    replication,
    nodes: members,
    shards: Array.from({ length: shards }, (_, at) => ({
      shardId: shardId(at + 1),
      start: edge(at),
      end: edge(at + 1),
      replicas: Array.from({ length: replication }, (_, next) => nodeId(`n${((at + next) % nodeCount) + 1}`)),
    })),
  };
};

test('the drawing tells leader, replica and neither without colour', (t) => {
  t.is(
    drawRing(layout(4, 3, 2), 24, colors),
    [
      'shard 1   2   3   4',
      'n1 z  ███ ··· ▒▒▒ ███',
      'n2 z  ▒▒▒ ███ ··· ▒▒▒',
      'n3 z  ··· ▒▒▒ ███ ···',
      '',
      '█ should lead   ▒ has a replica   · has none',
      '',
    ].join('\n'),
  );
});

test('the drawing keeps to the width, and to few lines, however many shards there are', (t) => {
  for (const shards of [1, 2, 16, 60, 64, 75, 76, 100, 256, 512, 1000, 4096]) {
    for (const columns of [50, 80, 120]) {
      const lines = drawRing(layout(shards, 5, 3), columns, colors).split('\n');
      for (const line of lines) t.true(line.length <= columns, `${shards} at ${columns}: ${line}`);
      t.true(lines.length <= 9 * 8 + 2, `${shards} shards are ${lines.length} lines`);
    }
  }
});

test('ring plan says what would move, and where', async (t) => {
  const { code, out, err } = await ring(['plan', '--add', 'n4:d']);
  t.is(code, 0, err);
  const lines = out.toString().split('\n');
  t.is(lines[1], '6 of 24 replicas would move (25.0 %; ideal is 6, ratio 1.00); bytes unknown');
  t.regex(lines[2] as string, /^NODE +ZONE +WEIGHT +NOW +GAINS +LOSES +THEN +FAIR$/);
  t.regex(out.toString(), /\nn4 +d +1 +0 +\+6 +- +6 +6\n$/);
});

test('ring plan --moves lists as many as the summary counts, and json the same', async (t) => {
  const argv = ['plan', '--add', 'n4:d', '--remove', 'n2'];
  const answer = jsonOf(await ring([...argv, '-o', 'json']));
  t.like(answer, { replicas: 24, moved: 8, ideal: 8, ratio: 1, bytes: null, replication: 3 });
  t.is(answer.moves.length, 8);
  t.deepEqual(answer.moves[0], { shardId: 1, from: 'n2', to: 'n4' });
  const text = (await ring([...argv, '--moves'])).out.toString();
  t.is(text.match(/^ +\d +n2 +n4$/gm)?.length, 8);
});

test('the weight may stand before the zone; of two numbers the second is the weight', async (t) => {
  const added = async (given: string): Promise<unknown> =>
    jsonOf(await ring(['plan', '--add', given, '-o', 'json'])).nodes.find(({ id }: { id: string }) => id === 'n4');
  t.like(await added('n4:2.5:d'), { zone: 'd', weight: 2.5 });
  t.like(await added('n4:d:2.5'), { zone: 'd', weight: 2.5 });
  t.like(await added('n4:2'), { zone: '2', weight: 1 });
  t.like(await added('n4:2:3'), { zone: '2', weight: 3 });
});

test('several nodes come and go, given apart, with = or in a list', async (t) => {
  const spread = jsonOf(await ring(['plan', '--add', 'n4:d', '--add=n5:e:2.5', '--remove', 'n1', '-o', 'json']));
  const listed = jsonOf(await ring(['plan', '--add', 'n4:d,n5:e:2.5', '--remove', 'n1', '-o', 'json']));
  t.deepEqual(spread, listed);
  const shown = spread.nodes.map(({ id, zone, weight }: { id: string; zone: string; weight: number }) => [
    id,
    zone,
    weight,
  ]);
  t.deepEqual(shown, [
    ['n2', 'b', 1],
    ['n3', 'c', 1],
    ['n4', 'd', 1],
    ['n5', 'e', 2.5],
    ['n1', 'a', 1],
  ]);
});

test('without a change, or with fewer replicas, nothing moves', async (t) => {
  t.regex((await ring(['plan'])).out.toString(), /\nnothing would move\n/);
  const fewer = (await ring(['plan', '--replication', '1', '--moves'])).out.toString();
  t.regex(fewer, /\nnothing would move, 16 dropped\n/);
  t.is(fewer.match(/\(dropped\)/g)?.length, 16);
});

test('--offline asks no cluster', async (t) => {
  await withConfig({}, async (path) => {
    const shown = await kvctl(['ring', '--offline', '-c', path]);
    t.is(shown.code, 0, shown.err);
    t.is(shown.requests.length, 0);
    t.regex(shown.out.toString(), /^cluster offline: 4 shards of 1 replica on 3 nodes in 3 zones, as configured\n/);
    const plan = await kvctl(['ring', 'plan', '--offline', '-c', path, '--remove', 'n3', '-o', 'json']);
    t.is(plan.code, 0, plan.err);
    t.is(plan.requests.length, 0);
    t.like(jsonOf(plan), { source: 'configuration', replication: 1 });
  });
});

test('an offline placement is the one nodes compute', async (t) => {
  await withConfig({ shards: 32, replication: 3 }, async (path) => {
    const shown = jsonOf(await kvctl(['ring', '--offline', '-c', path, '-o', 'json']));
    const map = foundingMap({
      cluster: 'offline',
      shards: 32,
      replication: 3,
      nodes,
      buckets: [],
      management: usualSettings,
      raft: usualTimings,
    });
    t.deepEqual(
      shown.shards.map(({ replicas }: { replicas: string[] }) => replicas),
      map.shards.map(({ replicas }) => replicas.map((replica) => replica.nodeId)),
    );
  });
});

test('what is asked wrongly ends with exit code 2 and says what is right', async (t) => {
  const cases: readonly (readonly [readonly string[], RegExp])[] = [
    [['nonsense'], /Unknown argument: nonsense/],
    [['plan', '--draw'], /Unknown argument: draw/],
    [['plan', '--add'], /add/],
    [['plan', '--add', 'n4'], /--add takes node:zone, node:zone:weight or node:weight:zone, not n4/],
    [['plan', '--add', 'n4:0:d'], /the weight is a number above 0/],
    [['plan', '--add', 'n4:d:1:2'], /--add takes node:zone/],
    [['plan', '--add', 'N4:d'], /"N4" is no node id/],
    [['plan', '--add', 'n4:D'], /"D" is no name of a zone/],
    [['plan', '--add', 'n4:d:0'], /above 0 and at most 1000, not "0"/],
    [['plan', '--add', 'n4:d:heavy'], /above 0 and at most 1000, not "heavy"/],
    [['plan', '--add', 'n4:d', '--add', 'n4:e'], /n4 is given more than once/],
    [['plan', '--add', 'n2:d', '--remove', 'n2'], /n2 is given more than once/],
    [['plan', '--add', 'n2:d'], /n2 is in the cluster already/],
    [['plan', '--remove', 'node9'], /there is no node node9\n/],
    [['plan', '--remove', 'n33'], /there is no node n33; did you mean n3\?/],
    [['plan', '--remove', 'n3'], /3 replicas need as many nodes, there would be 2/],
    [['plan', '--replication', '0'], /--replication is a whole number of at least 1/],
    [['plan', '--replication', '4'], /4 replicas need as many nodes, there would be 3/],
    [['--offline', '-c', '/nonexistent/cluster.config.json'], /cannot read the configuration/],
  ];
  for (const [argv, message] of cases) {
    const { code, err, out } = await ring(argv);
    t.is(code, 2, `kvctl ring ${argv.join(' ')}: ${err}`);
    t.regex(err, message);
    t.is(out.length, 0);
  }
});

test('no cluster is exit code 1', async (t) => {
  for (const argv of [[], ['plan', '--add', 'n4:d']]) {
    const { code, err } = await ring(argv, new FakeClient());
    t.is(code, 1);
    t.is(err, 'kvctl: UNREACHABLE: there is no cluster\n');
  }
});

test('both have help with examples, and an operand is never taken for --add', async (t) => {
  t.regex((await kvctl(['ring', '--help'])).out.toString(), /kvctl ring plan --add n4:d/);
  t.regex((await kvctl(['ring', 'plan', '--help'])).out.toString(), /--add n4:a:2 --add n5:b/);
  const client = new FakeClient();
  t.is((await kvctl(['put', '--', '--add', '--remove'], { client })).code, 0);
  t.is(client.valueOf('--add')?.toString(), '--remove');
});

test('ring tells of moves under way, and with --shards who leaves and where the system shard is', async (t) => {
  const client = clusterOf();
  const { map, leaders } = client.clusterMap as NonNullable<typeof client.clusterMap>;
  const shards = map.shards.map((shard) =>
    shard.id === 3 ? { ...shard, replicas: shard.replicas.slice(0, 2), leaving: [nodeId('n9')] } : shard,
  );
  client.clusterMap = { map: { ...map, shards }, leaders };
  const text = (await ring(['--shards'], client)).out.toString();
  t.regex(text, /\n1 shard is being moved: `kvctl shard moves`\n/);
  t.regex(text, /\nsystem {2}none +n\d n\d n\d\n/);
  t.regex(text, /\n +3 {2}40000000-5fffffff {2}n\d n\d \(leaving: n9\)\n/);
  const json = jsonOf(await ring(['-o', 'json'], client));
  t.deepEqual(
    json.shards.map(({ leaving }: { leaving: string[] }) => leaving.length),
    [0, 0, 1, 0, 0, 0, 0, 0],
  );
  t.is(json.system.length, 3);
});
