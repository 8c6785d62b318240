/** Goal: an earlier run is read or refused with a reason, and a change is what it says. */
import test from 'ava';
import { changeOf, comparisonOf } from '../../../../src/cli/bench/comparison.js';
import { parseEarlierRun } from '../../../../src/cli/bench/earlier-run.js';
import { comparisonTable, comparisonWarnings, signedPercent } from '../../../../src/cli/bench/report.js';
import { type BenchResult, benchFormat } from '../../../../src/cli/bench/result.js';
import { colorsFor } from '../../../../src/cli/output.js';

const colors = colorsFor({}, {});

const run: BenchResult = {
  format: benchFormat,
  version: '0.1.0',
  date: '2026-11-21T20:00:00.000Z',
  setting: { loop: 'open', operation: 'put', bucket: 'default', rate: 5000, maxInFlight: 8192, valueBytes: 256 },
  isInterrupted: false,
  seconds: 10,
  ok: 50_000,
  failed: 0,
  unknown: 0,
  errors: {},
  perSecond: 5000,
  latencyMs: { mean: 2, p50: 1, p90: 2, p99: 4, p999: 8, max: 10 },
  intervals: [],
  clientCpuCores: 0.5,
};

test('what -o json printed is read again, whatever else stands in it', (t) => {
  const { setting, perSecond } = parseEarlierRun(JSON.stringify({ ...run, change: {}, later: [1] }), 'a.json');
  t.deepEqual([setting, perSecond], [run.setting, 5000]);
});

test('anything else is refused, with the file and a reason', (t) => {
  const { format: _, ...unnamed } = run;
  const { latencyMs: __, ...partial } = run;
  for (const [text, reason] of [
    ['', /^a\.json is no result of kvctl bench -o json: it is empty$/],
    ['{"format":', /it is not JSON/],
    ['[]', /a\.json is no result of kvctl bench/],
    ['null', /a\.json is no result of kvctl bench/],
    [JSON.stringify(unnamed), /: format: .*it is missing/],
    [JSON.stringify({ ...run, format: 'kvctl-bench-9' }), /format: .*"kvctl-bench-1".*found "kvctl-bench-9"/],
    [JSON.stringify(partial), /latencyMs: .*it is missing/],
    [JSON.stringify({ ...run, perSecond: 'many' }), /perSecond: .*found "many"/],
  ] as const) {
    t.throws(() => parseEarlierRun(text, 'a.json'), { code: 'BAD_REQUEST', message: reason }, text.slice(0, 40));
  }
});

test('a change is in percent of the earlier figure, and nothing where that was none', (t) => {
  t.deepEqual(changeOf(200, 150), { earlier: 200, now: 150, percent: -25 });
  t.is(changeOf(0, 3).percent, null);
  t.deepEqual([12.34, -12.34, 0, -0.04, 0.04, null].map(signedPercent), [
    '+12.3 %',
    '-12.3 %',
    '0.0 %',
    '0.0 %',
    '0.0 %',
    '-',
  ]);
});

test('figures then and now stand beside each other, settings that differ are named', (t) => {
  const now: BenchResult = {
    ...run,
    setting: { loop: 'closed', operation: 'put', bucket: 'default', concurrency: 64, valueBytes: 1024 },
    perSecond: 6000,
    latencyMs: { ...run.latencyMs, p999: 6 },
    failed: 2,
  };
  const comparison = comparisonOf({ ...run, setting: { ...run.setting }, isInterrupted: true }, now);
  t.deepEqual(comparison.figures.perSecond, { earlier: 5000, now: 6000, percent: 20 });
  t.deepEqual(comparison.figures.p999, { earlier: 8, now: 6, percent: -25 });
  t.deepEqual(comparisonWarnings(comparison, false), [
    'loop was open, now closed',
    'concurrency was not set, now 64',
    'valueBytes was 256, now 1024',
    'rate was 5000, now not set',
    'maxInFlight was 8192, now not set',
    'the earlier run was interrupted',
  ]);
  const lines = comparisonTable(comparison, colors).split('\n');
  t.regex(lines[0] ?? '', /^METRIC +EARLIER +NOW +CHANGE$/);
  t.regex(lines[1] ?? '', /^per second +5,000 +6,000 +\+20\.0 %$/);
  t.regex(lines[6] ?? '', /^p99\.9 ms +8\.00 +6\.00 +-25\.0 %$/);
  t.regex(lines[8] ?? '', /^failed +0 +2 +-$/);
  const same = comparisonOf({ ...run, setting: { ...run.setting } }, run);
  t.deepEqual(comparisonWarnings(same, false), []);
});
