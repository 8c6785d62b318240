/**
 * What goes wrong in a run: a list of faults, drawn from the seed, each with its time and duration. The list is data, so
 * that a failing run can be repeated with fewer of them.
 */
import type { World } from './world.js';

export const faultKinds = [
  'loss',
  'duplication',
  'delay',
  'reorder',
  'partition',
  'one-way',
  'link',
  'bridge',
  'disconnect',
  'kill',
  'leader-crash',
  'power-loss',
  'power-loss-all',
  'bit-flip',
  'slow-disk',
  'hung-disk',
  'full-disk',
  'disk-error',
  'clock-drift',
  'clock-jump',
  'pause',
  'transfer',
  'membership',
] as const;
/** What happens to a cluster that manages itself: orders of its administrator, and what they are there for. */
export const clusterKinds = [
  'join',
  'drain',
  'recommission',
  'decommission',
  'move',
  'cancel-move',
  'set-moves',
  'restart',
  'die',
  'lose-disk',
] as const;
export type FaultKind = (typeof faultKinds)[number] | (typeof clusterKinds)[number];

export type Fault = {
  readonly kind: FaultKind;
  readonly atMs: number;
  readonly forMs: number;
  /** Which nodes, by position; what each kind makes of it stands in `injection.ts`. */
  readonly nodes: readonly number[];
  /** Whether a leader of that moment comes first instead. */
  readonly atLeader: boolean;
  /** Drawn for the kind to use as it likes, of [0, 1). */
  readonly strength: number;
};

/** How often each kind is drawn. */
const weights: Readonly<Record<FaultKind, number>> = {
  loss: 3,
  duplication: 2,
  delay: 3,
  reorder: 2,
  partition: 5,
  'one-way': 4,
  link: 4,
  bridge: 4,
  disconnect: 2,
  kill: 6,
  'leader-crash': 4,
  'power-loss': 6,
  'power-loss-all': 2,
  'bit-flip': 3,
  'slow-disk': 3,
  'hung-disk': 3,
  'full-disk': 2,
  'disk-error': 2,
  'clock-drift': 2,
  'clock-jump': 2,
  pause: 4,
  transfer: 5,
  membership: 5,
  join: 4,
  drain: 3,
  recommission: 2,
  decommission: 3,
  move: 5,
  'cancel-move': 3,
  'set-moves': 1,
  restart: 3,
  die: 3,
  'lose-disk': 2,
};

export type FaultPlan = {
  /** Faults begin within this time. */
  readonly untilMs: number;
  readonly most: number;
  readonly nodes: number;
  readonly kinds: readonly FaultKind[];
};

/** What shows only after an election or several. */
const isLong = (kind: FaultKind): boolean => kind === 'bridge' || kind === 'leader-crash';

/** Draws the faults of a run. */
export function drawFaults(world: World, { untilMs, most, nodes, kinds }: FaultPlan): readonly Fault[] {
  const pool = kinds.flatMap((kind) => Array<FaultKind>(weights[kind]).fill(kind));
  if (pool.length === 0) return [];
  const count = world.between(1, most);
  const faults: Fault[] = [];
  let previousMs = 0;
  for (let i = 0; i < count; i++) {
    // Troubles come together as often as alone.
    const isNear = i > 0 && world.chance(0.5);
    const atMs = isNear ? Math.min(untilMs, previousMs + world.between(0, 400)) : world.between(200, untilMs);
    previousMs = atMs;

    const order = Array.from({ length: nodes }, (_, at) => at);
    for (let at = nodes - 1; at > 0; at--) {
      const other = world.between(0, at);
      [order[at], order[other]] = [order[other] as number, order[at] as number];
    }
    const kind = world.pick(pool);
    faults.push({
      kind,
      atMs,
      forMs: isLong(kind)
        ? world.between(1000, 3000)
        : world.pick([world.between(5, 150), world.between(100, 800), world.between(500, 2500)]),
      nodes: order,
      atLeader: world.chance(0.5),
      strength: world.fraction(),
    });
  }
  return faults.sort((a, b) => a.atMs - b.atMs);
}

export const describeFault = ({ kind, atMs, forMs, nodes }: Fault): string =>
  `${kind} at ${atMs} ms for ${forMs} ms (n${nodes.map((at) => at + 1).join(', n')})`;
