/**
 * The cluster a program measures: starts and stops its nodes, follows their logs, and knows when it has settled.
 *
 * Invariants: 1. A node that ends without having been told to is a violation. 2. After `abandon` no node is started.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { isRingraftError, messageOf } from '../../src/base/index.js';
import type { RingraftClient } from '../../src/client/index.js';
import type { ClusterMap, NodeStatus } from '../../src/wire/index.js';
import type { Violations } from '../crash/violations.js';
import type { NodeProcess, TestCluster } from '../support/cluster.js';
import { Stopped } from '../support/program-runner.js';
import { lastLines, NodeLogs } from './node-logs.js';

/** Not a demand on speed: a cluster that has not come together by then never will. */
const settleLimitMs = 600_000;
const statusTimeoutMs = 5000;
const explainedShards = 3;

type Life = { readonly node: NodeProcess; isExpectedToEnd: boolean };

/** What every node said of itself at one moment. */
export type Survey = { readonly map: ClusterMap; readonly statuses: readonly NodeStatus[] };

export type StartedNode = {
  readonly pid: number;
  /** By `performance.now()`. */
  readonly startedMs: number;
  /** When it said that it serves; never settles when it ends before. */
  readonly servingMs: Promise<number>;
};

export class MeasuredCluster {
  readonly logs: NodeLogs;
  private readonly lives = new Map<string, Life>();
  private ids: readonly string[];
  private isAbandoned = false;

  constructor(
    readonly cluster: TestCluster,
    private readonly violations: Violations,
  ) {
    this.ids = cluster.nodeIds;
    this.logs = new NodeLogs((node, line) => {
      if (!this.isAbandoned) violations.add(`${node} logged: ${line.slice(0, 2000)}`);
    });
  }

  get isGivenUp(): boolean {
    return this.isAbandoned;
  }

  /** Those that surveys ask. */
  get nodeIds(): readonly string[] {
    return this.ids;
  }

  /** Starts a node that is in no configuration. */
  join(id: string, zone: string): StartedNode {
    this.cluster.joins(id, zone);
    this.ids = [...this.ids, id];
    return this.start(id);
  }

  /** The node is gone for good. */
  forget(id: string): void {
    this.ids = this.ids.filter((other) => other !== id);
  }

  start(id: string): StartedNode {
    if (this.isAbandoned) throw new Stopped();
    const startedMs = performance.now();
    const node = this.cluster.startNode(id);
    const life: Life = { node, isExpectedToEnd: false };
    this.lives.set(id, life);
    let say: (atMs: number) => void = () => {};
    const servingMs = new Promise<number>((resolve) => {
      say = resolve;
    });
    this.logs.follow(id, node, () => say(performance.now()));
    void node.exited.then((code) => {
      if (!life.isExpectedToEnd) this.violations.add(`${id} ended by itself (exit code ${code}):\n${lastLines(node)}`);
    });
    return { pid: node.child.pid ?? 0, startedMs, servingMs };
  }

  pidOf(id: string): number {
    return this.lives.get(id)?.node.child.pid ?? 0;
  }

  /** Does not wait for the end. */
  kill(id: string): void {
    const life = this.lives.get(id);
    if (life === undefined) throw new Error(`no such node: ${id}`);
    life.isExpectedToEnd = true;
    life.node.child.kill('SIGKILL');
  }

  async untilEnded(id: string): Promise<void> {
    await this.lives.get(id)?.node.exited;
  }

  /** SIGTERM; how long the node took to end. */
  async stopCleanly(id: string): Promise<number> {
    const life = this.lives.get(id);
    if (life === undefined) throw new Error(`no such node: ${id}`);
    life.isExpectedToEnd = true;
    const beganMs = performance.now();
    life.node.child.kill('SIGTERM');
    const code = await life.node.exited;
    // A node that was started a moment ago has no handler yet, and nothing to leave in order.
    const wasStarting = life.node.child.signalCode === 'SIGTERM';
    if (code !== 0 && !wasStarting && !this.isAbandoned)
      this.violations.add(`${id} did not stop cleanly (exit code ${code})`);
    return performance.now() - beganMs;
  }

  /** From here on, how nodes end is no finding. */
  abandon(): void {
    this.isAbandoned = true;
    for (const life of this.lives.values()) life.isExpectedToEnd = true;
  }

  /** Starts every node and connects as soon as one answers. */
  async startAll(timeoutMs: number): Promise<RingraftClient> {
    for (const id of this.nodeIds) this.start(id);
    return await this.until('a node answers', () => this.cluster.client(timeoutMs), 50);
  }

  async survey(client: RingraftClient): Promise<Survey> {
    const { map } = await client.map(statusTimeoutMs);
    return { map, statuses: await Promise.all(this.nodeIds.map((id) => client.nodeStatus(id, statusTimeoutMs))) };
  }

  /** Until every replica holds and has applied as much as its leader; there must be no writes meanwhile. */
  untilLevel(client: RingraftClient, intervalMs = 200): Promise<Survey> {
    return this.untilAll(client, 'the replicas are level', isLevel, intervalMs);
  }

  /** Level, and every shard is led where the placement wants it. */
  untilSettled(client: RingraftClient, intervalMs = 200): Promise<Survey> {
    const isSettled = (survey: Survey, at: number): boolean => isAtHome(survey, at) && isLevel(survey, at);
    return this.untilAll(client, 'leaders are at home and replicas level', isSettled, intervalMs);
  }

  untilAtHome(client: RingraftClient, intervalMs = 200): Promise<Survey> {
    return this.untilAll(client, 'leaders are at home', isAtHome, intervalMs);
  }

  private untilAll(
    client: RingraftClient,
    what: string,
    holds: (survey: Survey, at: number) => boolean,
    intervalMs: number,
  ): Promise<Survey> {
    const look = async (): Promise<Survey> => {
      const survey = await this.survey(client);
      const failing = survey.map.shards.flatMap((_, at) => (holds(survey, at) ? [] : [at]));
      if (failing.length === 0) return survey;
      const some = failing.slice(0, explainedShards).map((at) => explained(survey, at));
      throw new NotYet(`${failing.length} of ${survey.map.shards.length} shards are not: ${some.join('; ')}`);
    };
    return this.until(what, look, intervalMs);
  }

  /** Repeats `look` until it succeeds. Operating errors and `NotYet` count as not yet. */
  async until<T>(what: string, look: () => Promise<T>, intervalMs: number): Promise<T> {
    const deadlineMs = performance.now() + settleLimitMs;
    for (;;) {
      if (this.isAbandoned) throw new Stopped();
      try {
        return await look();
      } catch (error) {
        if (!isRingraftError(error) && !(error instanceof NotYet)) throw error;
        if (performance.now() > deadlineMs) {
          throw new Error(`not within ${settleLimitMs / 1000} s: ${what}: ${messageOf(error)}`);
        }
      }
      await sleep(intervalMs);
    }
  }
}

export class NotYet extends Error {}

/** The node that leads a shard when everything is in order. */
export const homeOf = ({ shards }: ClusterMap, at: number): string => shards[at]?.replicas[0]?.nodeId ?? '';

const replicasOf = ({ map, statuses }: Survey, at: number): { nodeId: string; shard: NodeStatus['shards'][number] }[] =>
  statuses.flatMap(({ nodeId, shards }) =>
    shards.filter(({ shardId }) => shardId === map.shards[at]?.id).map((shard) => ({ nodeId, shard })),
  );

function isAtHome(survey: Survey, at: number): boolean {
  const leaders = replicasOf(survey, at).filter(({ shard }) => shard.role === 'leader');
  return leaders.length === 1 && leaders[0]?.nodeId === homeOf(survey.map, at);
}

function isLevel(survey: Survey, at: number): boolean {
  const replicas = replicasOf(survey, at);
  const last = replicas[0]?.shard.lastIndex;
  return (
    replicas.length === survey.map.shards[at]?.replicas.length &&
    replicas.some(({ shard }) => shard.role === 'leader') &&
    replicas.every(({ shard }) => shard.damage === null && shard.lastIndex === last && shard.appliedIndex === last)
  );
}

function explained(survey: Survey, at: number): string {
  const places = replicasOf(survey, at).map(({ nodeId, shard }) => {
    const { role, term, appliedIndex, commitIndex, lastIndex } = shard;
    return `${nodeId} ${role} term ${term} applied ${appliedIndex} committed ${commitIndex} last ${lastIndex}`;
  });
  return `shard ${survey.map.shards[at]?.id} at home on ${homeOf(survey.map, at)} (${places.join(', ')})`;
}

/** The highest term of every shard, by position in the map. */
export const termsOf = (survey: Survey): readonly number[] =>
  survey.map.shards.map((_, at) => Math.max(0, ...replicasOf(survey, at).map(({ shard }) => shard.term)));
