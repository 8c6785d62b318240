/** How a crash run shows itself: a line now and then, a table or one object at the end. */
import type { Load } from './load.js';
import type { Nodes } from './nodes.js';
import type { Comparison } from './replicas.js';
import type { Violations } from './violations.js';

export type Outcome = {
  readonly seed: number;
  /** From the first start to the last acknowledged write. */
  readonly loadMs: number;
  readonly nodes: Nodes;
  readonly load: Load;
  readonly keysVerified: number;
  readonly comparison: Comparison;
  readonly violations: Violations;
};

const seconds = (ms: number): string => (ms / 1000).toFixed(1);
const grouped = (count: number): string => count.toLocaleString('en-US');

export function progressLine(sinceStartMs: number, { kills, running, sums }: Nodes, { totals }: Load): string {
  const rate = Math.round(totals.acknowledged / (sinceStartMs / 1000));
  return [
    `${seconds(sinceStartMs).padStart(7)} s`,
    `${kills} kills`,
    `${running.length} nodes up`,
    `${grouped(totals.acknowledged)} writes (${grouped(rate)}/s)`,
    `${totals.unknown} unknown`,
    `${grouped(totals.reads)} reads`,
    `${sums.snapshotsInstalled} snapshots`,
  ].join('   ');
}

function facts(outcome: Outcome): Readonly<Record<string, number>> {
  const { seed, loadMs, nodes, load, keysVerified, comparison, violations } = outcome;
  const { totals } = load;
  return {
    seed,
    kills: nodes.kills,
    twoAtOnce: nodes.together.two,
    allAtOnce: nodes.together.all,
    restarts: nodes.starts - 3,
    restartsRefused: nodes.refused,
    writesAcknowledged: totals.acknowledged,
    writesUnknown: totals.unknown,
    writesFailed: totals.failed,
    conflictsAfterUnknown: totals.conflicts,
    readsChecked: totals.reads,
    keysVerified,
    rangesCompared: comparison.ranges,
    pairsComparedPerNode: comparison.pairs,
    logTrims: nodes.sums.logTrims,
    snapshotsInstalled: nodes.sums.snapshotsInstalled,
    longestWithoutWriteMs: Math.round(load.longestGapMs),
    loadMs: Math.round(loadMs),
    violations: violations.count,
  };
}

/** `writesAcknowledged` as `writes acknowledged`. */
const label = (name: string): string =>
  name.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`).replace(/ ms$/, ', ms');

export function closing(outcome: Outcome, json: boolean): string {
  const { kept } = outcome.violations;
  const found = facts(outcome);
  if (json) return `${JSON.stringify({ ...found, found: kept })}\n`;
  const rows = Object.entries(found).map(([name, value]) => {
    return `${label(name).padEnd(28)}${(name === 'seed' ? String(value) : grouped(value)).padStart(12)}`;
  });
  return `\n${rows.join('\n')}\n`;
}
