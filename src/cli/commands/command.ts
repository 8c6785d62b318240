/** A command: its words for the help, its options, what it does. */
import type { Context } from '../context.js';
import type { Argv } from '../yargs.js';

export type Arguments = Readonly<Record<string, unknown>>;

export type Command = {
  readonly command: string | readonly string[];
  readonly describe: string;
  readonly builder?: (parser: Argv) => Argv;
  /** Its exit code; nothing: 0. */
  readonly run: (context: Context, args: Arguments) => Promise<number | undefined>;
  /** Called by a further word. */
  readonly below?: readonly Command[];
};

/** Commands below a word that is none by itself: `kvctl cluster status`. */
export type Group = { readonly name: string; readonly describe: string; readonly commands: readonly Command[] };

/** The word it is called by. */
export const nameOf = ({ command }: Command): string => [command].flat()[0]?.split(' ')[0] ?? '';

export const text = (args: Arguments, name: string): string => String(args[name]);
export const optionalText = (args: Arguments, name: string): string | undefined =>
  args[name] === undefined ? undefined : String(args[name]);
/** Of a positional argument that may be given several times, or of an option that `run` made one list of. */
export function texts(args: Arguments, name: string): readonly string[] {
  const given = args[name];
  if (given === undefined) return [];
  return Array.isArray(given) ? given.map(String) : String(given).split(',');
}
export const flag = (args: Arguments, name: string): boolean => args[name] === true;

/** `--name`, `--no-name`, or undefined where neither was given. */
export const optionalFlag = (args: Arguments, name: string): boolean | undefined => {
  const value = args[name];
  return typeof value === 'boolean' ? value : undefined;
};

/** Whether a read may be weaker than it asks for; the bucket says where nobody does. */
export function availableOf(args: Arguments): { readonly available?: boolean } {
  const available = optionalFlag(args, 'available');
  return available === undefined ? {} : { available };
}
