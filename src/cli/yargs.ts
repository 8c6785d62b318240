/** The only file that imports yargs. */
import yargs from 'yargs';

export type { Argv, CommandModule } from 'yargs';
export { yargs };
