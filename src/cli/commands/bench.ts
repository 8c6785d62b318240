/** bench: how fast is it, here and now; and what changed since an earlier run. */
import { RingraftError } from '../../base/index.js';
import { type Comparison, comparisonOf } from '../bench/comparison.js';
import { readEarlierRun } from '../bench/earlier-run.js';
import { comparisonTable, comparisonWarnings, reportOf } from '../bench/report.js';
import type { BenchResult } from '../bench/result.js';
import { type BenchOptions, type Pressure, runBench } from '../bench/run.js';
import { type BenchOperation, benchOperations, loadKeys, type Workload } from '../bench/workload.js';
import type { Context } from '../context.js';
import { exitCodes } from '../exit-codes.js';
import { write } from '../io.js';
import { colorsFor, json } from '../output.js';
import { startProgress } from '../progress.js';
import { parseCount, parseDuration } from '../values.js';
import type { Argv } from '../yargs.js';
import { type Arguments, type Command, optionalText, text } from './command.js';

const usualConcurrency = 256;
/** As many as the client sends; more would wait in it. */
const usualMaxInFlight = 8192;

const optional = { type: 'string', requiresArg: true } as const;

const builder = (parser: Argv): Argv =>
  parser
    .option('op', { choices: benchOperations, default: 'put', describe: 'What to do' })
    .option('concurrency', {
      ...optional,
      alias: 'C',
      describe: `Closed loop: so many in flight, each answer followed by the next operation [default: ${usualConcurrency}]`,
    })
    .option('rate', {
      ...optional,
      alias: 'r',
      describe: 'Open loop: so many operations a second, each counted from when it was due, also during a stall',
    })
    .option('max-in-flight', {
      ...optional,
      describe: `With --rate: what is due beyond so many in flight waits its turn [default: ${usualMaxInFlight}]`,
    })
    .option('value-size', { ...optional, alias: 'B', default: '256', describe: 'Bytes a value' })
    .option('seconds', { ...optional, alias: 'S', default: '10', describe: 'How long: 30, 90s, 10m' })
    .option('warmup', { ...optional, default: '2', describe: 'Seconds before counting' })
    .option('keys', { ...optional, alias: 'N', default: '100000', describe: 'Different keys' })
    .option('compare-to', { ...optional, describe: 'Show the change against an earlier run, saved with -o json' })
    .example('$0 bench -b bench --op get -C 256', 'linearizable reads, 256 in flight')
    .example('$0 bench --op put -C 1 -o json', 'the latency of a single write')
    .example(
      '$0 bench --rate 5000 -S 10m',
      '5,000 writes a second for ten minutes: does it keep up, how late are answers?',
    )
    .example('$0 bench --rate 5000 -o json > before.json', 'save a run ...')
    .example('$0 bench --rate 5000 --compare-to before.json', '... and see what has changed since');

function pressureOf(args: Arguments): Pressure {
  const [rate, concurrency, maxInFlight] = ['rate', 'concurrency', 'maxInFlight'].map((name) =>
    optionalText(args, name),
  );
  if (rate === undefined) {
    if (maxInFlight !== undefined) {
      throw new RingraftError(
        'BAD_REQUEST',
        '--max-in-flight goes with --rate; without it, --concurrency is in flight',
      );
    }
    return {
      type: 'closed',
      concurrency: parseCount(concurrency ?? String(usualConcurrency), '--concurrency', 1),
    };
  }
  if (concurrency !== undefined) {
    throw new RingraftError(
      'BAD_REQUEST',
      '--rate or --concurrency, not both; --max-in-flight limits what is in flight',
    );
  }
  return {
    type: 'open',
    rate: parseCount(rate, '--rate', 1),
    maxInFlight: parseCount(maxInFlight ?? String(usualMaxInFlight), '--max-in-flight', 1),
  };
}

const workloadOf = ({ args: { bucket, consistency }, timeoutMs }: Context, args: Arguments): Workload => ({
  operation: text(args, 'op') as BenchOperation,
  bucket,
  valueBytes: parseCount(text(args, 'valueSize'), '--value-size', 0),
  keys: parseCount(text(args, 'keys'), '--keys', 1),
  consistency: consistency ?? 'linearizable',
  timeoutMs,
});

async function show({ io, args }: Context, result: BenchResult, comparison: Comparison | undefined): Promise<void> {
  const warnings = comparison === undefined ? [] : comparisonWarnings(comparison, result.isInterrupted);
  for (const warning of warnings) io.err.write(`warning: not the same: ${warning}\n`);
  if (args.output === 'json') {
    await write(io.out, json({ ...result, ...(comparison === undefined ? {} : { change: comparison }) }));
    return;
  }
  const colors = colorsFor(io.out, io.env);
  await write(io.out, reportOf(result, colors));
  if (comparison === undefined) return;
  const { date, version } = comparison.earlier;
  await write(io.out, `\nagainst the run of ${date} (version ${version}):\n${comparisonTable(comparison, colors)}`);
}

export const bench = (version: string): Command => ({
  command: 'bench',
  describe: 'Measure throughput and latency, in a closed loop or at a given rate',
  builder,
  async run(context, args) {
    const { io, clock } = context;
    const comparedPath = optionalText(args, 'compareTo');
    const options: BenchOptions = {
      workload: workloadOf(context, args),
      pressure: pressureOf(args),
      seconds: parseDuration(text(args, 'seconds')) / 1000,
      warmupSeconds: parseDuration(text(args, 'warmup'), 0) / 1000,
      isLive: io.err.isTTY === true && context.args.output !== 'json',
      version,
    };
    // Before anything is measured: a file that cannot be compared with is known at once.
    const earlier = comparedPath === undefined ? undefined : readEarlierRun(comparedPath);
    const client = await context.connect();
    if (options.workload.operation !== 'put') {
      const progress = startProgress(io, 'loading', options.workload.keys, 'keys');
      await loadKeys(client, options.workload, { signal: io.signal, onLoaded: (keys) => progress.advance(keys) });
      progress.stop();
      if (io.signal.aborted) return exitCodes.interrupted;
    }
    const result = await runBench(client, options, { io, clock });
    await show(context, result, earlier === undefined ? undefined : comparisonOf(earlier, result));
    return result.isInterrupted ? exitCodes.interrupted : exitCodes.ok;
  },
});
