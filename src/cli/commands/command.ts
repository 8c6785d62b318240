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
};

export const text = (args: Arguments, name: string): string => String(args[name]);
export const optionalText = (args: Arguments, name: string): string | undefined =>
  args[name] === undefined ? undefined : String(args[name]);
export const flag = (args: Arguments, name: string): boolean => args[name] === true;
