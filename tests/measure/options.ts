/** The command line of a measurement program: numbers, and how the result is shown. */
import { type ParseArgsConfig, parseArgs } from 'node:util';
import { messageOf } from '../../src/base/index.js';

export type NumberOption = {
  readonly default: number;
  readonly least: number;
  readonly describe: string;
  /** Fractions are allowed. */
  readonly fraction?: boolean;
};

/** Several numbers with commas between them. */
export type ListOption = {
  readonly defaults: readonly number[];
  readonly least: number;
  readonly describe: string;
};

/** What was asked for makes no sense. */
export class UsageError extends Error {}

export type OptionSpecs = Readonly<Record<string, NumberOption | ListOption>>;
export type OptionValues<Specs extends OptionSpecs> = {
  readonly [Name in keyof Specs]: Specs[Name] extends ListOption ? readonly number[] : number;
};
export type OutputOptions = { readonly json: boolean; readonly keep: boolean };

function usageOf(name: string, summary: string, specs: OptionSpecs): string {
  const lines = Object.entries(specs).map(([option, spec]) => {
    const name = `--${option} ${'defaults' in spec ? 'N,N' : 'N'}`;
    return `  ${name.padEnd(18)}${spec.describe} (${defaultOf(spec)})`;
  });
  return [
    `npm run measure -- ${name} [options]: ${summary}`,
    ...lines,
    '  --keep            leave the directory of the cluster behind',
    '  -o json, --json   one closing object on standard output',
    '',
    'Exit codes: 0 measured, all checks held; 1 a check failed; 2 usage; 130 interrupted.',
    '',
  ].join('\n');
}

const defaultOf = (spec: NumberOption | ListOption): string =>
  'defaults' in spec ? spec.defaults.join(',') : String(spec.default);

function valueFrom(name: string, text: string, spec: NumberOption | ListOption): number | readonly number[] {
  if (!('defaults' in spec)) return numberFrom(name, text, spec);
  return text.split(',').map((one) => numberFrom(name, one, { ...spec, default: 0 }));
}

function numberFrom(name: string, text: string, { least, fraction }: NumberOption): number {
  const value = Number(text);
  const isRight =
    text.trim() !== '' && value >= least && (fraction === true ? value < 1e9 : Number.isSafeInteger(value));
  if (isRight) return value;
  throw new UsageError(`--${name} ${text}: a ${fraction === true ? '' : 'whole '}number from ${least} on`);
}

/** Prints the usage and exits where that is asked; throws UsageError on what it does not understand. */
export function optionsFrom<Specs extends OptionSpecs>(
  name: string,
  summary: string,
  specs: Specs,
  args: readonly string[],
): OptionValues<Specs> & OutputOptions {
  const numbers = Object.entries(specs).map(([option, spec]) => {
    return [option, { type: 'string' as const, default: defaultOf(spec) }] as const;
  });
  const values = parsed(args, {
    ...Object.fromEntries(numbers),
    keep: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
    output: { type: 'string', short: 'o', default: 'table' },
    help: { type: 'boolean', short: 'h', default: false },
  });
  if (values.help === true) {
    process.stdout.write(usageOf(name, summary, specs));
    process.exit(0);
  }
  const output = String(values.output);
  if (!['table', 'json'].includes(output)) throw new UsageError(`-o ${output}: table or json`);
  const found = Object.entries(specs).map(([option, spec]) => [
    option,
    valueFrom(option, String(values[option]), spec),
  ]);
  return {
    ...(Object.fromEntries(found) as unknown as OptionValues<Specs>),
    json: output === 'json' || values.json === true,
    keep: values.keep === true,
  };
}

function parsed(args: readonly string[], options: NonNullable<ParseArgsConfig['options']>): Record<string, unknown> {
  try {
    return parseArgs({ args: [...args], options }).values;
  } catch (error) {
    throw new UsageError(messageOf(error));
  }
}
