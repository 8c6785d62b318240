/** The only file that imports yargs. */
import yargs from 'yargs';

export type { Argv, CommandModule } from 'yargs';
export { yargs };

/** Keys and values are text; of an option that is given several times the last counts. */
export const parserRules = {
  'parse-numbers': false,
  'parse-positional-numbers': false,
  'duplicate-arguments-array': false,
};
