/** Whether a cluster is well, in words. Pure. */
import type { NodeId } from '../base/index.js';
import type { ClusterMap, ClusterView, NodeView } from '../wire/index.js';
import { counted, formatAge } from './values.js';

export type Health = {
  /** Empty: it is well. */
  readonly problems: readonly string[];
  /** Shards that nobody leads, or nobody who answers. */
  readonly leaderless: readonly number[];
};

/** A drained node may be stopped. */
export const isNodeWell = ({ condition, liveness }: NodeView): boolean =>
  condition === 'drained' || (liveness === 'alive' && condition !== 'down');

function nodeProblem({ id, condition, liveness, lastHeardAgoMs }: NodeView): string {
  if (liveness === 'alive') return `${id} is ${condition} in the map, but alive`;
  const heard = lastHeardAgoMs === null ? 'never heard' : `heard ${formatAge(lastHeardAgoMs)} ago`;
  const what = { suspect: 'suspect', dead: 'dead', left: 'stopped', unknown: 'not known to the manager' }[liveness];
  return `${id} is ${what}${condition === 'down' ? ' and being replaced' : ''} (${heard})`;
}

const mostNamed = 8;

function leaderlessProblem(ids: readonly number[]): string {
  const named = ids.slice(0, mostNamed).join(', ');
  const verb = ids.length === 1 ? 'has' : 'have';
  return `${counted(ids.length, 'shard')} ${verb} no leader: ${named}${ids.length > mostNamed ? ', ...' : ''}`;
}

export function healthOf(view: ClusterView, map: ClusterMap, leaders: readonly (NodeId | null)[]): Health {
  const leaderless = map.shards.filter((_, at) => leaders[at] == null).map(({ id }): number => id);
  const problems = [
    ...view.nodes.filter((node) => !isNodeWell(node)).map(nodeProblem),
    ...(leaderless.length === 0 ? [] : [leaderlessProblem(leaderless)]),
    ...view.problems,
  ];
  return { problems, leaderless };
}
