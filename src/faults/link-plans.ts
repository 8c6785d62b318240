/** What a fault does to which links. */
import { bridge, flaky, isolate, majoritiesRing, oneWay, slowConsumer, split, throttle } from './plan.js';
import type { FaultSpec } from './specs.js';
import type { LinkFault } from './types.js';

/** Empty for faults that are of no link. */
export function linkEffectsOf(spec: FaultSpec, nodes: readonly string[]): LinkFault['effects'] {
  switch (spec.kind) {
    case 'split':
      return split(spec.groups).effects;
    case 'isolate':
      return isolate(nodes, spec.node).effects;
    case 'bridge':
      return bridge(nodes, spec.node).effects;
    case 'majorities-ring':
      return majoritiesRing(nodes).effects;
    case 'one-way':
      return oneWay(spec.from, spec.to).effects;
    case 'flaky':
      return flaky(...spec.nodes, spec).effects;
    case 'throttle':
      return throttle(...spec.nodes, spec.bytesPerSecond).effects;
    case 'slow-consumer':
      return slowConsumer(spec.node).effects;
    default:
      return [];
  }
}
