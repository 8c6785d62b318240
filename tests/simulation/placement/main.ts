/** `npm run sim:placement`: clusters up to a size through their lives. Progress on standard error, figures on output. */
import { writeFileSync } from 'node:fs';
import { arch, cpus, platform } from 'node:os';
import { setImmediate as turn } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { messageOf } from '../../../src/base/index.js';
import { startProgress } from '../../../src/cli/index.js';
import { colorsFor, json, table } from '../../../src/cli/output.js';
import { initHash } from '../../../src/ring/index.js';
import { drawChart } from './chart.js';
import { type Case, replication, runCase, type Step, stepCount } from './sequence.js';
import { type CaseResult, type Row, summarize } from './summary.js';

const usage = `npm run sim:placement -- [options]

Plans the placement of clusters of many sizes through their lives, on the real planner, with 3 replicas a shard, 1, 3, 5
and 20 zones, equal weights and weights of 1, 2 and 4: founding, a node joins, a node leaves, a zone leaves, weights
change, 10 random joins and leaves. Checks all that placement promises after each step.

  --nodes N     of the largest clusters                 [default: 1000]
  --shards N    of the largest clusters                 [default: 100000]
  --seed N                                              [default: 1]
  --chart FILE  draw the figures as SVG
  -o json       every step of every case, as one object
  --help

Exit codes: 0 all checks held; 1 one did not; 2 usage; 130 interrupted.
`;

const zoneCounts = [1, 3, 5, 20];
const ladder = [0.01, 0.03, 0.1, 0.3, 1];
const shownBreaches = 20;

class UsageError extends Error {}
class Stopped extends Error {}

type Options = {
  readonly nodes: number;
  readonly shards: number;
  readonly seed: number;
  readonly chart: string | undefined;
  readonly json: boolean;
};

function parsed() {
  try {
    return parseArgs({
      options: {
        nodes: { type: 'string', default: '1000' },
        shards: { type: 'string', default: '100000' },
        seed: { type: 'string', default: '1' },
        chart: { type: 'string' },
        output: { type: 'string', short: 'o', default: 'table' },
        help: { type: 'boolean', short: 'h', default: false },
      },
    }).values;
  } catch (error) {
    throw new UsageError(messageOf(error));
  }
}

/** Undefined when the usage was asked for. */
function optionsOf(values: ReturnType<typeof parsed>): Options | undefined {
  if (values.help) return undefined;
  const number = (name: 'nodes' | 'shards' | 'seed', least: number): number => {
    const value = Number(values[name]);
    if (values[name].trim() !== '' && Number.isSafeInteger(value) && value >= least) return value;
    throw new UsageError(`--${name} ${values[name]}: a whole number from ${least} on`);
  };
  if (!['table', 'json'].includes(values.output)) throw new UsageError(`-o ${values.output}: table or json`);
  return {
    nodes: number('nodes', replication + 2),
    shards: number('shards', 1),
    seed: number('seed', 0),
    chart: values.chart,
    json: values.output === 'json',
  };
}

/** Sizes up to the largest; a cluster has two nodes in each zone at least. */
function casesOf({ nodes, shards, seed }: Options): readonly Case[] {
  const sizes = new Map<number, number>();
  for (const part of ladder) {
    sizes.set(Math.max(replication + 2, Math.round(part * nodes)), Math.max(1, Math.round(part * shards)));
  }
  return [...sizes].flatMap(([nodeCount, shardCount]) =>
    zoneCounts
      .filter((zones) => zones === 1 || zones * 2 <= nodeCount)
      .flatMap((zones) =>
        (['equal', 'mixed'] as const).map((weights) => ({
          nodes: nodeCount,
          shards: shardCount,
          zones,
          weights,
          seed,
        })),
      ),
  );
}

/** Runs the cases; between any two steps it can be interrupted. */
async function runAll(cases: readonly Case[], isStopped: () => boolean): Promise<readonly CaseResult[]> {
  const weightOf = ({ shards }: Case): number => shards * stepCount;
  const total = cases.reduce((sum, each) => sum + weightOf(each), 0);
  const progress = startProgress({ err: process.stderr }, 'placing', total, 'shards');
  const results: CaseResult[] = [];
  try {
    for (const given of cases) {
      const steps: Step[] = [];
      for (const step of runCase(given)) {
        steps.push(step);
        progress.advance(given.shards);
        await turn();
        if (isStopped()) throw new Stopped();
      }
      progress.advance(weightOf(given) - given.shards * steps.length);
      results.push({ given, steps });
    }
  } finally {
    progress.stop();
  }
  return results;
}

function shown(rows: readonly Row[]): string {
  const names = [
    ...['NODES', 'SHARDS', 'STEP', 'PLANS', 'MAX/FAIR', 'MIN/FAIR', 'DEV', 'MOVED', 'IDEAL', 'RATIO'],
    ...['ZONE BREACHES', 'LEADERS MAX-MIN', 'FROM PART', 'PLAN cpu ms', 'LEADERS cpu ms'],
  ];
  const list = rows.map((row) => [
    row.nodes,
    row.shards,
    row.step,
    row.plans,
    row.highest.toFixed(3),
    row.lowest.toFixed(3),
    row.deviation.toFixed(3),
    row.moved,
    row.ideal.toFixed(0),
    row.ratio === null ? '-' : row.ratio.toFixed(3),
    row.zoneViolations,
    row.leaderRange === 0 ? '-' : row.leaderRange,
    row.leaderFurthest.toFixed(2),
    row.planMs.toFixed(0),
    row.leadersMs.toFixed(0),
  ]);
  const columns = names.map((name) => ({ name, right: name !== 'STEP' }));
  return table(columns, list, colorsFor(process.stdout, process.env));
}

/** Whether all checks held. */
async function run(options: Options): Promise<boolean> {
  let isStopping = false;
  // The second one ends the process at once.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.once(signal, () => {
      isStopping = true;
    });
  }
  await initHash();
  const startedMs = performance.now();
  const results = await runAll(casesOf(options), () => isStopping);
  const rows = summarize(results);
  const breaches = results.flatMap(({ given, steps }) =>
    steps.flatMap(({ name, breaches: found }) => found.map((breach) => ({ ...given, step: name, breach }))),
  );
  if (options.chart !== undefined) writeFileSync(options.chart, drawChart(results, rows));
  const machine = { cpus: cpus().length, model: cpus()[0]?.model ?? '', system: `${platform()} ${arch()}` };
  const peakMb = Math.round(process.resourceUsage().maxRSS / 1024);
  const seconds = Math.round((performance.now() - startedMs) / 1000);
  if (options.json) {
    process.stdout.write(json({ options, machine, node: process.version, seconds, peakMb, breaches, rows, results }));
    return breaches.length === 0;
  }
  const plans = results.reduce((sum, { steps }) => sum + steps.length, 0);
  const list = breaches.slice(0, shownBreaches).map((each) => `- ${JSON.stringify(each)}\n`);
  const verdict = breaches.length === 0 ? 'all checks held' : `${breaches.length} CHECKS FAILED`;
  process.stdout.write(
    `${shown(rows)}\nEach row is the worst of its plans, MOVED and IDEAL are their sums; at most ${peakMb} MB of memory.\n` +
      `${plans} steps of ${results.length} clusters in ${seconds} s; ${verdict}\n${list.join('')}`,
  );
  return breaches.length === 0;
}

async function main(): Promise<number> {
  const options = optionsOf(parsed());
  if (options !== undefined) return (await run(options)) ? 0 : 1;
  process.stdout.write(usage);
  return 0;
}

main().then(
  (code) => {
    process.exitCode = code;
  },
  (error: unknown) => {
    const isUsage = error instanceof UsageError;
    if (error instanceof Stopped) process.stderr.write('stopped\n');
    else process.stderr.write(`${isUsage ? messageOf(error) : String((error as Error).stack ?? error)}\n`);
    process.exitCode = error instanceof Stopped ? 130 : isUsage ? 2 : 1;
  },
);
