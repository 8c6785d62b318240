/** A run beside an earlier one: each figure then and now, and in what the two were not the same. */
import type { EarlierRun } from './earlier-run.js';
import type { BenchResult, Setting } from './result.js';

/** In percent of the earlier figure; null where that was 0. */
export type Change = { readonly earlier: number; readonly now: number; readonly percent: number | null };

export const comparedFigures = ['perSecond', 'mean', 'p50', 'p90', 'p99', 'p999', 'max', 'failed', 'unknown'] as const;
export type ComparedFigure = (typeof comparedFigures)[number];

/** null: that run had no such setting. */
export type Difference = {
  readonly setting: string;
  readonly earlier: string | number | null;
  readonly now: string | number | null;
};

export type Comparison = {
  readonly earlier: { readonly date: string; readonly version: string; readonly isInterrupted: boolean };
  readonly differences: readonly Difference[];
  readonly figures: Readonly<Record<ComparedFigure, Change>>;
};

type Compared = Pick<EarlierRun, 'perSecond' | 'failed' | 'unknown' | 'latencyMs'>;

const figureOf = (run: Compared, name: ComparedFigure): number =>
  name === 'perSecond' || name === 'failed' || name === 'unknown' ? run[name] : run.latencyMs[name];

export function changeOf(earlier: number, now: number): Change {
  return { earlier, now, percent: earlier === 0 ? null : (100 * (now - earlier)) / earlier };
}

export function comparisonOf(earlier: EarlierRun, now: BenchResult): Comparison {
  const { date, version, isInterrupted } = earlier;
  const figures = comparedFigures.map(
    (name) => [name, changeOf(figureOf(earlier, name), figureOf(now, name))] as const,
  );
  return {
    earlier: { date, version, isInterrupted },
    differences: differencesOf(earlier.setting, now.setting),
    figures: Object.fromEntries(figures) as Comparison['figures'],
  };
}

function differencesOf(earlier: Setting, now: Setting): readonly Difference[] {
  const names = [...new Set([...Object.keys(now), ...Object.keys(earlier)])];
  return names
    .filter((name) => earlier[name] !== now[name])
    .map((setting) => ({ setting, earlier: earlier[setting] ?? null, now: now[setting] ?? null }));
}
