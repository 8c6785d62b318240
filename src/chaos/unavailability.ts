/** Figures of many windows put together, by kind of fault. */
import type { ProbeKind, Share, Shares, Side, WindowFigures } from './availability.js';

export type Spread = { readonly median: number; readonly p99: number; readonly max: number; readonly count: number };

export type KindFigures = {
  readonly windows: number;
  readonly okOperations: number;
  readonly shares: Shares;
  /** Of the windows within which every shard took writes again. */
  readonly failOverMs: Spread | null;
  /** Windows that ended before that. */
  readonly notFailedOver: number;
  readonly recoveryMs: Spread | null;
  readonly hostsRecoveryMs: Spread | null;
  /** Windows after which some shard or host never came back. */
  readonly notRecovered: number;
  readonly longestShardMs: Spread | null;
  readonly longestMs: Spread | null;
};

export function unavailabilityByKind(windows: readonly WindowFigures[]): Record<string, KindFigures> {
  const kinds = new Map<string, WindowFigures[]>();
  for (const window of windows) {
    const same = kinds.get(window.fault.kind) ?? [];
    kinds.set(window.fault.kind, same);
    same.push(window);
  }
  return Object.fromEntries([...kinds].map(([kind, same]) => [kind, figuresOf(same)]));
}

function figuresOf(windows: readonly WindowFigures[]): KindFigures {
  const spreadOf = (figure: (window: WindowFigures) => number | null): Spread | null => spread(windows.map(figure));
  return {
    windows: windows.length,
    okOperations: windows.reduce((sum, { okOperations }) => sum + okOperations, 0),
    shares: sum(windows.map(({ shares }) => shares)),
    failOverMs: spreadOf(({ failOverMs }) => failOverMs),
    notFailedOver: windows.filter(({ failOverMs }) => failOverMs === null).length,
    recoveryMs: spreadOf(({ recoveryMs }) => recoveryMs),
    hostsRecoveryMs: spreadOf(({ hostsRecoveryMs }) => hostsRecoveryMs),
    notRecovered: windows.filter(({ recoveryMs, hostsRecoveryMs }) => recoveryMs === null || hostsRecoveryMs === null)
      .length,
    longestShardMs: spreadOf(({ longestShardMs }) => longestShardMs),
    longestMs: spreadOf(({ longestMs }) => longestMs),
  };
}

/** In whole milliseconds; null: there are none. */
export function spread(figures: readonly (number | null)[]): Spread | null {
  const known = figures.filter((figure) => figure !== null).sort((a, b) => a - b);
  if (known.length === 0) return null;
  const at = (share: number): number => Math.round(known[Math.ceil(known.length * share) - 1] as number);
  return { median: at(0.5), p99: at(0.99), max: at(1), count: known.length };
}

function sum(all: readonly Shares[]): Shares {
  const whole: Partial<Record<ProbeKind, Partial<Record<Side, Share>>>> = {};
  for (const shares of all) {
    for (const [kind, bySide] of Object.entries(shares) as [ProbeKind, Partial<Record<Side, Share>>][]) {
      for (const [side, share] of Object.entries(bySide) as [Side, Share][]) {
        whole[kind] ??= {};
        const so = whole[kind][side] ?? { ok: 0, all: 0 };
        whole[kind][side] = { ok: so.ok + share.ok, all: so.all + share.all };
      }
    }
  }
  return whole;
}

/** A window in which next to nothing was answered proves next to nothing. */
export type Vacuous = {
  readonly kind: string;
  readonly description: string;
  readonly ok: number;
  readonly least: number;
};

export const vacuousWindows = (
  windows: readonly WindowFigures[],
  leastOk: (kind: string) => number,
): readonly Vacuous[] =>
  windows
    .map(({ fault: { kind, description }, okOperations: ok }) => ({ kind, description, ok, least: leastOk(kind) }))
    .filter(({ ok, least }) => ok < least);
