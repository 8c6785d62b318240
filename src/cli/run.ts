/**
 * kvctl from arguments to exit code, with everything of the outside handed in, so that tests need no process.
 *
 * What yargs must not do to what people type: turn text into numbers (keys and values are text), lose what stands behind
 * `--`, or run a command whose arguments are wrong.
 */
import { isRingraftError, messageOf } from '../base/index.js';
import { consistencies } from '../client/index.js';
import { type CommandDependencies, loadCommands } from './commands/catalogue.js';
import { type Command, type Group, nameOf } from './commands/command.js';
import { Context, type Dependencies, type GlobalArguments } from './context.js';
import { exitCodeOf, exitCodes } from './exit-codes.js';
import type { Io } from './io.js';
import { json, outputs } from './output.js';
import { encodings } from './values.js';
import { type Argv, parserRules, yargs } from './yargs.js';

class UsageError extends Error {}

/** Stands for what was typed behind `--` while yargs looks at the arguments: it must not take it for an option. */
const operandMark = '\u0000operand';

function hideOperands(argv: readonly string[]): { visible: string[]; operands: readonly string[] } {
  const at = argv.indexOf('--');
  if (at < 0) return { visible: joinRepeated(argv), operands: [] };
  const operands = argv.slice(at + 1);
  return {
    visible: [...joinRepeated(argv.slice(0, at)), ...operands.map((_, index) => `${operandMark}${index}`)],
    operands,
  };
}

/** The arguments that are lists; of any other that was given several times the last counts. */
const variadic = ['settings', 'keys', 'groups', 'direction'];

function restoreOperands(args: Record<string, unknown>, operands: readonly string[]): Record<string, unknown> {
  const restore = (value: unknown): unknown => {
    const isOperand = typeof value === 'string' && value.startsWith(operandMark);
    return isOperand ? operands[Number(value.slice(operandMark.length))] : value;
  };
  const restored: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(args)) {
    const isList = Array.isArray(value);
    restored[name] = isList && variadic.includes(name) ? value.map(restore) : restore(isList ? value.at(-1) : value);
  }
  return restored;
}

const repeatable = [
  ...['--add', '--remove', '--node'],
  ...['--app', '--host', '--add-app', '--remove-app', '--rotate-key'],
];

/** Of an option given several times the last counts; those that may be given several times become one list. */
function joinRepeated(argv: readonly string[]): string[] {
  const places = new Map<string, number>();
  const joined: string[] = [];
  for (let at = 0; at < argv.length; at++) {
    const given = argv[at] as string;
    const name = given.split('=', 1)[0] as string;
    const next = argv[at + 1];
    const isWhole = given.length > name.length;
    const value = isWhole ? given.slice(name.length + 1) : next;
    if (!repeatable.includes(name) || value === undefined || (!isWhole && value.startsWith('-'))) {
      joined.push(given);
      continue;
    }
    if (!isWhole) at++;
    const place = places.get(name);
    if (place === undefined) places.set(name, joined.push(`${name}=${value}`) - 1);
    else joined[place] += `,${value}`;
  }
  return joined;
}

function globalOptions(parser: Argv): Argv {
  return parser
    .option('output', { alias: 'o', choices: outputs, describe: 'How to print', global: true })
    .option('bucket', { alias: 'b', type: 'string', default: 'default', requiresArg: true, describe: 'The bucket' })
    .option('server', {
      alias: 's',
      type: 'string',
      requiresArg: true,
      describe: 'NATS URL [default: the local cluster, else the configuration]',
    })
    .option('cluster', {
      type: 'string',
      requiresArg: true,
      describe: 'Name of the cluster [default: from the configuration]',
    })
    .option('config', {
      alias: 'c',
      type: 'string',
      requiresArg: true,
      describe: 'Configuration file [default: cluster.config.json]',
    })
    .option('timeout', {
      alias: 't',
      type: 'string',
      default: '5s',
      requiresArg: true,
      describe: 'Most an operation may take',
    })
    .option('consistency', {
      choices: consistencies,
      describe: 'Of reads [default: that of the bucket]',
    })
    .option('key-encoding', { choices: encodings, default: 'utf8' as const, describe: 'How keys are written' })
    .option('value-encoding', { choices: encodings, default: 'utf8' as const, describe: 'How values are written' })
    .option('state-dir', {
      type: 'string',
      requiresArg: true,
      describe: 'Where a local cluster lives [default: .ringraft]',
    });
}

export type RunDependencies = Dependencies & CommandDependencies;

/** Runs one command line; resolves with the exit code. Never throws for what a user can do wrong. */
export async function run(argv: readonly string[], io: Io, dependencies: RunDependencies): Promise<number> {
  const { visible, operands } = hideOperands(argv);
  let exitCode: number = exitCodes.ok;
  let wantsJson = false;
  const execute = (command: Command) => async (raw: Record<string, unknown>) => {
    const args = restoreOperands(raw, operands);
    wantsJson = args.output === 'json';
    const context = new Context(io, args as unknown as GlobalArguments, dependencies);
    try {
      exitCode = (await command.run(context, args)) ?? exitCodes.ok;
    } finally {
      await context.close();
    }
  };
  const add = (parser: Argv, command: Command): Argv =>
    parser.command({
      command: command.command as string,
      describe: command.describe,
      builder: (inner: Argv) => (command.below ?? []).reduce(add, command.builder?.(inner) ?? inner),
      handler: execute(command),
    });
  const addGroup = (parser: Argv, { name, describe, commands }: Group): Argv => {
    const needed = `${name} needs a command: ${commands.map(nameOf).join(', ')}`;
    return parser.command(name, describe, (inner) => commands.reduce(add, inner).demandCommand(1, needed));
  };
  let parser = globalOptions(yargs(visible))
    // What we say ourselves is English: half of the help in another language would help nobody.
    .locale('en')
    .scriptName('kvctl')
    .usage('kvctl - talk to a Ringraft cluster\n\nUsage: $0 <command> [options]')
    .parserConfiguration(parserRules)
    .env('KVCTL');
  for (const loaded of await loadCommands(visible[0], dependencies)) {
    parser = 'commands' in loaded ? addGroup(parser, loaded) : add(parser, loaded);
  }
  parser = parser
    .completion('completion', 'Print a completion script for bash or zsh')
    .demandCommand(1, 'kvctl needs a command; see kvctl --help')
    .recommendCommands()
    .strict()
    .version(dependencies.version)
    .help()
    .alias('help', 'h')
    .wrap(Math.min(100, io.out.columns ?? 100))
    .epilogue(
      'Every option can be given as KVCTL_<OPTION>. Exit codes: 0 ok, 1 error, 2 usage, 3 not found,\n4 conflict, 5 no leader or quorum, 6 time-out (outcome unknown), 7 not permitted.',
    )
    .exitProcess(false)
    .showHelpOnFail(false)
    .fail((message, error) => {
      throw error ?? new UsageError(message);
    });
  try {
    await parser.parseAsync(visible, {}, (_error, _args, output) => {
      if (output) io.out.write(`${output}\n`);
    });
  } catch (error) {
    return reportFailure(error, io, wantsJson);
  }
  return exitCode;
}

function reportFailure(error: unknown, io: Io, wantsJson: boolean): number {
  if (io.signal.aborted) return exitCodes.interrupted;
  if (isRingraftError(error)) {
    const { code, happened, message } = error;
    const outcome = happened === 'unknown' ? ' (it may have happened, or may yet)' : '';
    if (wantsJson) io.err.write(json({ error: { code, message, happened } }));
    else io.err.write(`kvctl: ${code}: ${message}${outcome}\n`);
    return exitCodeOf(error);
  }
  if (error instanceof UsageError || (error as Error).name === 'YError') {
    io.err.write(`kvctl: ${messageOf(error)}\n`);
    return exitCodes.usage;
  }
  io.err.write(`kvctl: unexpected: ${error instanceof Error ? error.stack : String(error)}\n`);
  return exitCodes.error;
}
