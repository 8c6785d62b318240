/**
 * Goal: the checker agrees with the definition of linearizability on any history, accepts all that a correct store can
 * produce, and takes nothing out of a history that its verdict needs. Method: fast-check, which prints the seed of a
 * failure; a real register as the source of good histories, and brute force as the oracle.
 */
import test from 'ava';
import fc from 'fast-check';
import { seededRandom } from '../../../src/base/index.js';
import { checkHistory, type OperationRecord, registerModel } from '../../../src/checker/index.js';
import { Observers, withoutUnseen } from '../../../src/checker/removal.js';
import { search } from '../../../src/checker/search.js';
import { failingWindow } from '../../../src/checker/windows.js';
import { anyHistory, isLinearizableByBruteForce, recordedHistory } from '../../support/histories.js';

/** The register, without knowledge of what operations touch. */
const { footprint: _, ...plain } = registerModel;

const seed = fc.integer({ min: 0, max: 0xffff_ffff });

const recorded = fc
  .record({
    random: seed.map(seededRandom),
    operations: fc.integer({ min: 1, max: 80 }),
    clients: fc.integer({ min: 1, max: 8 }),
    keys: fc.integer({ min: 1, max: 3 }),
    unknownEvery: fc.constantFrom(0, 4, 12),
  })
  .chain((workload) =>
    // Few values make many orders possible; a value for each write makes exactly one reader's story right.
    fc.constantFrom({}, { values: 3 }).map((values) => recordedHistory({ ...workload, ...values })),
  );

test('what a register did is accepted', (t) => {
  const accepts = (history: OperationRecord[]) => checkHistory(history).ok === true;
  t.notThrows(() => fc.assert(fc.property(recorded, accepts), { numRuns: 2000 }));
});

test('the verdict is that of brute force, with and without knowledge of what operations touch', (t) => {
  const verdicts = { good: 0, bad: 0 };
  const agrees = (history: OperationRecord[]) => {
    const isGood = isLinearizableByBruteForce(history);
    verdicts[isGood ? 'good' : 'bad']++;
    return checkHistory(history).ok === isGood && checkHistory(history, { model: plain }).ok === isGood;
  };
  t.notThrows(() => fc.assert(fc.property(anyHistory(6), agrees), { numRuns: 6000 }));
  t.true(verdicts.good > 1000 && verdicts.bad > 1000, JSON.stringify(verdicts));
});

test('the verdict is the same with and without knowledge of what operations touch, on histories of 14', (t) => {
  const agrees = (history: OperationRecord[]) =>
    checkHistory(history).ok === checkHistory(history, { model: plain }).ok;
  t.notThrows(() => fc.assert(fc.property(anyHistory(14), agrees), { numRuns: 4000 }));
});

test('a read of a value that was overwritten before it began is rejected', (t) => {
  let mutated = 0;
  const rejects = (from: number) => {
    const random = seededRandom(from);
    const history = recordedHistory({ random, operations: 60, clients: 4, unknownEvery: 10 });
    const mutant = withStaleRead(history, random.nextU32());
    if (mutant === undefined) return true;
    mutated++;
    return checkHistory(mutant).ok === false;
  };
  t.notThrows(() => fc.assert(fc.property(seed, rejects), { numRuns: 1000 }));
  t.true(mutated > 800, `${mutated}`);
});

test('what is reported of a failure fails too, and is a part of the history', (t) => {
  let failures = 0;
  const isWitness = (history: OperationRecord[]) => {
    const result = checkHistory(history);
    if (result.ok !== false) return true;
    failures++;
    const { operations, longestPrefix } = result;
    const isPart = [...operations, ...longestPrefix].every((each) => history.includes(each));
    return isPart && !isLinearizableByBruteForce(operations) && longestPrefix.length <= operations.length;
  };
  t.notThrows(() => fc.assert(fc.property(anyHistory(6), isWitness), { numRuns: 2000 }));
  t.true(failures > 500, `${failures}`);
});

test('removing operations with all that may have met them keeps a good history good', (t) => {
  const { footprint } = registerModel;
  if (footprint === undefined) return t.fail();
  const keepsGood = (history: OperationRecord[], picks: number[]) => {
    if (!isLinearizableByBruteForce(history)) return true;
    const seeds = picks.filter((at) => at < history.length);
    const gone = new Observers(history, registerModel, footprint).closure(seeds);
    return isLinearizableByBruteForce(history.filter((_, at) => !gone.has(at)));
  };
  const picks = fc.array(fc.nat(5), { minLength: 1, maxLength: 2 });
  t.notThrows(() => fc.assert(fc.property(anyHistory(6), picks, keepsGood), { numRuns: 6000 }));
});

test('a window that fails fails because the whole does', (t) => {
  let failures = 0;
  const isFair = (history: OperationRecord[]) => {
    if (failingWindow(history, registerModel) === undefined) return true;
    failures++;
    return checkHistory(history, { model: plain }).ok === false;
  };
  t.notThrows(() => fc.assert(fc.property(anyHistory(24), isFair), { numRuns: 3000 }));
  t.true(failures > 500, `${failures}`);
});

test('no window of what a register did fails', (t) => {
  const isFair = (history: OperationRecord[]) =>
    failingWindow(
      history.filter(({ key }) => key === 'k0'),
      registerModel,
    ) === undefined;
  t.notThrows(() => fc.assert(fc.property(recorded, isFair), { numRuns: 2000 }));
});

test('unknown writes that nobody can have met make no difference', (t) => {
  let removed = 0;
  const isSame = (history: OperationRecord[]) => {
    const seen = withoutUnseen(history, registerModel);
    removed += history.length - seen.length;
    return isLinearizableByBruteForce(history) === isLinearizableByBruteForce(seen);
  };
  t.notThrows(() => fc.assert(fc.property(anyHistory(6), isSame), { numRuns: 3000 }));
  t.true(removed > 300, `${removed}`);
});

test('the order found is one that respects time and the register', (t) => {
  const isOrder = (history: OperationRecord[]) => {
    const { verdict, longest } = search(history, registerModel, 100_000);
    // One after the other, in the order found, these have no other order.
    const inTurn = longest.map((each, at) =>
      each.output.kind === 'unknown'
        ? { ...each, invoked: 2 * at, completed: 2 * at + 1, output: { kind: 'ok' } as const }
        : { ...each, invoked: 2 * at, completed: 2 * at + 1 },
    );
    const respectsTime = longest.every((first, at) =>
      longest.slice(at + 1).every((second) => second.completed >= first.invoked),
    );
    const completed = history.filter(({ output }) => output.kind !== 'unknown');
    const isWhole = completed.every((each) => longest.includes(each)) || verdict === 'impossible';
    return respectsTime && isWhole && isLinearizableByBruteForce(inTurn);
  };
  t.notThrows(() => fc.assert(fc.property(anyHistory(6), isOrder), { numRuns: 2000 }));
});

/**
 * A read made to answer a value that some write, completed before the read began, had certainly overwritten: that write
 * began after the value's only writer had returned. Every value is written once here. Undefined when there is none.
 */
function withStaleRead(history: readonly OperationRecord[], pick: number): OperationRecord[] | undefined {
  const writes = history.filter(({ input, output }) => {
    return output.kind === 'ok' && (input.op === 'put' || input.op === 'cas');
  });
  const candidates = history.flatMap((reader) => {
    if (reader.input.op !== 'get') return [];
    const before = writes.filter(({ completed }) => completed < reader.invoked);
    const stale = before.filter((write) => before.some(({ invoked }) => invoked > write.completed));
    return stale.map(({ input }) => ({ reader, value: 'value' in input ? input.value : '' }));
  });
  const chosen = candidates[pick % Math.max(1, candidates.length)];
  if (chosen === undefined) return undefined;
  const output = { kind: 'ok', value: chosen.value } as const;
  return history.map((each) => (each === chosen.reader ? { ...each, output } : each));
}
