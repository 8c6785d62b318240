/** Finds a small list of faults that still makes a seed fail the same check. */
import type { Fault, FaultKind } from './faults.js';
import type { RunResult } from './simulation.js';

/** Runs the seed with exactly these faults. */
export type Rerun = (faults: readonly Fault[]) => Promise<RunResult>;

/** Leaves out one fault after another for as long as the run fails; at most `maxRuns` runs. */
export async function minimizeFaults(failed: RunResult, rerun: Rerun, maxRuns = 60): Promise<readonly Fault[]> {
  let faults = failed.faults;
  let runs = 0;
  for (let at = 0; at < faults.length && runs < maxRuns; runs++) {
    const fewer = faults.filter((_, other) => other !== at);
    const { failure } = await rerun(fewer);
    if (failure?.check === failed.failure?.check) faults = fewer;
    else at++;
  }
  return faults;
}

/** How often each kind of fault was injected, all runs together. */
export function sumFaults(
  into: Map<FaultKind, number>,
  injected: Readonly<Record<string, number>>,
): Map<FaultKind, number> {
  for (const [kind, count] of Object.entries(injected)) {
    into.set(kind as FaultKind, (into.get(kind as FaultKind) ?? 0) + count);
  }
  return into;
}
