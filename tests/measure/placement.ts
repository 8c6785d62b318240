/** What the manager of a cluster says of it, and when everything is where it should be. */
import type { RingraftClient } from '../../src/client/index.js';
import { fairShares } from '../../src/ring/index.js';
import type { ClusterMap, ClusterSettings, ClusterView, MapChange } from '../../src/wire/index.js';
import type { Violations } from '../crash/violations.js';
import { rounded } from './figures.js';
import { type MeasuredCluster, NotYet, type Survey } from './measured-cluster.js';

const manageTimeoutMs = 30_000;
const lookEveryMs = 250;
const changesPerPage = 200;
const sayEveryMs = 2000;
/** A move that takes longer is worth a word. */
const oldMoveMs = 10_000;
/** Of what a node should hold, at most. */
export const mostOverFair = 1.1;

export async function viewOf(client: RingraftClient): Promise<ClusterView> {
  const answer = await client.manage({ op: 'view' }, manageTimeoutMs);
  if ('view' in answer) return answer.view;
  throw new Error(`a view was asked for, and this came: ${JSON.stringify(answer)}`);
}

export async function setSettings(client: RingraftClient, set: Partial<ClusterSettings>): Promise<void> {
  const answer = await client.manage({ op: 'settings', set }, manageTimeoutMs);
  if (!('done' in answer)) throw new Error(`settings were not taken: ${JSON.stringify(answer)}`);
}

export async function order(client: RingraftClient, op: 'drain' | 'recommission', node: string): Promise<void> {
  const answer = await client.manage({ op, node }, manageTimeoutMs);
  if (!('done' in answer)) throw new Error(`${op} ${node} was not taken: ${JSON.stringify(answer)}`);
}

/** The changes since an epoch, the oldest first. */
export async function changesSince(client: RingraftClient, epoch: number): Promise<readonly MapChange[]> {
  const found: MapChange[] = [];
  for (let before: number | undefined; ; before = found[0]?.epoch) {
    const page = { op: 'history', limit: changesPerPage, ...(before === undefined ? {} : { before }) } as const;
    const answer = await client.manage(page, manageTimeoutMs);
    if (!('changes' in answer)) throw new Error(`no history: ${JSON.stringify(answer)}`);
    const newer = answer.changes.filter((change) => change.epoch > epoch);
    found.unshift(...[...newer].reverse());
    if (newer.length < changesPerPage) return found;
  }
}

const homesOf = (shard: ClusterMap['shards'][number]): readonly string[] => shard.replicas.map(({ nodeId }) => nodeId);

/** Replicas that were begun by the changes that follow `map`, detours included. */
export function replicasMoved(map: ClusterMap, changes: readonly MapChange[]): number {
  const homes = new Map([map.system, ...map.shards].map((shard) => [shard.id, homesOf(shard)]));
  let moved = 0;
  for (const { shards = [] } of changes) {
    for (const shard of shards) {
      const before = homes.get(shard.id) ?? [];
      moved += homesOf(shard).filter((node) => !before.includes(node)).length;
      homes.set(shard.id, homesOf(shard));
    }
  }
  return moved;
}

function courseOf({ moves, waitingMoves, problems }: ClusterView): string {
  const oldest = [...moves].sort((a, b) => b.ageMs - a.ageMs)[0];
  const parts = [`${moves.length} moves under way, ${waitingMoves} waiting`, ...problems.slice(0, 2)];
  if (oldest !== undefined && oldest.ageMs > oldMoveMs) parts.push(`the oldest: ${JSON.stringify(oldest)}`);
  return parts.join('; ');
}

/**
 * Until nothing moves or waits to be moved, all nodes that take part are alive, and `also` holds. `say` hears of it now
 * and then.
 */
export function untilPlaced(
  measured: MeasuredCluster,
  client: RingraftClient,
  also: (view: ClusterView) => boolean,
  say: (course: string) => void,
): Promise<ClusterView> {
  let saidMs = performance.now();
  const look = async (): Promise<ClusterView> => {
    const view = await viewOf(client);
    if (performance.now() - saidMs > sayEveryMs) {
      saidMs = performance.now();
      say(courseOf(view));
    }
    const isWell = view.nodes.every(({ condition, liveness }) => condition !== 'up' || liveness === 'alive');
    if (view.moves.length + view.waitingMoves > 0 || !isWell || !also(view)) throw new NotYet(courseOf(view));
    return view;
  };
  return measured.until('replicas are in place', look, lookEveryMs);
}

export type NodeLoad = {
  readonly node: string;
  /** Of shards; the system shard is nobody's choice. */
  readonly replicas: number;
  readonly fairReplicas: number;
  readonly timesFair: number;
  readonly leaders: number;
  readonly fairLeaders: number;
};

/** What the nodes that take part hold, and should hold; more than `mostOverFair` is a violation. */
export function loadsOf({ map, statuses }: Survey, violations: Violations): readonly NodeLoad[] {
  const up = map.nodes.filter(({ condition }) => condition === 'up');
  const weights = up.reduce((sum, { weight }) => sum + weight, 0);
  const shares = fairShares(up, map.shards.length, map.replication);
  return up.map(({ id, weight }, at) => {
    const status = statuses.find(({ nodeId }) => nodeId === id);
    const held = (status?.shards ?? []).filter(({ shardId }) => shardId !== map.system.id);
    const fairReplicas = shares[at] as number;
    const leaders = held.filter(({ role }) => role === 'leader').length;
    const timesFair = held.length / fairReplicas;
    // Replicas are whole; the bound of the design is, too.
    if (held.length > Math.ceil(mostOverFair * fairReplicas)) {
      violations.add(`${id} holds ${held.length} replicas, fair were ${rounded(fairReplicas)}`);
    }
    return {
      node: id,
      replicas: held.length,
      fairReplicas: rounded(fairReplicas),
      timesFair: rounded(timesFair, 2),
      leaders,
      fairLeaders: rounded((map.shards.length * weight) / weights),
    };
  });
}

export const loadsTable = (loads: readonly NodeLoad[]) => ({
  title: 'What the nodes hold',
  columns: ['NODE', 'REPLICAS', 'FAIR', 'TIMES FAIR', 'LEADERS', 'FAIR'],
  rows: loads.map((one) => [
    one.node,
    one.replicas,
    one.fairReplicas,
    one.timesFair.toFixed(2),
    one.leaders,
    one.fairLeaders,
  ]),
});

/** A counter of every node, summed. */
export const sumOf = ({ statuses }: Survey, counter: string): number =>
  statuses.reduce((sum, { counters }) => sum + (counters[counter] ?? 0), 0);
