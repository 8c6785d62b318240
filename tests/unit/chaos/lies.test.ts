/**
 * Goal: a store that keeps its promises passes a chaos run, whatever is lost on the way; one that breaks a single promise now
 * and then is found out by the workload that is about that promise. Method: whole runs on a store in memory that lies.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import type { WorkloadName } from '../../../src/chaos/index.js';
import { chaosRun } from '../../support/chaos-fixture.js';
import type { Lie } from '../../support/chaos-store.js';

const seed = Number(process.env.SEED ?? Date.now() % 100_000);

test('an honest store passes, though a host gets no answers for a while and half of its writes are done', async (t) => {
  t.log(`seed ${seed}`);
  const { result, remove } = await chaosRun({
    seed,
    during: async (run, store, clock) => {
      await clock.advance(8000);
      const fault = run.faultBegins({
        kind: 'silence',
        description: 'n1 | n2, n3',
        sides: { n1: 'minority', n2: 'majority', n3: 'majority' },
      });
      store.silent.add('n1');
      await clock.advance(6000);
      store.silent.clear();
      fault.ends();
      await clock.advance(8000);
    },
  });
  t.teardown(remove);
  t.deepEqual(result.found, []);
  t.true(result.passed);
  t.deepEqual(result.faults, { silence: 1 });
  t.true(result.operations.unknown > 20);
  t.true(result.workloads.every(({ ok, keysJudged, undecided }) => ok > 100 && keysJudged > 0 && undecided === 0));
  const { shares, failOverMs, hostsRecoveryMs } = result.unavailability.silence ?? t.fail();
  // What was on its way when the fault ended was answered.
  t.true((shares.write?.minority?.ok ?? 99) <= 3);
  t.is(shares.write?.majority?.ok, shares.write?.majority?.all);
  t.true((failOverMs?.max ?? 0) > 0 && (hostsRecoveryMs?.max ?? 0) > 0);
});

/** Who has to find it; others may as well. */
const finders: Readonly<Record<Lie, readonly WorkloadName[]>> = {
  staleRead: ['register', 'counter', 'bank', 'list', 'probe'],
  lostWrite: ['register', 'counter', 'retry', 'set', 'bank', 'list'],
  doubleApply: ['counter', 'retry', 'list'],
  forgottenRequest: ['retry'],
  failedYetDone: ['register', 'set', 'list', 'probe'],
  sessionBack: ['session', 'probe'],
  blindSwap: ['register', 'retry'],
  reordered: ['list'],
  leakingBank: ['bank'],
  forgottenKey: ['set'],
  wrongAge: ['session', 'probe'],
};

for (const [lie, workloads] of Object.entries(finders) as [Lie, readonly WorkloadName[]][]) {
  test(`a store that lies is found out: ${lie}`, async (t) => {
    t.log(`seed ${seed}`);
    const { result, store, directory, remove } = await chaosRun({ seed, lie, liePercent: 8 });
    t.teardown(remove);
    t.true(store.liesTold > 0);
    t.false(result.passed);
    const found = new Set(result.found.map(({ workload }) => workload));
    // Only the first are kept: alone, each finds it.
    for (const workload of workloads) {
      if (found.has(workload)) continue;
      const alone = await chaosRun({ seed, lie, liePercent: 8, options: { workloads: [workload] } });
      alone.remove();
      t.true(alone.result.violations > 0, `${workload} finds nothing`);
    }
    for (const { workload, what } of result.found.slice(0, 3)) t.log(`${workload}: ${what}`);
    const files = readdirSync(join(directory, 'violations'));
    t.is(files.length, 2 * result.found.length);
    const page = readFileSync(
      join(directory, 'violations', files.find((name) => name.endsWith('.html')) as string),
      'utf8',
    );
    t.regex(page, /<svg /);
  });
}
