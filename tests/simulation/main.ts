/** `npm run sim`: many seeds, or the mutants. Progress on standard error, results on standard output. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { messageOf } from '../../src/base/index.js';
import { encodeHistory } from '../../src/checker/index.js';
import { startProgress } from '../../src/cli/index.js';
import { isClusterMutant } from './cluster-mutants.js';
import { runClusterSeed, usualClusterKinds } from './cluster-simulation.js';
import { clusterKinds, describeFault, type FaultKind, faultKinds } from './faults.js';
import { minimizeFaults, sumFaults } from './minimize.js';
import { applyMutant, type MutantName, mutantNames } from './mutants.js';
import { runPool } from './pool.js';
import { runSeed } from './simulation.js';
import type { WorkerAnswer } from './worker.js';

const usage = `npm run sim -- [options]

Runs the real node code in one process on a virtual clock, network and disk, with faults, from a seed; checks Raft's
safety properties after every event, that all replicas come to agree, and that what clients saw is linearizable.

  --seeds N        how many                                   [default: 200]
  --from N         the first one                              [default: 1]
  --cluster        clusters that manage themselves: nodes join, leave and die, shards are moved
  --faults A,B     only these kinds of fault                  [default: all]
  --without A,B    not these kinds
  --jobs N         processes at a time                        [default: the number of cores]
  --seed N         one seed, with its trace on standard output
  --mutant NAME    with this known bug switched on
  --mutants        every known bug, each until it is found
  --most N         with --mutants: seeds to try before a bug has escaped   [default: 2000]
  -o json          a closing JSON object on standard output
  --help

Faults: ${faultKinds.join(', ')}
With --cluster also: ${clusterKinds.join(', ')}
Exit code 1 when a seed fails, or a mutant escapes.
`;

type Failure = { readonly seed: number; readonly check: string };

/** Of how many seeds one is run twice, to see that it is the same run. */
const checkEvery = 50;
const keptFailures = 20;
const noSums = { mapChanges: 0, events: 0, virtualMs: 0 };
const summed = ['elections', 'snapshots', 'configurations', 'repairs', 'mapChanges', 'events', 'virtualMs'] as const;

function options() {
  const { values } = parseArgs({
    options: {
      seeds: { type: 'string', default: '200' },
      from: { type: 'string', default: '1' },
      cluster: { type: 'boolean', default: false },
      faults: { type: 'string' },
      without: { type: 'string' },
      jobs: { type: 'string', default: String(availableParallelism()) },
      seed: { type: 'string' },
      mutant: { type: 'string' },
      mutants: { type: 'boolean', default: false },
      most: { type: 'string', default: '2000' },
      output: { type: 'string', short: 'o', default: 'text' },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  const number = (name: 'seeds' | 'from' | 'jobs' | 'most' | 'seed', least: number): number => {
    const value = Number(values[name]);
    if (!Number.isSafeInteger(value) || value < least)
      throw new RangeError(`--${name} is a whole number from ${least} on`);
    return value;
  };
  const list = (name: 'faults' | 'without'): readonly FaultKind[] | undefined =>
    values[name]?.split(',').map((kind) => {
      if (![...faultKinds, ...clusterKinds].includes(kind as FaultKind))
        throw new RangeError(`--${name}: no fault is called ${kind}`);
      return kind as FaultKind;
    });
  const mutant = values.mutant as MutantName | undefined;
  if (mutant !== undefined && !mutantNames.includes(mutant)) throw new RangeError(`no mutant is called ${mutant}`);
  if (values.output !== 'text' && values.output !== 'json') throw new RangeError('-o is text or json');
  const without = list('without') ?? [];
  return {
    help: values.help,
    seeds: number('seeds', 1),
    from: number('from', 0),
    jobs: number('jobs', 1),
    most: number('most', 1),
    seed: values.seed === undefined ? undefined : number('seed', 0),
    isCluster: values.cluster,
    kinds: (list('faults') ?? (values.cluster ? usualClusterKinds : faultKinds)).filter(
      (kind) => !without.includes(kind),
    ),
    mutant,
    mutants: values.mutants,
    json: values.output === 'json',
  };
}

type Options = ReturnType<typeof options>;

const runOf = ({ isCluster }: Options): typeof runSeed => (isCluster ? runClusterSeed : runSeed);

const say = (line: string): void => void process.stderr.write(`${line}\n`);

async function oneSeed(given: Options, seed: number): Promise<boolean> {
  const { kinds, mutant } = given;
  if (mutant !== undefined) applyMutant(mutant);
  const { history, ...result } = await runOf(given)(seed, {
    kinds,
    onTrace: (line) => process.stdout.write(`${line}\n`),
  });
  say(JSON.stringify({ ...result, history: history.length }, null, 2));
  return result.failure === undefined;
}

/** Writes what happened in a failing run to a directory; returns its path. */
async function explain(seed: number, given: Options): Promise<void> {
  const { kinds, mutant } = given;
  const run = runOf(given);
  if (mutant !== undefined) applyMutant(mutant);
  const lines: string[] = [];
  const failed = await run(seed, { kinds });
  const faults = await minimizeFaults(failed, (fewer) => run(seed, { kinds, faults: fewer }));
  const smallest = await run(seed, { kinds, faults, onTrace: (line) => lines.push(line) });
  const directory = join(tmpdir(), `ringraft-sim-${seed}`);
  mkdirSync(directory, { recursive: true });
  writeFileSync(join(directory, 'trace.txt'), `${lines.join('\n')}\n`);
  writeFileSync(join(directory, 'history.ndjson'), encodeHistory(smallest.history));
  writeFileSync(join(directory, 'faults.json'), `${JSON.stringify(faults, null, 2)}\n`);
  say(`seed ${seed}: ${failed.failure?.message ?? 'did not fail again'}`);
  say(`  with ${faults.length} of ${failed.faults.length} faults it still fails:`);
  for (const fault of faults) say(`    ${describeFault(fault)}`);
  say(`  trace: ${join(directory, 'trace.txt')}`);
}

async function manySeeds(given: Options): Promise<boolean> {
  const startedMs = performance.now();
  const injected = new Map<FaultKind, number>();
  const failures: Failure[] = [];
  const unstable: number[] = [];
  let runs = 0;
  const sums = {
    operations: 0,
    elections: 0,
    snapshots: 0,
    configurations: 0,
    repairs: 0,
    proven: 0,
    aged: 0,
    ...noSums,
  };
  const progress = startProgress({ err: process.stderr }, 'simulating', given.seeds, 'seeds');
  await runPool({
    ...given,
    checkEvery,
    onResult: (result: WorkerAnswer) => {
      runs++;
      progress.advance(1);
      sumFaults(injected, result.injected);
      sums.operations += result.checked;
      sums.proven += result.operations.proven;
      sums.aged += result.operations.aged;
      for (const name of summed) sums[name] += result[name];
      if (result.failure !== undefined) failures.push({ seed: result.seed, check: result.failure.check });
      if (result.isUnstable) unstable.push(result.seed);
      return failures.length < keptFailures;
    },
  });
  progress.stop();
  const seconds = (performance.now() - startedMs) / 1000;
  failures.sort((a, b) => a.seed - b.seed);
  for (const seed of unstable) failures.push({ seed, check: 'determinism' });
  const faults = Object.fromEntries([...injected].sort(([a], [b]) => (a < b ? -1 : 1)));
  const perSecond = Number((runs / seconds).toFixed(2));
  const virtualHours = Number((sums.virtualMs / 3_600_000).toFixed(2));
  if (given.json) {
    const { virtualMs: _virtualMs, ...counted } = sums;
    const closing = { seeds: runs, failures, faults, ...counted };
    process.stdout.write(`${JSON.stringify({ ...closing, virtualHours, seedsPerSecond: perSecond })}\n`);
  } else {
    const kinds = Object.entries(faults).map(([kind, count]) => `${kind} ${count}`);
    process.stdout.write(
      `${runs} seeds in ${Math.round(seconds)} s (${perSecond}/s), ${virtualHours} hours of cluster time\n` +
        `operations checked for linearizability: ${sums.operations}, of them ${sums.proven} quorum reads and ${sums.aged} of one replica\n` +
        `elections ${sums.elections}, snapshots ${sums.snapshots}, membership entries ${sums.configurations}, replicas rebuilt ${sums.repairs}${given.isCluster ? `, map changes ${sums.mapChanges}` : ''}\n` +
        `faults: ${kinds.join(', ') || 'none'}\n` +
        `failures: ${failures.map(({ seed, check }) => `${seed} (${check})`).join(', ') || 'none'}\n`,
    );
  }
  const first = failures.find(({ check }) => check !== 'determinism');
  if (first !== undefined) await explain(first.seed, given);
  return failures.length === 0;
}

async function allMutants(given: Options): Promise<boolean> {
  const found: { name: string; foundAtSeed: number | null; seeds: number; check: string | null }[] = [];
  for (const name of mutantNames) {
    let seen: WorkerAnswer | undefined;
    let seeds = 0;
    await runPool({
      ...given,
      seeds: given.most,
      mutant: name,
      isCluster: isClusterMutant(name),
      kinds: isClusterMutant(name) ? usualClusterKinds : given.kinds,
      checkEvery: 0,
      onResult: (result) => {
        seeds++;
        // Some of these bugs also stop a cluster; what they are here for is that they break a promise.
        const isBroken = result.failure !== undefined && result.failure.check !== 'liveness';
        if (isBroken && (seen === undefined || result.seed < seen.seed)) seen = result;
        return seen === undefined;
      },
    });
    const row = { name, foundAtSeed: seen?.seed ?? null, seeds, check: seen?.failure?.check ?? null };
    found.push(row);
    say(
      `${name.padEnd(36)} ${row.foundAtSeed === null ? `ESCAPED ${seeds} seeds` : `seed ${row.foundAtSeed}: ${row.check}`}`,
    );
  }
  const mutants = found.map(({ name, foundAtSeed }) => ({ name, foundAtSeed }));
  if (given.json) process.stdout.write(`${JSON.stringify({ mutants })}\n`);
  else {
    const caught = mutants.filter(({ foundAtSeed }) => foundAtSeed !== null).length;
    process.stdout.write(`${caught} of ${mutants.length} mutants found\n`);
  }
  return mutants.every(({ foundAtSeed }) => foundAtSeed !== null);
}

async function main(): Promise<boolean> {
  const given = options();
  if (given.help) {
    process.stdout.write(usage);
    return true;
  }
  if (given.seed !== undefined) return oneSeed(given, given.seed);
  return given.mutants ? allMutants(given) : manySeeds(given);
}

main().then(
  (isWell) => process.exit(isWell ? 0 : 1),
  (error: unknown) => {
    say(`sim: ${messageOf(error)}`);
    process.exit(error instanceof RangeError || error instanceof TypeError ? 2 : 1);
  },
);
