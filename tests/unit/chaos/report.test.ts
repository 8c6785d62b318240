/**
 * Goal: a run passes only when what was done was verified, the closing line holds what it must, and the record on disk gives
 * the same verdict and the same figures again. Method: results by hand; whole runs on a store in memory.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import {
  availabilityOf,
  closingLine,
  judgeHistory,
  type ResultParts,
  readHistoryFile,
  resultOf,
  summaryOf,
  unavailabilityByKind,
  type WorkloadReport,
} from '../../../src/chaos/index.js';
import { chaosRun } from '../../support/chaos-fixture.js';
import { operationsOf } from '../../support/chaos-operations.js';
import { inDirectory } from '../../support/temporary-directory.js';

const aReport = (fields: Partial<WorkloadReport> = {}): WorkloadReport => ({
  workload: 'set',
  ok: 10,
  failed: 1,
  unknown: 2,
  keysJudged: 5,
  operationsJudged: 13,
  keysReadAgain: 5,
  undecided: 0,
  unanswered: [],
  ...fields,
});
const { put } = operationsOf('set');
const windows = availabilityOf(
  [{ kind: 'kill', description: 'SIGKILL of n1', sides: {}, fromMs: 0, toMs: 10 }],
  [put('n2', 1, 2, 'v'), put('n2', 11, 12, 'v')],
  [1],
  ['n2'],
);
const parts = (fields: Partial<ResultParts> = {}): ResultParts => ({
  seed: 7,
  durationMs: 12_345.6,
  operations: { ok: 10, failed: 1, unknown: 2 },
  violationCount: 0,
  found: [],
  windows,
  workloads: [aReport()],
  leastOk: () => 1,
  ...fields,
});

test('a run passes only when nothing was violated and all of it was verified', (t) => {
  t.true(resultOf(parts()).passed);
  const violation = { workload: 'set', key: 'k', what: 'The element k is not there.', operations: [] } as const;
  for (const fields of [
    { violationCount: 1, found: [{ violation, page: '/x/01-set.html' }] },
    { leastOk: () => 2 },
    { workloads: [aReport({ unanswered: ['set: read of k'] })] },
    { workloads: [aReport({ undecided: 1 })] },
    { workloads: [aReport(), aReport({ workload: 'bank', keysJudged: 0 })] },
  ]) {
    const result = resultOf(parts(fields));
    t.false(result.passed);
    t.regex(summaryOf(result), /Chaos FAILED/);
  }
});

test('the closing line is one line of JSON with violations, faults, operations and unavailability', (t) => {
  const line = closingLine(resultOf(parts()));
  t.notRegex(line, /\n/);
  const closing = JSON.parse(line);
  t.deepEqual(Object.keys(closing), ['violations', 'faults', 'operations', 'unavailability']);
  t.deepEqual(closing.faults, { kill: 1 });
  t.deepEqual(closing.operations, { ok: 10, failed: 1, unknown: 2 });
  t.is(closing.unavailability.kill.recoveryMs.median, 2);
});

test('the summary says what is wrong, and where the picture is', (t) => {
  const violation = { workload: 'set', key: 'k', what: 'The element k is not there.', operations: [] } as const;
  const found = [{ violation, page: '/x/01-set.html' }];
  const workloads = [aReport(), aReport({ workload: 'bank', keysJudged: 0, unanswered: ['bank: read of b'] })];
  const text = summaryOf(resultOf(parts({ violationCount: 3, found, workloads, leastOk: () => 9 })));
  for (const line of [
    /3 violations, 13 operations in 12 s \(10 ok, 1 failed, 2 unknown\), seed 7/,
    /VIOLATION set: The element k is not there\.\n {2}\/x\/01-set\.html/,
    /and 2 more violations/,
    /VACUOUS kill \(SIGKILL of n1\): 1 answers, at least 9 wanted/,
    /IDLE bank/,
    /UNANSWERED bank: read of b/,
  ]) {
    t.regex(text, line);
  }
});

test('a recorded history judged and reckoned anew comes to what the run came to', async (t) => {
  const seed = Date.now() % 100_000;
  t.log(`seed ${seed}`);
  for (const lie of [undefined, 'lostWrite'] as const) {
    const { result, directory, remove } = await chaosRun({
      seed,
      ...(lie === undefined ? {} : { lie }),
      options: { rates: { register: 10, set: 30 } },
      during: async (run, store, clock) => {
        await clock.advance(3000);
        const fault = run.faultBegins({ kind: 'silence', description: 'n1 | n2, n3', sides: { n1: 'minority' } });
        store.silent.add('n1');
        await clock.advance(2000);
        store.silent.clear();
        fault.ends();
        await clock.advance(3000);
      },
    });
    t.teardown(remove);
    const { operations, faults, hosts, shards } = await readHistoryFile(join(directory, 'history.ndjson'));
    const { ok, failed, unknown } = result.operations;
    t.is(operations.length, ok + failed + unknown);
    t.is(judgeHistory(operations).length > 0, lie !== undefined);
    t.is(result.violations > 0, lie !== undefined);
    const figures = availabilityOf(faults, operations, shards, hosts);
    t.deepEqual(unavailabilityByKind(figures), result.unavailability as never);
    t.deepEqual(JSON.parse(readFileSync(join(directory, 'result.json'), 'utf8')), JSON.parse(JSON.stringify(result)));
  }
});

test('a file that is no history is refused, with the line', async (t) => {
  await inDirectory('chaos-history', async (directory) => {
    const path = join(directory, 'history.ndjson');
    writeFileSync(path, '{"run":"x","seed":1,"hosts":[],"shards":[]}\nnonsense\n');
    await t.throwsAsync(readHistoryFile(path), { message: /line 2 is not JSON/ });
    writeFileSync(path, '{"fault":"x"}\n');
    await t.throwsAsync(readHistoryFile(path), { message: /does not begin/ });
  });
});
