import type { Scenario } from './scenario.js';
import type { SimNode } from './sim-node.js';

/** Whether the node has applied all that the leader of the story's shard has in its log. */
export const hasCaughtUp = (s: Scenario, node: SimNode): boolean => {
  const leader = s.leaderOf(s.shard);
  const raft = s.groupOf(node, s.shard)?.raft;
  return leader !== undefined && raft?.appliedIndex === s.group(leader, s.shard).raft.lastIndex;
};

/** How long that takes, in milliseconds. */
export const untilCaughtUp = (s: Scenario, node: SimNode, maxMs = 20_000): Promise<number> =>
  s.until(() => hasCaughtUp(s, node), maxMs, `${node.id} catches up`);
