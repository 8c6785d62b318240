/**
 * How a workload is driven so that the system, not its client, is what is measured: short trials over each route to the
 * servers; and with a second load process where one has hardly a moment to itself. They warm the system up, too.
 */
import type { Measured, Setting } from './loaders.js';

/** Part of the time a load process has something to do, from which on another one is tried. */
export const busyLimit = 0.8;
/** A second process takes CPU from the servers: it has to be worth it. */
const leastGain = 1.03;

export type Trial = (setting: Setting) => Promise<Measured>;

export async function bestSetting(
  routes: readonly string[],
  inFlight: number,
  mostProcesses: number,
  trial: Trial,
): Promise<Setting> {
  let best: Measured | undefined;
  for (const route of routes) {
    const measured = await trial({ route, processes: 1 });
    if (best === undefined || measured.perSecond > best.perSecond) best = measured;
  }
  if (best === undefined) throw new RangeError('a client has at least one route');
  while (best.clientBusy > busyLimit && best.setting.processes < Math.min(mostProcesses, inFlight)) {
    const more = await trial({ ...best.setting, processes: best.setting.processes + 1 });
    if (more.perSecond < best.perSecond * leastGain) break;
    best = more;
  }
  return best.setting;
}
