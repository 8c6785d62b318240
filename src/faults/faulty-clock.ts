/** A clock whose wall time is off: what a wrong or a set clock is to a process, which feels nothing else of it. */
import type { Clock } from '../base/index.js';
import type { FaultsInForce } from './faults-in-force.js';

export const faultyClock = (clock: Clock, faults: FaultsInForce): Clock => ({
  nowMs: () => clock.nowMs(),
  wallMs: () => Math.floor(clock.wallMs() + faults.clockOffsetMs),
  after: (delayMs, action) => clock.after(delayMs, action),
  defer: (action) => clock.defer(action),
});
