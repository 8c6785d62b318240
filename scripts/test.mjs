#!/usr/bin/env node
// `npm test`: sets up what is missing, then runs the unit, conformance and simulation tests (ava) and the system tests
// (tap, one process a file). `npm run test:long` (`--long`): those that take long, because they wait for whole runs of other
// programs (chaos against broken builds, network namespaces, the comparison), try many inputs on a real cluster, or simulate
// clusters of 100 nodes and clusters with a bug. Closes with what each failed test printed and `N passed, M failed`; exits 1 when
// anything failed or nothing ran.
import { spawn } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { bootstrap } from './bootstrap.mjs';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');

/** Files of system tests that run at the same time: they wait more than they work. One beside ava, which works. */
const systemJobs = 2;
const systemJobsBesideAva = 1;

/** Runs a command, shows its output as it comes (or not), and resolves with it and the exit code. */
function run(command, args, isShown = true) {
  return new Promise((resolve) => {
    const child = spawn(command, args, { cwd: root, stdio: ['ignore', 'pipe', 'inherit'] });
    let output = '';
    child.stdout.on('data', (bytes) => {
      output += bytes;
      if (isShown) process.stdout.write(bytes);
    });
    child.on('close', (code, signal) => resolve({ output, code: code ?? (signal ? 1 : 0) }));
  });
}

const lastNumber = (output, pattern) => Number([...output.matchAll(pattern)].at(-1)?.[1] ?? 0);

const lastLines = (output) => output.split('\n').slice(-40).join('\n');

/** A program that ends badly has failed, whatever its tests say. */
const outcome = (name, passed, failed, code, details) =>
  failed > 0 || code !== 0
    ? { passed, failed: failed || 1, report: `\n# ${name} failed (exit code ${code})\n${details}\n` }
    : { passed, failed: 0, report: '' };

async function runAva(patterns) {
  const ava = join(root, 'node_modules', 'ava', 'entrypoints', 'cli.mjs');
  const { output, code } = await run(process.execPath, [ava, ...patterns]);
  const passed = [...output.matchAll(/^\s*✔ /gm)].length;
  const failed =
    lastNumber(output, /^\s*(\d+) tests? failed$/gm) +
    lastNumber(output, /^\s*(\d+) (?:uncaught exceptions?|unhandled rejections?)$/gm);
  // What failed is repeated at the end, after a line of its own.
  const details = output.slice(Math.max(0, output.search(/^\s*─$/m)));
  return outcome('ava', passed, failed, code, details);
}

async function runTap(file) {
  const { output, code } = await run(process.execPath, ['--enable-source-maps', file], false);
  process.stdout.write(`\n# ${file}\n${output}`);
  const passed = [...output.matchAll(/^ok /gm)].length;
  const failed = [...output.matchAll(/^not ok /gm)].length;
  const details = output
    .split(/^(?=# Subtest: )/m)
    .filter((part) => /^not ok /m.test(part))
    .map((part) => part.replace(/^ +ok .*\n/gm, ''));
  return outcome(file, passed, failed, code, details.length > 0 ? details.join('') : lastLines(output));
}

await bootstrap({ natsServer: true });
const started = performance.now();
const only = process.argv.slice(2);
const isLong = only.includes('--long');
const results = [];

/** Not part of `npm test`, which somebody waits for. */
const longTests = ['broken-builds', 'chaos-run', 'compare', 'fuzz', 'netns-links'].map((name) => `${name}.test.js`);
const longAvaTests = 'mutants|swim-cost|swim-detection|swim-lives';

/** The system tests left, the longest first, by what they were when this was written: the others fill the gaps. */
function systemTests() {
  const directory = join(root, 'dist', 'tests', 'system');
  const order = ['compare', 'faults', 'kvctl', 'fuzz', 'main-job', 'cluster', 'security', 'node-faults'].map(
    (name) => `${name}.test.js`,
  );
  const rank = (name) => (order.includes(name) ? order.indexOf(name) : order.length);
  return readdirSync(directory)
    .filter((name) => name.endsWith('.test.js') && longTests.includes(name) === isLong)
    .sort((a, b) => rank(a) - rank(b) || (a < b ? -1 : 1))
    .map((name) => join(directory, name));
}

const files = only.includes('--unit') ? [] : systemTests();
const work = async () => {
  for (let file = files.shift(); file !== undefined; file = files.shift()) results.push(await runTap(file));
};
const lanes = Array.from({ length: systemJobsBesideAva }, work);
if (!only.includes('--system')) results.push(await runAva([`**/${isLong ? '@' : '!'}(${longAvaTests}).test.js`]));
while (lanes.length < systemJobs) lanes.push(work());
await Promise.all(lanes);
const passed = results.reduce((sum, result) => sum + result.passed, 0);
const failed = results.reduce((sum, result) => sum + result.failed, 0);
const seconds = Math.round((performance.now() - started) / 1000);
process.stdout.write(results.map((result) => result.report).join(''));
process.stdout.write(`\nTests took ${seconds} s.\n${passed} passed, ${failed} failed\n`);
process.exitCode = failed === 0 && passed > 0 ? 0 : 1;
