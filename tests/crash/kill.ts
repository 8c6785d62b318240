/**
 * Goal: nodes may die at any moment, alone or together, and no acknowledged write is lost, nothing seen vanishes, and the
 * replicas stay equal. Method: a real cluster under load, SIGKILL at random moments, restarts; then everything is read,
 * and the stores of the stopped nodes are compared byte for byte.
 */
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { isRingraftError, messageOf, randomBetween, seededRandom } from '../../src/base/index.js';
import type { RingraftClient } from '../../src/client/index.js';
import type { ClusterMap, NodeStatus } from '../../src/wire/index.js';
import { TestCluster } from '../support/cluster.js';
import { runToEnd, unlessStopped } from '../support/program-runner.js';
import { Load } from './load.js';
import { Nodes } from './nodes.js';
import { type Comparison, compareReplicas } from './replicas.js';
import { closing, type Outcome, progressLine } from './report.js';
import { Violations } from './violations.js';

const usage = `npm run crash -- [options]: kills nodes of a real cluster under load, checks that nothing is lost.
  --kills N      how many (100)
  --seed N       of the random choices; printed when not given
  --keep         leave the cluster's directory behind
  -o json        one closing object on standard output
`;

/** The least the configuration allows: segments are rolled and dropped all the time. */
const segmentBytes = 65_536;
const shards = 24;
const progressIntervalMs = 5000;
/** Not a demand on speed: a cluster that has not come together by then never will. */
const settleLimitMs = 120_000;
const clients = [
  { name: 'a', timeoutMs: 10_000 },
  { name: 'b', timeoutMs: 10_000 },
  // Gives up soon: outcomes stay unknown.
  { name: 'c', timeoutMs: 400 },
] as const;
const shape = { chains: 16, hotChains: 6, singleWriters: 30, readers: 6 };

type Verified = { readonly keysVerified: number; readonly comparison: Comparison };

type Options = { readonly kills: number; readonly seed: number; readonly keep: boolean; readonly json: boolean };

function optionsFrom(args: readonly string[]): Options {
  const { values } = parseArgs({
    args: [...args],
    options: {
      kills: { type: 'string', default: '100' },
      seed: { type: 'string', default: String(Date.now() % 1_000_000) },
      keep: { type: 'boolean', default: false },
      output: { type: 'string', short: 'o', default: 'table' },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  if (values.help) {
    process.stdout.write(usage);
    process.exit(0);
  }
  const [kills, seed] = [Number(values.kills), Number(values.seed)];
  if (!Number.isInteger(kills) || kills < 1) throw new RangeError(`--kills ${values.kills}: a whole number from 1 on`);
  if (!Number.isInteger(seed) || seed < 0) throw new RangeError(`--seed ${values.seed}: a whole number from 0 on`);
  if (!['table', 'json'].includes(values.output)) throw new RangeError(`-o ${values.output}: table or json`);
  return { kills, seed, keep: values.keep, json: values.output === 'json' };
}

class Run {
  private readonly random;
  private readonly violations = new Violations((text) => this.say(text));
  private readonly load: Load;
  private readonly startedMs = performance.now();

  constructor(
    private readonly options: Options,
    private readonly stop: AbortSignal,
  ) {
    this.random = seededRandom(options.seed);
    this.load = new Load(this.random, this.violations);
  }

  private say(text: string): void {
    (this.options.json ? process.stderr : process.stdout).write(`${text}\n`);
  }

  async run(): Promise<Outcome> {
    const { kills, seed, keep } = this.options;
    this.say(`seed ${seed}: ${kills} kills, 3 nodes, ${shards} shards, log segments of ${segmentBytes} bytes`);
    const cluster = await TestCluster.create({ shards, settings: { wal: { segmentBytes } } });
    const nodes = new Nodes(cluster, this.random, this.violations);
    // The nodes may have got the same signal: how they end is no finding any more.
    this.stop.addEventListener('abort', () => nodes.abandon());
    try {
      return await unlessStopped(this.stop, () => this.inCluster(cluster, nodes));
    } finally {
      nodes.abandon();
      this.say(keep ? `kept ${cluster.directory}` : 'cleaning up');
      await cluster.stop(keep);
    }
  }

  private async inCluster(cluster: TestCluster, nodes: Nodes): Promise<Outcome> {
    for (const id of cluster.nodeIds) nodes.start(id);
    await cluster.untilLed();
    const observer = await cluster.client();
    for (const { name, timeoutMs } of clients) this.load.start(await cluster.client(timeoutMs), name, shape);
    const polling = nodes.poll(observer);
    const ticker = setInterval(() => this.say(progressLine(this.sinceStartMs, nodes, this.load)), progressIntervalMs);
    try {
      await this.killAll(nodes);
      await nodes.untilRestarted();
    } finally {
      clearInterval(ticker);
      await this.load.stop();
    }
    const loadMs = this.sinceStartMs;
    const verified = { keysVerified: 0, comparison: { ranges: 0, pairs: 0 } };
    try {
      Object.assign(verified, await this.verify(cluster, nodes, observer));
    } catch (error) {
      this.violations.add(`not verified: ${messageOf(error)}`);
    }
    nodes.abandon();
    await polling;
    const { seed } = this.options;
    return { seed, loadMs, nodes, load: this.load, ...verified, violations: this.violations };
  }

  private async verify(cluster: TestCluster, nodes: Nodes, observer: RingraftClient): Promise<Verified> {
    if (nodes.refused > 0) throw new Error('a node is down');
    this.say('the last node is back; waiting for all replicas to catch up');
    const map = await this.untilSettled(observer, cluster.nodeIds);
    this.say(`reading ${this.load.keys} keys`);
    const keysVerified = await this.load.verify(observer);
    await nodes.stopAll();
    this.say('comparing the stores of the stopped nodes');
    const data = join(cluster.directory, 'data');
    return { keysVerified, comparison: await compareReplicas(data, cluster.nodeIds, map, this.violations) };
  }

  private get sinceStartMs(): number {
    return performance.now() - this.startedMs;
  }

  private async killAll(nodes: Nodes): Promise<void> {
    for (let left = this.options.kills; left > 0; left = this.options.kills - nodes.kills) {
      const choice = randomBetween(this.random, 1, 20);
      // Now and then at once: in the middle of a start or of an election.
      await sleep(choice <= 4 ? randomBetween(this.random, 0, 300) : randomBetween(this.random, 500, 4500));
      if (nodes.refused > 0 || nodes.isAbandoned) return;
      if (choice === 20) await nodes.killForLong();
      else nodes.killSome(left);
    }
  }

  /** Until every shard has a leader and every replica has applied as much as it. */
  private async untilSettled(client: RingraftClient, nodeIds: readonly string[]): Promise<ClusterMap> {
    const untilMs = performance.now() + settleLimitMs;
    let last = 'nothing was answered';
    while (performance.now() < untilMs) {
      try {
        const { map, leaders } = await client.map();
        const statuses = await Promise.all(nodeIds.map((id) => client.nodeStatus(id)));
        const behind = map.shards.filter(({ id }, at) => {
          const replicas = statuses.flatMap((status) => status.shards.filter(({ shardId }) => shardId === id));
          const [first] = replicas;
          const areEqual = replicas.every(
            ({ appliedIndex, lastIndex, damage }) =>
              damage === null && appliedIndex === first?.lastIndex && lastIndex === first.lastIndex,
          );
          return leaders[at] === null || replicas.length !== nodeIds.length || !areEqual;
        });
        if (behind.length === 0) return map;
        last = `not level: ${behind.map(({ id }) => placesOf(id, statuses)).join('; ')}`;
      } catch (error) {
        if (!isRingraftError(error)) throw error;
        last = error.message;
      }
      await sleep(200);
    }
    throw new Error(`the replicas did not come together: ${last}`);
  }
}

/** Where each replica of a shard stands, for people. */
function placesOf(id: number, statuses: readonly NodeStatus[]): string {
  const places = statuses.flatMap(({ nodeId, shards: all }) =>
    all
      .filter(({ shardId }) => shardId === id)
      .map(({ role, term, appliedIndex, commitIndex, lastIndex }) => {
        return `${nodeId} ${role} term ${term} applied ${appliedIndex} committed ${commitIndex} last ${lastIndex}`;
      }),
  );
  return `shard ${id} (${places.join(', ')})`;
}

runToEnd({
  async run(stop) {
    const options = optionsFrom(process.argv.slice(2));
    const outcome = await new Run(options, stop).run();
    process.stdout.write(closing(outcome, options.json));
    return outcome.violations.count === 0 ? 0 : 1;
  },
  // A TypeError is what parseArgs throws, and what a bug here would: with its stack they can be told apart.
  usageOf: (error) =>
    error instanceof RangeError ? messageOf(error) : error instanceof TypeError ? error.stack : undefined,
});
