/**
 * Goal: a cluster of real processes grows, shrinks and replaces what it lost while a client writes, and loses nothing.
 * Method: kvd with and without --join, orders to the manager, views until they say that it is done, every key read after.
 */
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import t from 'tap';
import type { RingraftClient } from '../../src/client/index.js';
import type { ClusterView, ManagerRequest, NodeView, ShardStatus } from '../../src/wire/index.js';
import { kvdPath, runProgram, TestCluster } from '../support/cluster.js';
import { hangGuardMs } from '../support/hang-guard.js';

const shards = 8;
const buckets = ['default', 'other'];
/** More than a node's log keeps before it is trimmed: who comes later needs snapshots. */
const bulkValues = 90;
const bulkBytes = 400_000;

type Written = Map<string, string>;
const keyOf = (bucket: string, key: string): string => `${bucket} ${key}`;

async function put(client: RingraftClient, written: Written, bucket: string, key: string, value: string) {
  await client.put(bucket, key, value);
  written.set(keyOf(bucket, key), value);
}

async function load(client: RingraftClient, written: Written, count: number): Promise<void> {
  const names = Array.from({ length: count }, (_, at) => `before/${at}`);
  await Promise.all(buckets.flatMap((bucket) => names.map((name) => put(client, written, bucket, name, name))));
  for (let at = 0; at < bulkValues; at += 9) {
    const some = Array.from({ length: 9 }, (_, part) => `${(at + part) % 18}`);
    await Promise.all(some.map((key) => put(client, written, 'other', `bulk/${key}`, `${at} `.padEnd(bulkBytes, key))));
  }
}

/** Writes one key after another until told to stop. A failed write fails the test. */
function keepWriting(client: RingraftClient, written: Written): () => Promise<number> {
  let running = true;
  let count = 0;
  const writer = async (name: string): Promise<void> => {
    for (let at = 0; running; at++, count++) {
      await put(client, written, buckets[at % 2] as string, `${name}/${at}`, `${at}`);
      await sleep(2);
    }
  };
  const writers = Promise.all(['a', 'b', 'c', 'd'].map(writer));
  return async () => {
    running = false;
    await writers;
    return count;
  };
}

async function missing(client: RingraftClient, written: Written): Promise<readonly string[]> {
  const wrong: string[] = [];
  const names = [...written.keys()];
  for (let at = 0; at < names.length; at += 200) {
    await Promise.all(
      names.slice(at, at + 200).map(async (name) => {
        const [bucket = '', key = ''] = name.split(' ');
        const found = await client.get(bucket, key);
        if (found?.value.toString() !== written.get(name)) wrong.push(name);
      }),
    );
  }
  return wrong;
}

async function viewOf(client: RingraftClient): Promise<ClusterView> {
  const answer = await client.manage({ op: 'view' });
  if ('view' in answer) return answer.view;
  throw new Error(JSON.stringify(answer));
}

const isVoting = ({ role, leaderNode }: ShardStatus): boolean =>
  (role === 'leader' || role === 'follower') && leaderNode !== null;
const nodeIn = (view: ClusterView, id: string): NodeView | undefined => view.nodes.find((node) => node.id === id);
/** A quarter of the shards' replicas is six; balance leaves one more or less. */
const hasItsShare = (node: NodeView | undefined): boolean =>
  node !== undefined && node.replicas >= 5 && node.liveness === 'alive';
const isQuiet = ({ moves, waitingMoves }: ClusterView): boolean => moves.length === 0 && waitingMoves === 0;

async function untilView(
  cluster: TestCluster,
  client: RingraftClient,
  what: string,
  isWanted: (view: ClusterView) => boolean,
): Promise<ClusterView> {
  const deadline = Date.now() + 40_000;
  let view = await viewOf(client);
  for (; Date.now() < deadline; await sleep(100)) {
    view = await viewOf(client);
    if (isWanted(view)) return view;
  }
  const logs = view.nodes.map(({ id }) => cluster.logOf(id)).join('\n');
  throw new Error(`not in time: ${what}\n${JSON.stringify(view, null, 1)}\n${logs}`);
}

t.setTimeout(hangGuardMs);

t.test(
  'pitfall 40: a node joins, another is drained and stopped while clients write, and nothing is lost',
  async (t) => {
    const cluster = await TestCluster.start({ shards });
    t.teardown(() => cluster.stop());
    const client = await cluster.client(20_000);
    const written: Written = new Map();
    await load(client, written, 300);
    const order = (request: ManagerRequest) => client.manage(request, 20_000);

    const stopWriting = keepWriting(client, written);
    cluster.joinNode('n4', ['--zone', 'z4']);
    const grown = await untilView(
      cluster,
      client,
      'n4 has its share',
      (view) => isQuiet(view) && hasItsShare(nodeIn(view, 'n4')),
    );
    t.same(nodeIn(grown, 'n4')?.zone, 'z4');
    t.same(
      grown.nodes.map(({ replicas }) => replicas).reduce((sum, count) => sum + count, 0),
      3 * (shards + 1),
    );
    const status = await client.nodeStatus('n4');
    t.ok((status.counters.snapshotsInstalled ?? 0) > 0, 'the logs of the others do not go back to the beginning');

    t.match(await order({ op: 'drain', node: 'n2' }), { done: true });
    t.match(await order({ op: 'drain', node: 'n2' }), { done: true }, 'said twice');
    const drained = await untilView(
      cluster,
      client,
      'n2 is drained',
      (view) => nodeIn(view, 'n2')?.condition === 'drained',
    );
    t.match(nodeIn(drained, 'n2'), { replicas: 0, leaving: 0 });
    t.equal(await cluster.signal('n2', 'SIGTERM'), 0);
    const acknowledged = await stopWriting();
    t.ok(acknowledged > 100, `writes went on: ${acknowledged}`);
    t.same(await missing(client, written), []);

    await cluster.signal('n1', 'SIGKILL');
    t.same(await missing(client, written), [], 'n3 and n4 are a majority of every shard');
    cluster.startNode('n1');

    // What n2 gets now comes from leaders one of which is n4, which has no configuration file.
    cluster.startNode('n2');
    t.match(await order({ op: 'recommission', node: 'n2' }), { done: true });
    await untilView(cluster, client, 'n2 has its share', (view) => isQuiet(view) && hasItsShare(nodeIn(view, 'n2')));
    await untilView(cluster, client, 'all are alive', ({ nodes }) =>
      nodes.every(({ liveness }) => liveness === 'alive'),
    );
    await cluster.signal('n4', 'SIGKILL');
    t.same(await missing(client, written), [], 'and n2 with n1 and n3');
    const history = await order({ op: 'history', limit: 100 });
    const kinds = 'changes' in history ? history.changes.map(({ kind }) => kind) : [];
    t.equal(kinds.at(-1), 'founded');
    for (const kind of ['nodeJoined', 'moveBegan', 'moveDone', 'nodeChanged'] as const)
      t.ok(kinds.includes(kind), kind);
  },
);

t.test('a founding node whose data directory is gone comes back empty and is filled again under new ids', async (t) => {
  const cluster = await TestCluster.start({ shards: 4 });
  t.teardown(() => cluster.stop());
  const client = await cluster.client(20_000);
  const written: Written = new Map();
  for (const bucket of buckets) for (let at = 0; at < 100; at++) await put(client, written, bucket, `k${at}`, `${at}`);
  const data = join(cluster.directory, 'data', 'n3');
  await cluster.signal('n3', 'SIGKILL');
  rmSync(data, { recursive: true });

  const args = ['--config', cluster.configPath, '--node', 'n3', '--log-format', 'json'];
  const reshaped = await runProgram(kvdPath, [...args, '--set', 'shards=5']);
  t.equal(reshaped.code, 2, 'the cluster that is there has other shards');
  t.match(reshaped.stdout.toString(), /shards: founded with 4, the configuration says 5/);

  cluster.startNode('n3');
  const deadline = Date.now() + 30_000;
  for (;;) {
    const { shards: held } = await client.nodeStatus('n3').catch(() => ({ shards: [] }));
    if (held.length === 5 && held.every(isVoting)) {
      t.ok(
        held.every(({ replicaId }) => replicaId >= 65_536),
        'under ids that were never used',
      );
      break;
    }
    if (Date.now() > deadline) throw new Error(`n3 is not filled: ${JSON.stringify(held)}\n${cluster.logOf('n3')}`);
    await sleep(50);
  }
  t.match(cluster.logOf('n3'), 'n3 has nothing of it and begins empty');
  await cluster.signal('n1', 'SIGKILL');
  t.same(await missing(client, written), [], 'n2 and n3 are a majority');
});

t.test(
  'kvd --join asks on where there is no such cluster, says so, and stops cleanly when it is told to',
  async (t) => {
    const cluster = await TestCluster.create();
    t.teardown(() => cluster.stop());
    const node = cluster.joinNode('n4', ['--cluster', 'nowhere']);
    const deadline = Date.now() + 15_000;
    while (!node.log.join('').includes('asking on') && Date.now() < deadline) await sleep(50);
    t.match(node.log.join(''), /"cluster":"nowhere".*nobody manages the cluster.*or there is none of that name/);
    t.equal(await cluster.signal('n4', 'SIGTERM'), 0);
    t.match(node.log.join(''), '"msg":"stopped"');
  },
);

t.test('a founding node that waits for the others stops cleanly when it is told to', async (t) => {
  const cluster = await TestCluster.create();
  t.teardown(() => cluster.stop());
  const node = cluster.startNode('n1');
  const deadline = Date.now() + 15_000;
  while (!node.log.join('').includes('waiting for the other founding nodes') && Date.now() < deadline) await sleep(50);
  t.match(node.log.join(''), /waiting for the other founding nodes/);
  t.equal(await cluster.signal('n1', 'SIGTERM'), 0);
  t.ok(existsSync(join(cluster.directory, 'data', 'n1', 'identity.json')));
});

t.test('flags of --join that make no sense are usage errors, each with what is wrong', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'ringraft-'));
  t.teardown(() => rmSync(directory, { recursive: true }));
  const refused: readonly (readonly [readonly string[], RegExp])[] = [
    [['--join', '--node', 'n4'], /--join needs --cluster/],
    [['--join', '--node', 'n4', '--cluster', 'test', '--weight', 'much'], /--weight is a number above 0, not much/],
    [['--join', '--node', 'n4', '--cluster', 'test', '--weight', '0'], /--weight is a number above 0, not 0/],
    [['--join', '--node', 'n4', '--cluster', 'test', '--zone', 'A b'], /zone: lower-case letters/],
    [['--join', '--node', 'N 4', '--cluster', 'test'], /id: lower-case letters/],
    [['--join', '--cluster', 'test'], /--node is missing/],
    [['--node', 'n4', '--cluster', 'test'], /--cluster.* --join/],
    [['--node', 'n4', '--zone', 'z'], /--zone.* --join/],
  ];
  for (const [flags, said] of refused) {
    const { code, stderr } = await runProgram(kvdPath, [...flags, '--data', directory], { cwd: directory });
    t.equal(code, 2, flags.join(' '));
    t.match(stderr, said, flags.join(' '));
  }
});
