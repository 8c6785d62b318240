/** bench: how fast is it, here and now. */
import { exitCodes } from '../exit-codes.js';
import { write } from '../io.js';
import { colorsFor, json, table } from '../output.js';
import { startProgress } from '../progress.js';
import { formatCount, parseCount, parseDuration } from '../values.js';
import { type BenchOperation, type BenchOptions, benchOperations, loadKeys, runBench } from './bench-load.js';
import { type Command, optionalText, text } from './command.js';

export const bench: Command = {
  command: 'bench',
  describe: 'Measure throughput and latency',
  builder: (parser) =>
    parser
      .option('op', { choices: benchOperations, default: 'put', describe: 'What to do' })
      .option('concurrency', {
        alias: 'C',
        type: 'string',
        default: '256',
        requiresArg: true,
        describe: 'Operations in flight',
      })
      .option('value-size', {
        alias: 'B',
        type: 'string',
        default: '256',
        requiresArg: true,
        describe: 'Bytes a value',
      })
      .option('seconds', { alias: 'S', type: 'string', default: '10', requiresArg: true, describe: 'How long' })
      .option('warmup', { type: 'string', default: '2', requiresArg: true, describe: 'Seconds before counting' })
      .option('keys', { alias: 'N', type: 'string', default: '100000', requiresArg: true, describe: 'Different keys' })
      .example('$0 bench -b bench --op get -C 256', 'linearizable reads, 256 in flight')
      .example('$0 bench --op put -C 1 -o json', 'the latency of a single write'),
  async run(context, args) {
    const { io } = context;
    const client = await context.connect();
    const isTerminal = io.err.isTTY === true;
    const options: BenchOptions = {
      operation: text(args, 'op') as BenchOperation,
      bucket: context.args.bucket,
      concurrency: parseCount(text(args, 'concurrency'), '--concurrency', 1),
      valueBytes: parseCount(text(args, 'valueSize'), '--value-size', 0),
      keys: parseCount(text(args, 'keys'), '--keys', 1),
      seconds: parseDuration(text(args, 'seconds')) / 1000,
      warmupSeconds: parseDuration(optionalText(args, 'warmup') ?? '2', 0) / 1000,
      timeoutMs: context.timeoutMs,
      consistency: context.args.consistency ?? 'linearizable',
      signal: io.signal,
      onProgress: ({ elapsedSeconds, perSecond, errors }) => {
        if (!isTerminal) return;
        const failed = errors > 0 ? `, ${formatCount(errors)} errors` : '';
        io.err.write(`\r\x1b[K${elapsedSeconds.toFixed(1)} s  ${formatCount(perSecond)}/s${failed}`);
      },
    };
    if (options.operation !== 'put') {
      const progress = startProgress(io, 'loading', options.keys, 'keys');
      await loadKeys(client, options, (keys) => progress.advance(keys));
      progress.stop();
    }
    const result = await runBench(client, options);
    if (isTerminal) io.err.write('\r\x1b[K');
    const { operation, concurrency, valueBytes, keys, consistency } = options;
    const setting = { operation, concurrency, valueBytes, keys, ...(operation === 'put' ? {} : { consistency }) };
    if (context.args.output === 'json') {
      await write(io.out, json({ ...setting, ...result }));
    } else {
      const { latencyMs } = result;
      const ms = (value: number): string => value.toFixed(2);
      const columns = ['OP', 'IN FLIGHT', 'VALUE', 'PER SECOND', 'P50 ms', 'P99 ms', 'P99.9 ms', 'MAX ms', 'ERRORS'];
      const failed = Object.entries(result.errors).map(([code, count]) => `${code} ${count}`);
      const row = [
        operation,
        concurrency,
        `${valueBytes} B`,
        formatCount(result.perSecond),
        ms(latencyMs.p50),
        ms(latencyMs.p99),
        ms(latencyMs.p999),
        ms(latencyMs.max),
        failed.join(' ') || '0',
      ];
      await write(
        io.out,
        table(
          columns.map((name, at) => ({ name, right: at > 0 })),
          [row],
          colorsFor(io.out, io.env),
        ),
      );
    }
    return io.signal.aborted ? exitCodes.interrupted : exitCodes.ok;
  },
};
