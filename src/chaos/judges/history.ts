/** A whole history judged at once, each key by what its workload is about. */
import { byKey, type Operation, type Violation, type WorkloadName } from '../operation.js';
import { judgeAnswer } from './answers.js';
import { judgeBank } from './bank.js';
import { judgeCounter } from './counter.js';
import { judgeFreshness } from './freshness.js';
import { judgeList } from './list.js';
import { judgeRegister } from './register.js';
import { judgeRetries } from './retries.js';
import { judgeSet } from './set.js';

const judges: Readonly<Record<WorkloadName, (operations: readonly Operation[]) => readonly Violation[]>> = {
  register: (operations) => judgeRegister(operations).violations,
  counter: judgeCounter,
  retry: judgeRetries,
  set: judgeSet,
  bank: judgeBank,
  list: judgeList,
  session: judgeFreshness,
  probe: judgeFreshness,
};

/** No two workloads share a key. */
export function judgeHistory(operations: readonly Operation[]): Violation[] {
  const violations = operations.flatMap(judgeAnswer);
  for (const ofKey of byKey(operations).values()) {
    const [first] = ofKey;
    if (first !== undefined) violations.push(...judges[first.workload](ofKey));
  }
  return violations;
}
