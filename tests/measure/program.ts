/**
 * What the measurement programs have in common: a cluster around them, a result on standard output,
 * progress on standard error, an exit code, and that nothing stays behind.
 */
import { arch, cpus, platform } from 'node:os';
import { colorsFor, json, table } from '../../src/cli/output.js';
import { Violations } from '../crash/violations.js';
import { TestCluster, type TestClusterOptions } from '../support/cluster.js';
import { runToEnd, unlessStopped } from '../support/program-runner.js';
import { MeasuredCluster } from './measured-cluster.js';
import { type OptionSpecs, type OptionValues, optionsFrom, UsageError } from './options.js';

export const bucket = 'default';
/** Long enough that a busy machine is no error. */
export const operationTimeoutMs = 30_000;

export type Section = {
  readonly title: string;
  /** The first one to the left, the others to the right. */
  readonly columns: readonly string[];
  readonly rows: readonly (readonly (string | number)[])[];
};

/** What was measured: for people, and for programs. */
export type Measurement = { readonly sections: readonly Section[]; readonly facts: Readonly<Record<string, unknown>> };

export type Stage<Options> = {
  readonly options: Options;
  readonly measured: MeasuredCluster;
  readonly violations: Violations;
  readonly say: (text: string) => void;
  /** Ends the cluster at hand and makes another one. */
  next(options: TestClusterOptions): Promise<MeasuredCluster>;
};

export type Program<Specs extends OptionSpecs> = {
  readonly name: string;
  readonly summary: string;
  readonly specs: Specs;
  /** Three nodes when it says nothing else. */
  clusterOf(options: OptionValues<Specs>): TestClusterOptions;
  measure(stage: Stage<OptionValues<Specs>>): Promise<Measurement>;
};

async function run<Specs extends OptionSpecs>(program: Program<Specs>, stop: AbortSignal): Promise<number> {
  const {
    json: asJson,
    keep,
    ...rest
  } = optionsFrom(program.name, program.summary, program.specs, process.argv.slice(2));
  const options = rest as unknown as OptionValues<Specs>;
  const startedMs = performance.now();
  const say = (text: string): void => {
    const seconds = ((performance.now() - startedMs) / 1000).toFixed(1);
    process.stderr.write(`${seconds.padStart(7)} s  ${text}\n`);
  };
  const violations = new Violations(say);
  const clusters = new Clusters(violations, keep, say);
  stop.addEventListener('abort', () => clusters.abandon());
  try {
    const measured = await clusters.next(program.clusterOf(options));
    const stage = { options, measured, violations, say, next: (other: TestClusterOptions) => clusters.next(other) };
    const { sections, facts } = await unlessStopped(stop, () => program.measure(stage));
    const warnings = Object.fromEntries(clusters.warningsSoFar());
    const machine = { cpus: cpus().length, model: cpus()[0]?.model ?? '', system: `${platform()} ${arch()}` };
    const found = { count: violations.count, kept: violations.kept };
    const all = { program: program.name, options, machine, ...facts, warnings, violations: found };
    process.stdout.write(asJson ? json(all) : shown(sections, warnings, violations));
    return violations.count === 0 ? 0 : 1;
  } finally {
    await clusters.end();
  }
}

/** The clusters of a run, one at a time. */
class Clusters {
  private readonly warnings = new Map<string, number>();
  private current: MeasuredCluster | undefined;
  private isAbandoned = false;

  constructor(
    private readonly violations: Violations,
    private readonly keep: boolean,
    private readonly say: (text: string) => void,
  ) {}

  async next(options: TestClusterOptions): Promise<MeasuredCluster> {
    await this.end();
    const measured = new MeasuredCluster(await TestCluster.create({ nodes: 3, ...options }), this.violations);
    this.current = measured;
    if (this.isAbandoned) measured.abandon();
    return measured;
  }

  abandon(): void {
    this.isAbandoned = true;
    this.current?.abandon();
  }

  async end(): Promise<void> {
    const measured = this.current;
    if (measured === undefined) return;
    this.current = undefined;
    measured.abandon();
    this.say(this.keep ? `keeping ${measured.cluster.directory}` : 'cleaning up');
    await measured.cluster.stop(this.keep);
    add(this.warnings, measured.logs.warnings);
  }

  /** Of all nodes, by their words. */
  warningsSoFar(): ReadonlyMap<string, number> {
    const all = new Map(this.warnings);
    if (this.current !== undefined) add(all, this.current.logs.warnings);
    return all;
  }
}

function add(sums: Map<string, number>, more: ReadonlyMap<string, number>): void {
  for (const [words, times] of more) sums.set(words, (sums.get(words) ?? 0) + times);
}

function shown(
  sections: readonly Section[],
  warnings: Readonly<Record<string, number>>,
  { count, kept }: Violations,
): string {
  const colors = colorsFor(process.stdout, process.env);
  const tables = sections.map(({ title, columns, rows }) => {
    const heads = columns.map((name, at) => ({ name, right: at > 0 }));
    return `\n${colors.bold(title)}\n${table(heads, rows, colors)}`;
  });
  const said = Object.entries(warnings).map(([words, times]) => `warning of a node, ${times} times: ${words}\n`);
  const checks =
    count === 0 ? 'all checks held\n' : `${count} CHECKS FAILED\n${kept.map((one) => `- ${one}\n`).join('')}`;
  return `${tables.join('')}\n${said.join('')}${checks}`;
}

/** Runs the program of this process and ends it. */
export function main<Specs extends OptionSpecs>(program: Program<Specs>): void {
  runToEnd({
    run: (stop) => run(program, stop),
    usageOf: (error) => (error instanceof UsageError ? error.message : undefined),
  });
}
