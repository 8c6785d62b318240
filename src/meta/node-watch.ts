/** What the manager needs to know of nodes; the failure detector tells. */
import type { NodeId } from '../base/index.js';
import type { Liveness, NodeFacts } from '../wire/index.js';

export type NodeSight = {
  readonly state: Liveness;
  /** How long it has been in that state, as far as this node saw. */
  readonly forMs: number;
  /** null: never. */
  readonly lastHeardAgoMs: number | null;
  readonly facts: NodeFacts | undefined;
};

export type NodeWatch = { sightOf(node: NodeId): NodeSight };
