/**
 * Goal: what kvd is told to suffer (`--faults`) it suffers, says so, and gets over. Method: a real cluster of three, small log
 * segments so that a full disk is felt soon, a client that goes on writing, and all that it wrote read back at the end.
 */
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import t from 'tap';
import type { RingraftClient } from '../../src/client/index.js';
import { type NodeFaults, type NodeFaultsSeen, readNodeFaultsSeen, writeNodeFaults } from '../../src/faults/index.js';
import { TestCluster } from '../support/cluster.js';
import { hangGuardMs } from '../support/hang-guard.js';

t.setTimeout(hangGuardMs);

const hourMs = 3_600_000;
const bucket = 'default';
const value = (n: number): Buffer => Buffer.from(`${n} `.padEnd(4000, 'x'));

class FaultyCluster {
  /** The newest number written under each key. */
  readonly written = new Map<string, number>();
  private numbers = 0;

  private constructor(
    readonly cluster: TestCluster,
    readonly client: RingraftClient,
  ) {}

  static async start(t: { teardown(end: () => Promise<void>): unknown }): Promise<FaultyCluster> {
    const cluster = await TestCluster.create({ shards: 4, settings: { wal: { segmentBytes: 65_536 } } });
    t.teardown(() => cluster.stop());
    for (const id of cluster.nodeIds) cluster.startNode(id, ['--faults', FaultyCluster.fileOf(cluster, id)]);
    await cluster.untilLed();
    return new FaultyCluster(cluster, await cluster.client());
  }

  static fileOf(cluster: TestCluster, id: string): string {
    return join(cluster.directory, `${id}.faults`);
  }

  async seen(id: string): Promise<NodeFaultsSeen> {
    const seen = await readNodeFaultsSeen(FaultyCluster.fileOf(this.cluster, id));
    if (seen === undefined) throw new Error(`${id} has said nothing about faults`);
    return seen;
  }

  /** Resolves when the node says that these are in force, and no others. */
  async inflict(id: string, faults: NodeFaults): Promise<void> {
    await writeNodeFaults(FaultyCluster.fileOf(this.cluster, id), faults);
    await this.untilSeen(id, ({ inForce }) => JSON.stringify(inForce) === JSON.stringify(faults));
  }

  async untilSeen(id: string, isEnough: (seen: NodeFaultsSeen) => boolean): Promise<NodeFaultsSeen> {
    return this.until(`${id} says so`, async () => {
      const seen = await this.seen(id);
      return isEnough(seen) ? seen : undefined;
    });
  }

  async until<T>(what: string, look: () => Promise<T | undefined>): Promise<T> {
    for (let tries = 0; tries < 400; tries++) {
      const found = await look();
      if (found !== undefined) return found;
      await sleep(25);
    }
    throw new Error(`not within 10 s: ${what}`);
  }

  /** Writes to every shard until told that it is enough. */
  async writeUntil(isEnough: () => Promise<boolean>): Promise<void> {
    const deadline = Date.now() + 20_000;
    do {
      const keys = Array.from({ length: 16 }, (_, at) => `key-${at}`);
      await Promise.all(keys.map((key) => this.write(key)));
    } while (!(await isEnough()) && Date.now() < deadline);
  }

  private async write(key: string): Promise<void> {
    const number = ++this.numbers;
    await this.client.put(bucket, key, value(number));
    this.written.set(key, number);
  }

  async wrong(): Promise<readonly string[]> {
    const wrong: string[] = [];
    for (const [key, number] of this.written) {
      const found = await this.client.get(bucket, key);
      if (found?.value.equals(value(number)) !== true) wrong.push(key);
    }
    return wrong;
  }

  /** How far each replica of a node has applied, and how far the best one of its shard. */
  private async lag(id: string): Promise<number> {
    const applied = new Map<string, Map<number, number>>();
    for (const node of this.cluster.nodeIds) {
      const { shards } = await this.client.nodeStatus(node);
      applied.set(node, new Map(shards.map(({ shardId: shard, appliedIndex }) => [shard, appliedIndex])));
    }
    let lag = 0;
    for (const [shard, index] of applied.get(id) ?? []) {
      for (const others of applied.values()) lag = Math.max(lag, (others.get(shard) ?? 0) - index);
    }
    return lag;
  }

  untilCaughtUp(id: string): Promise<true> {
    return this.until(`${id} has what the others have`, async () => ((await this.lag(id)) === 0 ? true : undefined));
  }

  get running(): readonly string[] {
    return this.cluster.nodeIds.filter((id) => this.cluster.pidOf(id) !== undefined);
  }
}

t.test(
  'a node whose disk is full is felt by nobody else; with room again it catches up and takes writes',
  async (t) => {
    const test = await FaultyCluster.start(t);
    const { cluster } = test;
    t.match(cluster.logOf('n3'), 'this node takes faults from a file');
    t.match(await test.seen('n3'), { pid: cluster.pidOf('n3'), inForce: {}, refusedWrites: 0, delayedWrites: 0 });
    await test.inflict('n3', { disk: { full: true } });
    await test.writeUntil(async () => (await test.seen('n3')).refusedWrites >= 3);
    t.ok((await test.seen('n3')).refusedWrites >= 3, 'it was refused new segments, again and again');
    const wal = (await test.client.nodeStatus('n3')).wal;
    t.ok(wal.isFull, 'and waits for room');
    t.strictSame(await test.wrong(), [], 'every acknowledged write is read while it lasts');
    t.strictSame(test.running, ['n1', 'n2', 'n3']);

    await test.inflict('n3', {});
    await test.untilCaughtUp('n3');
    // From here on nothing is committed without it.
    await cluster.signal('n1', 'SIGKILL');
    await test.writeUntil(async () => true);
    t.strictSame(await test.wrong(), []);
  },
);

t.test('a node whose disk is slow delays what it counts for, and writes are acknowledged', async (t) => {
  const test = await FaultyCluster.start(t);
  for (const id of test.cluster.nodeIds) await test.inflict(id, { disk: { writeDelayMs: 30 } });
  const { delayedWrites } = await test.seen('n1');
  await test.writeUntil(async () => true);
  await test.writeUntil(async () => true);
  const seen = await test.untilSeen('n1', (one) => one.delayedWrites > delayedWrites);
  t.equal(seen.refusedWrites, 0);
  t.strictSame(await test.wrong(), []);
  for (const id of test.cluster.nodeIds) await test.inflict(id, {});
  await test.writeUntil(async () => true);
  t.strictSame(await test.wrong(), []);
  t.strictSame(test.running, ['n1', 'n2', 'n3']);
});

t.test('clocks that jump an hour ahead and back end times to live early, and harm nothing else', async (t) => {
  const test = await FaultyCluster.start(t);
  const { client, cluster } = test;
  const put = (key: string, ttlMs: number): Promise<unknown> => client.put(bucket, key, value(0), { ttlMs });
  const lock = (owner: string): Promise<boolean> =>
    client.put(bucket, 'lock', Buffer.from(owner), { ifAbsent: true, ttlMs: 60_000 }).then(
      () => true,
      () => false,
    );
  await test.writeUntil(async () => true);
  await client.incr(bucket, 'counter', 1);
  // One node alone, which leads some of the shards.
  await test.inflict('n1', { clockOffsetMs: hourMs });
  await test.writeUntil(async () => true);
  t.strictSame(await test.wrong(), []);
  await test.inflict('n1', {});
  await put('short', 30 * 60_000);
  await put('long', 3 * hourMs);
  for (const id of cluster.nodeIds) await test.inflict(id, { clockOffsetMs: hourMs });
  const { wallMs } = await test.seen('n1');
  t.ok(Math.abs(wallMs - Date.now() - hourMs) < 60_000, 'it tells the time it believes in');
  await test.writeUntil(async () => true);
  t.strictSame(await test.wrong(), [], 'what has no time to live is untouched');
  t.equal(await client.get(bucket, 'short'), undefined, 'half an hour is over');
  t.ok(await client.get(bucket, 'long'), 'three hours are not');

  for (const id of cluster.nodeIds) await test.inflict(id, { clockOffsetMs: -hourMs });
  await test.writeUntil(async () => true);
  for (const id of cluster.nodeIds) await test.inflict(id, {});
  await test.writeUntil(async () => true);
  t.strictSame(await test.wrong(), []);
  t.ok(await lock('one'));
  t.notOk(await lock('two'), 'a lock that was just taken is held');
  t.equal((await client.incr(bucket, 'counter', 1)).value, 2);
  t.strictSame(test.running, ['n1', 'n2', 'n3']);
});
