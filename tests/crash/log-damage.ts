/**
 * Goal and rules as in log-judge.ts. Method: a log with every kind of record on a real disk; cut at every byte of its last
 * batches and at every boundary of the others; every bit of every header flipped, and a sample of all bits.
 */
import { parseArgs } from 'node:util';
import { messageOf, type Random, randomBetween, seededRandom } from '../../src/base/index.js';
import { runToEnd } from '../support/program-runner.js';
import {
  batchesIn,
  batchHeaderBytes,
  type Image,
  type Milestone,
  recordHeaderBytes,
  segmentHeaderBytes,
  writeHistory,
} from './log-history.js';
import { judgeCut, judgeFlip, lastBatch, type Verdict } from './log-judge.js';
import { Violations } from './violations.js';

const usage = `npm run crash:log -- [options]: cuts and corrupts a write-ahead log, checks what recovery makes of it.
  --samples N    bits to flip besides those of the headers (20000)
  --seed N       of the random choices; printed when not given
  -o json        one closing object on standard output
`;

const commits = 160;
const batchesCutEverywhere = 40;
const progressIntervalMs = 5000;

type Options = { readonly samples: number; readonly seed: number; readonly json: boolean };
type Counts = { exact: number; reported: number; falseAlarms: number; lastBatchCut: number };

function optionsFrom(args: readonly string[]): Options {
  const { values } = parseArgs({
    args: [...args],
    options: {
      samples: { type: 'string', default: '20000' },
      seed: { type: 'string', default: String(Date.now() % 1_000_000) },
      output: { type: 'string', short: 'o', default: 'table' },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  if (values.help) {
    process.stdout.write(usage);
    process.exit(0);
  }
  const [samples, seed] = [Number(values.samples), Number(values.seed)];
  if (!Number.isInteger(samples) || samples < 1) throw new RangeError(`--samples ${values.samples}: a whole number`);
  if (!Number.isInteger(seed) || seed < 0) throw new RangeError(`--seed ${values.seed}: a whole number from 0 on`);
  if (!['table', 'json'].includes(values.output)) throw new RangeError(`-o ${values.output}: table or json`);
  return { samples, seed, json: values.output === 'json' };
}

/** The first bytes of every header, with their lengths: of segments, batches and records. */
function* headersIn(image: Image): Generator<readonly [name: string, at: number, length: number]> {
  for (const name of image.keys()) yield [name, 0, segmentHeaderBytes];
  for (const { name, start, end } of batchesIn(image)) {
    yield [name, start, batchHeaderBytes];
    const bytes = image.get(name) as Buffer;
    for (let at = start + batchHeaderBytes; at < end; at += recordHeaderBytes + bytes.readUInt32BE(at)) {
      yield [name, at, recordHeaderBytes];
    }
  }
}

class Examination {
  readonly counts = { cuts: 0, headerBits: 0, sampledBits: 0 };
  readonly verdicts: Counts = { exact: 0, reported: 0, falseAlarms: 0, lastBatchCut: 0 };
  readonly violations: Violations;
  private readonly random: Random;
  private nextProgressMs = performance.now() + progressIntervalMs;

  constructor(
    private readonly options: Options,
    private readonly stop: AbortSignal,
  ) {
    this.random = seededRandom(options.seed);
    this.violations = new Violations((text) => this.say(text));
  }

  private say(text: string): void {
    (this.options.json ? process.stderr : process.stdout).write(`${text}\n`);
  }

  private step(): void {
    this.stop.throwIfAborted();
    if (performance.now() < this.nextProgressMs) return;
    this.nextProgressMs = performance.now() + progressIntervalMs;
    const { cuts, headerBits, sampledBits } = this.counts;
    this.say(`${cuts} cuts, ${headerBits} bits of headers, ${sampledBits} sampled bits`);
  }

  async run(): Promise<Readonly<Record<string, number>>> {
    const { samples, seed } = this.options;
    this.say(`seed ${seed}: writing ${commits} batches to a real disk`);
    const history = await writeHistory(this.random, commits);
    await this.cutAll(history);
    await this.flipHeaders(history);
    for (let sample = 0; sample < samples; sample++) await this.flipOne(history);
    const { image } = history.at(-1) as Milestone;
    const segmentsAtEnd = image.size;
    const found = { seed, batches: commits, segmentsAtEnd, ...this.counts, ...this.verdicts };
    return { ...found, violations: this.violations.count };
  }

  private async cutAll(history: readonly Milestone[]): Promise<void> {
    for (const [at, milestone] of history.entries()) {
      const { start, end } = lastBatch(milestone.image);
      const stride = at >= history.length - batchesCutEverywhere ? 1 : end - start;
      for (let cut = start; cut <= end; cut += stride) {
        this.step();
        const wrong = await judgeCut(history[at - 1], milestone, cut);
        if (wrong !== undefined) this.violations.add(`after commit ${at + 1}: ${wrong}`);
        this.counts.cuts++;
      }
    }
  }

  /** At the end of the history. */
  private async flipHeaders(history: readonly Milestone[]): Promise<void> {
    const at = history.length - 1;
    for (const [name, from, length] of headersIn((history[at] as Milestone).image)) {
      for (let bit = from * 8; bit < (from + length) * 8; bit++) {
        await this.flip(history, at, name, bit);
        this.counts.headerBits++;
      }
    }
  }

  /** Any bit of any file at any time. */
  private async flipOne(history: readonly Milestone[]): Promise<void> {
    const at = randomBetween(this.random, 0, history.length - 1);
    const files = [...(history[at] as Milestone).image];
    const [name, bytes] = files[randomBetween(this.random, 0, files.length - 1)] as [string, Buffer];
    await this.flip(history, at, name, randomBetween(this.random, 0, bytes.length * 8 - 1));
    this.counts.sampledBits++;
  }

  private async flip(history: readonly Milestone[], at: number, name: string, bit: number): Promise<void> {
    this.step();
    this.note(at, await judgeFlip(history[at - 1], history[at] as Milestone, name, bit));
  }

  private note(at: number, verdict: Verdict): void {
    if (verdict === 'exact') this.verdicts.exact++;
    else if (verdict === 'reported') this.verdicts.reported++;
    else if (verdict === 'false alarm') this.verdicts.falseAlarms++;
    else if (verdict === 'last batch cut') this.verdicts.lastBatchCut++;
    else this.violations.add(`after commit ${at + 1}: ${verdict.violation}`);
  }
}

const labels: Readonly<Record<string, string>> = {
  segmentsAtEnd: 'segments at the end',
  headerBits: 'bits of headers flipped',
  sampledBits: 'bits sampled and flipped',
  exact: 'exactly as acknowledged',
  reported: 'lost and reported',
  falseAlarms: 'nothing lost, yet reported',
  lastBatchCut: 'last batch cut as if torn',
};

runToEnd({
  async run(stop) {
    const options = optionsFrom(process.argv.slice(2));
    const examination = new Examination(options, stop);
    const found = await examination.run();
    const { violations } = examination;
    const rows = Object.entries(found).map(([name, value]) => {
      return `${(labels[name] ?? name).padEnd(28)}${String(value).padStart(12)}\n`;
    });
    process.stdout.write(options.json ? `${JSON.stringify({ ...found, found: violations.kept })}\n` : rows.join(''));
    return violations.count === 0 ? 0 : 1;
  },
  usageOf: (error) => (error instanceof RangeError || error instanceof TypeError ? messageOf(error) : undefined),
});
