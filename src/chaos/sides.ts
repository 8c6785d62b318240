/** Where a client stands while a fault is in force: beside a node that hears a majority, or beside one that does not. */
import { brokerOf, type FaultSpec, linkEffectsOf } from '../faults/index.js';
import type { Side } from './availability.js';

/**
 * Of every node, by the nodes whose brokers hear its own and are heard by it: messages go over one link, nobody passes
 * them on. With fewer replicas than nodes a shard's own majority may stand elsewhere.
 */
export function sidesOf(spec: FaultSpec, nodes: readonly string[]): Readonly<Record<string, Side>> {
  const cut = new Set(cutsOf(spec, nodes));
  const hears = (from: string, to: string): boolean => from === to || !cut.has(`${from} ${to}`);
  return Object.fromEntries(
    nodes.map((node) => {
      const heard = nodes.filter((other) => hears(node, other) && hears(other, node)).length;
      const isAway = spec.kind === 'broker-restart' && spec.node === node;
      return [node, !isAway && heard > nodes.length / 2 ? 'majority' : 'minority'];
    }),
  );
}

function cutsOf(spec: FaultSpec, nodes: readonly string[]): readonly string[] {
  switch (spec.kind) {
    case 'split':
    case 'isolate':
    case 'bridge':
    case 'majorities-ring':
    case 'one-way': {
      const names = new Map(nodes.map((node) => [brokerOf(node), node]));
      const cuts = linkEffectsOf(spec, nodes).filter(({ effect }) => effect.cut === true);
      return cuts.map(({ from, to }) => `${names.get(from)} ${names.get(to)}`);
    }
    default:
      return [];
  }
}
