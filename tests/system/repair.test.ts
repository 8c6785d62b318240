/**
 * Goal: a node with a damaged log starts, and its replicas are rebuilt from their leaders under new ids, with no
 * acknowledged write lost. Method: real nodes are killed, bytes of their logs flipped or removed, and afterwards another
 * node is killed, so that every read needs what was rebuilt.
 */
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import t from 'tap';
import { isRingraftError } from '../../src/base/index.js';
import type { RingraftClient } from '../../src/client/index.js';
import type { NodeStatus, ShardStatus } from '../../src/wire/index.js';
import { TestCluster } from '../support/cluster.js';
import { hangGuardMs } from '../support/hang-guard.js';
import { missingKeys } from '../support/missing-keys.js';

const shards = 4;
/** The smallest segments there may be, so that a few thousand keys fill many. */
const settings = { wal: { segmentBytes: 65_536 } };
const filler = 'x'.repeat(160);

type Written = Map<string, string>;

async function load(client: RingraftClient, written: Written, prefix: string, count: number): Promise<void> {
  const pairs = Array.from({ length: count }, (_, at) => [`${prefix}${at}`, `${prefix}${at} ${filler}`] as const);
  for (let from = 0; from < count; from += 500) {
    const some = pairs.slice(from, from + 500);
    for (const [at, settled] of (await client.putMany('default', some)).entries()) {
      const [key, value] = some[at] as (typeof some)[number];
      if (!settled.ok) throw settled.error;
      written.set(key, value);
    }
  }
}

/** Writes one key after another until told to stop; the acknowledged ones are added to `written`. */
function keepWriting(client: RingraftClient, written: Written, prefix: string): () => Promise<number> {
  let running = true;
  let acknowledged = 0;
  const writer = async (name: string): Promise<void> => {
    for (let at = 0; running; at++) {
      const key = `${name}/${at}`;
      await client.put('default', key, key);
      written.set(key, key);
      acknowledged++;
    }
  };
  const writers = Promise.all([1, 2, 3, 4].map((at) => writer(`${prefix}${at}`)));
  return async () => {
    running = false;
    await writers;
    return acknowledged;
  };
}

/** Asks until the status is as wanted. */
async function untilStatus(
  cluster: TestCluster,
  client: RingraftClient,
  node: string,
  isWanted: (status: NodeStatus) => boolean,
): Promise<NodeStatus> {
  const deadline = Date.now() + 30_000;
  let last: NodeStatus | undefined;
  while (Date.now() < deadline) {
    try {
      last = await client.nodeStatus(node, 2000);
      if (isWanted(last)) return last;
    } catch (error) {
      if (!isRingraftError(error)) throw error;
    }
    await sleep(25);
  }
  throw new Error(`${node} did not get there: ${JSON.stringify(last?.shards, null, 1)}\n${cluster.logOf(node)}`);
}

const isVoting = ({ role, leaderNode }: ShardStatus): boolean =>
  (role === 'leader' || role === 'follower') && leaderNode !== null;

/** Every replica, that of the system shard included, votes, knows a leader, and has none of these ids. */
const areRebuilt =
  (old: ReadonlySet<number>) =>
  (status: NodeStatus): boolean =>
    status.shards.length === shards + 1 && status.shards.every((shard) => isVoting(shard) && !old.has(shard.replicaId));

const replicaIds = ({ shards }: NodeStatus): Set<number> => new Set(shards.map(({ replicaId }) => replicaId));

const logOf = (cluster: TestCluster, node: string): string => join(cluster.directory, 'data', node, 'log');

/** Flips one bit in a batch in the middle of the log; the name of the segment it is in. */
function damageTheMiddle(directory: string): string {
  const segments = readdirSync(directory)
    .filter((name) => name.endsWith('.log'))
    .sort()
    .map((name) => ({ name, bytes: readFileSync(join(directory, name)) }))
    .filter(({ bytes }) => bytes.includes('BTCH'));
  const middle = segments[Math.floor(segments.length / 2)];
  if (middle === undefined || segments.length < 4) throw new Error(`only ${segments.length} segments with batches`);
  const last = middle.bytes.lastIndexOf('BTCH');
  const at = middle.bytes.indexOf('BTCH') + Math.floor(last / 2);
  middle.bytes[at] = (middle.bytes[at] as number) ^ 0x10;
  writeFileSync(join(directory, middle.name), middle.bytes);
  return middle.name;
}

t.setTimeout(hangGuardMs);

t.test('a node with a bit flipped in the middle of its log is rebuilt while writes go on', async (t) => {
  const cluster = await TestCluster.start({ shards, settings });
  t.teardown(() => cluster.stop());
  const client = await cluster.client(20_000);
  const written: Written = new Map();
  await load(client, written, 'before/', 3000);
  const old = replicaIds(await client.nodeStatus('n3'));
  await cluster.signal('n3', 'SIGKILL');
  const segment = damageTheMiddle(logOf(cluster, 'n3'));

  const stopWriting = keepWriting(client, written, 'meanwhile/');
  cluster.startNode('n3');
  const status = await untilStatus(cluster, client, 'n3', areRebuilt(old));
  const acknowledged = await stopWriting();
  t.ok(acknowledged > 0, `writes went on meanwhile: ${acknowledged}`);
  t.match(cluster.logOf('n3'), 'a replica cannot go on and will be rebuilt from its leader');
  t.match(cluster.logOf('n3'), `${segment} does not read`, 'the log names the file');
  t.equal(status.counters.replicasRebuilt, shards + 1, 'that of the system shard as well');
  const kept = readdirSync(logOf(cluster, 'n3'));
  t.ok(kept.includes(segment) || kept.includes(`${segment}.damaged`), 'the damaged file is kept for people');
  t.same(await missingKeys(client, written), [], 'nothing acknowledged is lost');

  await cluster.signal('n1', 'SIGKILL');
  await load(client, written, 'without n1/', 300);
  t.same(await missingKeys(client, written), [], 'n2 and the rebuilt n3 are a majority');
  cluster.startNode('n1');

  await cluster.signal('n3', 'SIGKILL');
  cluster.startNode('n3');
  const again = await untilStatus(cluster, client, 'n3', ({ shards: all }) => all.every(isVoting));
  t.same(replicaIds(again), replicaIds(status), 'the next start finds the new replicas, undamaged');
  await untilStatus(cluster, client, 'n1', ({ shards: all }) => all.every(isVoting));
  await cluster.signal('n2', 'SIGKILL');
  await load(client, written, 'without n2/', 300);
  t.same(await missingKeys(client, written), [], 'n1 and n3, started once more, are a majority');
});

t.test(
  'a node whose log or state is gone is rebuilt once there is a majority; so is a replica that is named',
  async (t) => {
    const cluster = await TestCluster.start({ shards, settings });
    t.teardown(() => cluster.stop());
    const client = await cluster.client(20_000);
    const written: Written = new Map();
    await load(client, written, 'before/', 2000);
    const old = replicaIds(await client.nodeStatus('n3'));
    // With one healthy replica a shard nothing can be repaired: the damage is there to be looked at.
    // Stopped in good order: what was applied in the last seconds is in memory and in the log alone otherwise.
    await cluster.signal('n3', 'SIGTERM');
    await cluster.signal('n2', 'SIGKILL');
    rmSync(logOf(cluster, 'n3'), { recursive: true });
    cluster.startNode('n3');
    const damaged = await untilStatus(cluster, client, 'n3', ({ shards: all }) => all.length === shards + 1);
    for (const shard of damaged.shards) {
      t.match(shard, { role: 'damaged', damage: 'there is state and no log' }, `shard ${shard.shardId}`);
    }
    const shown = await cluster.kvctl(['status', '-o', 'json']);
    t.equal(shown.code, 1, 'kvctl status: not well');
    const { nodes } = JSON.parse(shown.stdout.toString());
    t.match(nodes[2], {
      id: 'n3',
      damaged: damaged.shards.map(({ shardId, damage }) => ({ shardId, reason: damage })),
    });

    cluster.startNode('n2');
    const rebuilt = await untilStatus(cluster, client, 'n3', areRebuilt(old));
    t.same(await missingKeys(client, written), [], 'nothing acknowledged is lost');

    const before = new Map(rebuilt.shards.map(({ shardId, replicaId }) => [Number(shardId), replicaId]));
    const asked = await cluster.kvctl(['-t', '30s', 'shard', 'rebuild', '2', '--node', 'n3', '--wait']);
    t.equal(asked.code, 0, asked.stderr);
    const after = await client.nodeStatus('n3');
    for (const shard of after.shards) {
      t.ok(isVoting(shard), `shard ${shard.shardId} votes`);
      if (shard.shardId === 2) t.not(shard.replicaId, before.get(2), 'under a new id');
      else t.equal(shard.replicaId, before.get(shard.shardId), 'the others were left alone');
    }
    t.equal((await cluster.kvctl(['shard', 'rebuild', '99', '--node', 'n3'])).code, 1, 'there is no shard 99');
    await untilStatus(cluster, client, 'n2', ({ shards: all }) => all.every(isVoting));
    await cluster.signal('n1', 'SIGKILL');
    await load(client, written, 'without n1/', 300);
    t.same(await missingKeys(client, written), [], 'n2 and the rebuilt n3 are a majority');
    cluster.startNode('n1');
    await untilStatus(cluster, client, 'n1', ({ shards: all }) => all.every(isVoting));

    await cluster.signal('n3', 'SIGKILL');
    rmSync(join(cluster.directory, 'data', 'n3', 'state'), { recursive: true });
    cluster.startNode('n3');
    const replayed = await untilStatus(cluster, client, 'n3', ({ shards: all }) => all.every(isVoting));
    t.same(replicaIds(replayed), replicaIds(after), 'a log that holds everything makes the state anew');
    await cluster.signal('n1', 'SIGKILL');
    t.same(await missingKeys(client, written), [], 'and once more, its state gone and its log there');
  },
);
