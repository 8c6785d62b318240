/**
 * Goal: the comparison measures every system that is installed with real answers, and leaves nothing behind. Method: the
 * program itself, for half a second a workload; figures are not judged, only that they are figures.
 */
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import type { Comparison } from '../../src/compare/index.js';
import { runProgram } from '../support/cluster.js';
import { hangGuardMs } from '../support/hang-guard.js';

const programPath = join(import.meta.dirname, '..', '..', 'src', 'compare', 'main.js');
const options = [
  '--repeats',
  '1',
  '--seconds',
  '500ms',
  '--warmup',
  '100ms',
  '--records',
  '400',
  '--client-processes',
  '1',
];

/** Processes with this word in their command line. */
const processesWith = (word: string): readonly string[] =>
  readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .filter((pid) => {
      const path = `/proc/${pid}/cmdline`;
      return existsSync(path) && readFileSync(path, 'utf8').includes(word);
    });

/** Elections of three systems, one after the other, on a machine that may be busy. */
t.setTimeout(hangGuardMs);

t.test('every system that is installed answers, and nothing stays behind', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'ringraft-compare-test-'));
  t.teardown(() => rmSync(directory, { recursive: true, force: true }));
  const args = ['--only', 'put@1,get@16', '--directory', directory, '-o', 'json', ...options];
  const { code, stdout, stderr } = await runProgram(programPath, args);
  for (const line of stderr.trim().split('\n')) t.comment(line);
  t.equal(code, 0);
  const { meta, workloads } = JSON.parse(stdout.toString()) as Comparison;
  t.same(
    workloads.map(({ workload }) => workload),
    ['put@1', 'get@16'],
  );
  const systems = meta.systems.map(({ name }) => name);
  t.ok(systems.includes('ringraft'));
  t.equal(systems.length + meta.skipped.length, 4, `left out: ${meta.skipped.join('; ') || 'none'}`);
  for (const { workload, results, ratios } of workloads) {
    for (const name of systems) {
      const result = results[name];
      t.ok(result !== undefined && result.perSecond > 0, `${name} ${workload}`);
      t.ok(result !== undefined && result.p50Ms > 0 && result.p50Ms <= result.p99Ms, `${name} ${workload} latency`);
      t.ok(result !== undefined && result.serverCores > 0 && result.residentMb > 10, `${name} ${workload} servers`);
      t.equal(result?.errors, 0, `${name} ${workload} errors`);
      t.equal(result?.missed, 0, `${name} ${workload} reads that found nothing`);
      if (name !== 'ringraft') t.ok((ratios[name]?.throughput ?? 0) > 0, `${name} ${workload} ratio`);
    }
  }
  t.same(readdirSync(directory), []);
  t.same(processesWith(directory), []);
});

t.test('nonsense is refused before anything starts', async (t) => {
  const { code, stderr } = await runProgram(programPath, ['--only', 'nothing@1']);
  t.equal(code, 2);
  t.match(stderr, /there is no workload nothing@1/);
});
