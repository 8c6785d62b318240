/** What the nemesis does next: drawn from one seed, every kind as often as any other. */
import { assertNever, type Random, randomBetween } from '../base/index.js';
import type { FaultKind, FaultSpec } from '../faults/index.js';

export function shuffled<T>(random: Random, items: readonly T[]): T[] {
  const rest = [...items];
  const order: T[] = [];
  while (rest.length > 0) order.push(...rest.splice(randomBetween(random, 0, rest.length - 1), 1));
  return order;
}

/** Kinds in an order in which none comes again before all others have been. */
export class Deck {
  private left: FaultKind[] = [];

  constructor(
    private readonly random: Random,
    private readonly kinds: readonly FaultKind[],
  ) {}

  next(): FaultKind {
    if (this.left.length === 0) this.left = shuffled(this.random, this.kinds);
    return this.left.pop() as FaultKind;
  }
}

/** A fault of that kind, of nodes drawn at random. */
export function drawFault(random: Random, kind: FaultKind, nodes: readonly string[]): FaultSpec {
  const order = shuffled(random, nodes);
  const [node = '', other = ''] = order;
  switch (kind) {
    case 'split': {
      const size = randomBetween(random, 1, Math.floor(nodes.length / 2));
      return { kind, groups: [order.slice(0, size), order.slice(size)] };
    }
    case 'majorities-ring':
      return { kind };
    case 'one-way':
      return { kind, from: node, to: other };
    case 'flaky': {
      const delayMs = randomBetween(random, 20, 100);
      const lossShare = randomBetween(random, 5, 30) / 100;
      return { kind, nodes: [node, other], lossShare, delayMs, jitterMs: randomBetween(random, 0, delayMs) };
    }
    case 'throttle':
      return { kind, nodes: [node, other], bytesPerSecond: 1024 * randomBetween(random, 16, 128) };
    case 'reset':
      return { kind, nodes: [node, other] };
    case 'disk-slow':
      return { kind, node, delayMs: randomBetween(random, 50, 1500) };
    case 'clock-jump':
      return {
        kind,
        node,
        offsetMs: (randomBetween(random, 0, 1) === 0 ? 1 : -1) * randomBetween(random, 60_000, 3_600_000),
      };
    case 'isolate':
    case 'bridge':
    case 'slow-consumer':
    case 'kill':
    case 'pause':
    case 'broker-restart':
    case 'disk-full':
      return { kind, node };
    default:
      return assertNever(kind, 'kind of fault');
  }
}
